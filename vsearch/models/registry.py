"""A name -> what loads it.

A text with a slash is the path of a model folder. A word is looked up among the models that vsearch carries, then among
the folders in the person's models folder, then among installed packages that offer the entry point group
"vsearch.models" (each entry point is a function without arguments that returns the path of a model folder), and last as
a folder in the working directory: one that happens to be called "mini" never takes the place of the model of that name.

A text that is none of these may name a model of open_clip (openclip_names.py), where the extra `clip` is installed; a
head among the person's models that was trained on it goes with it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsearch.errors import InputError, ModelDamaged, UnknownModel
from vsearch.models import openclip_names
from vsearch.models.openclip_names import OpenClipName
from vsearch.models.protocols import Model

if TYPE_CHECKING:
    from vsearch.library import SqliteStore
    from vsearch.models.devices import Precision
    from vsearch.settings import Settings

EMBEDDED = Path(__file__).parent / "mini"
ENTRY_POINTS = "vsearch.models"
FAKE = "fake"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One line of `vsearch models`."""

    name: str
    version: str
    dim: int
    licence: str
    size_bytes: int
    source: str
    """"embedded", "folder", "package" or "built in"."""
    path: str
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """For models that run on torch; model folders need none of it."""

    weights: Path | None = None
    """A file of weights in place of published ones."""
    device: str = "auto"
    precision: Precision = "auto"
    compile: bool = False
    """These three as in devices.Compute."""
    download: bool = False
    """Whether weights may be fetched from a hub."""


def load_from(settings: Settings, threads: int | None = None) -> Model:
    """The model that a person's settings name. threads: in place of the settings' own."""
    options = TorchOptions(
        settings.weights, settings.device, settings.precision, settings.compile, download=settings.download
    )
    threads = settings.threads if threads is None else threads
    return load_model(settings.model, models=settings.models, threads=threads, options=options)


def load_named(settings: Settings, name: str, threads: int | None = None) -> Model:
    """One of the models that `named_models` tells."""
    return load_from(settings.model_copy(update={"model": name}), threads)


def named_models(settings: Settings, library: SqliteStore | None, given: Sequence[str] | None = None) -> list[str]:
    """The models that were asked for, by name: those that are given (A+B are two), else by VSEARCH_MODEL, else the one
    that the library keeps, else the program's own."""
    texts = given or [settings.model]
    if library is not None and not given and "model" not in settings.model_fields_set:
        texts = [library.default_model() or settings.model]
    names = [name for text in texts for name in ([text] if _is_folder(text) else text.split("+"))]
    return list(dict.fromkeys(names))


def _is_folder(text: str) -> bool:
    return os.path.isdir(Path(text).expanduser())  # noqa: PTH112 - False where the path may not be looked at


def load_model(
    name: str = "mini", *, models: Path | None = None, threads: int = 0, options: TorchOptions | None = None
) -> Model:
    """The model of that name, or in that folder.

    models: the person's folder of model folders. threads: for the model's own arithmetic; 0 means one a core.
    Raises UnknownModel with the near names, ModelDamaged, ModelError, and InputError for a device that is not there.
    """
    options = options or TorchOptions()
    found = _find(name, models)
    if isinstance(found, OpenClipName):
        return _load_open_clip(found, models, threads, options)
    if options.weights is not None:
        raise InputError(f"--weights goes with an architecture of open_clip, such as ViT-B-32, not with {name!r}.")
    if found is None:
        from vsearch.models.fake import FakeModel

        return FakeModel()
    from vsearch.models.model_folder import FolderModel

    return FolderModel(found, threads=threads)


def _find(name: str, models: Path | None) -> Path | OpenClipName | None:
    """What a name means: a model folder, a model of open_clip, or None for the fake one. Raises UnknownModel."""
    if name == FAKE:
        return None
    for known, folder, _ in _folders(models):
        if known == name:
            return folder
    given = Path(name).expanduser()
    if name and os.path.isdir(given):  # noqa: PTH112 - False, not an error, where the path may not be looked at
        return openclip_names.in_folder(given.absolute()) or given.absolute()
    found = openclip_names.parse(name)
    if found is not None:
        return found
    raise UnknownModel(_unknown(name, models))


def _unknown(name: str, models: Path | None) -> str:
    """One line for a name that means nothing: the near ones, else all of ours."""
    ours = [known for known, _, _ in _folders(models)] + [FAKE]
    path = Path(name).expanduser().name != name
    architecture = name.rpartition("/")[0] or name
    near = [] if path else difflib.get_close_matches(name, ours, n=3, cutoff=0.4)
    theirs = {known.lower(): known for known in openclip_names.architectures()}
    near += [theirs[one] for one in difflib.get_close_matches(architecture.lower(), theirs, n=3, cutoff=0.7)]
    if near:
        return f"There is no model {name!r}: did you mean {' or '.join(near)}?"
    if path:
        hint = "" if openclip_names.is_installed() else " Models of open_clip need `pip install 'vsearch[clip]'`."
        return f"There is no model folder at {name!r}.{hint}"
    return f"There is no model {name!r}: known: {', '.join(ours)}, or the path of a model folder."


def _load_open_clip(name: OpenClipName, models: Path | None, threads: int, options: TorchOptions) -> Model:
    import torch

    from vsearch.models.devices import Compute, choose_device
    from vsearch.models.head_folder import find_head
    from vsearch.models.openclip import OpenClipModel
    from vsearch.models.openclip_source import load_parts

    compute = Compute(options.device, options.precision, options.compile)
    choose_device(compute.device)  # refused before gigabytes are read
    if threads:
        torch.set_num_threads(threads)
    parts = load_parts(name, weights=options.weights, download=options.download)
    model = OpenClipModel(parts, compute=compute)
    head = find_head(models, model.backbone, threads=threads)
    return model if head is None else model.with_head(head)


def lasting_name(name: str, *, models: Path | None = None) -> str:
    """The name, or for a folder's path the absolute one: it means the same in any working directory."""
    if name == FAKE or any(known == name for known, _, _ in _folders(models)):
        return name
    return str(Path(name).expanduser().absolute()) if _is_folder(name) else name


def keep_first_model(library: SqliteStore, encoder: Model, name: str, models: Path | None) -> None:
    """A library goes on with the model that it began with, unless told otherwise."""
    known = [row.space for row in library.spaces() if row.space.channel == encoder.space.channel]
    if library.default_model() is None and known == [encoder.space]:
        library.set_default_model(lasting_name(name, models=models))


def list_models(models: Path | None = None) -> list[ModelInfo]:
    """Every model that load_model knows by name; a damaged one is listed with what is wrong."""
    from vsearch.models.head_folder import is_head, read_head
    from vsearch.models.model_folder import check_files, read_config

    rows = []
    for name, folder, source in _folders(models):
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0
        try:
            if is_head(folder):
                head = read_head(folder)
                note = "trained on top of another model, used with it"
                rows.append(ModelInfo(name, "", head.dim, head.licence, size, source, str(folder), note=note))
                continue
            config = read_config(folder)
            check_files(folder, config)
        except ModelDamaged as error:
            rows.append(ModelInfo(name, "?", 0, "?", size, source, str(folder), note=str(error)))
        else:
            rows.append(ModelInfo(name, config.version, config.dim, config.licence, size, source, str(folder)))
    note = "deterministic colour vectors, for tests and examples"
    rows.append(ModelInfo(FAKE, "1", 8, "Apache-2.0", 0, "built in", "", note=note))
    return rows


def _folders(models: Path | None) -> Iterator[tuple[str, Path, str]]:
    """(name, folder, source) of every model folder that has a name, first come first served."""
    seen = {"mini"}
    yield "mini", EMBEDDED, "embedded"
    if models is not None and models.is_dir():
        for folder in sorted(models.iterdir()):
            if (folder / "config.json").is_file() and folder.name not in seen:
                seen.add(folder.name)
                yield folder.name, folder, "folder"
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry.name, Path(entry.load()()), "package"
