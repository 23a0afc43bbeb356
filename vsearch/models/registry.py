"""Model names: find and load a model, list those that are known, choose those of a library.

A name is looked up in this order:

1. "mini", the embedded model, and "fake", a deterministic one for tests and examples;
2. the subfolders of the user's models folder (VSEARCH_MODELS);
3. installed packages with an entry point in the group "vsearch.models": a function without arguments that returns the
   path of a model folder;
4. a path of a model folder, or of a folder in open_clip's format;
5. a model of open_clip (openclip_names.py), where the extra `clip` is installed. A head in the models folder that was
   trained on that model is loaded with it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsearch.errors import InputError, ModelDamaged, ModelError, UnknownModel
from vsearch.models import openclip_names
from vsearch.models.openclip_names import OpenClipName
from vsearch.models.protocols import Model

if TYPE_CHECKING:
    from vsearch.library import SpaceRow, Store
    from vsearch.settings import Settings

EMBEDDED = Path(__file__).parent / "mini"
ENTRY_POINTS = "vsearch.models"
FAKE = "fake"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One row of `vsearch models`."""

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


def load_model(name: str = "mini", settings: Settings | None = None, *, threads: int | None = None) -> Model:
    """Load the model of that name.

    settings: those of the environment by default. threads: instead of those of the settings; 0 means one per core.
    Raises UnknownModel with similar names, ModelDamaged, ModelError, and InputError for an unknown device.
    """
    from vsearch.settings import read_settings

    settings = settings or read_settings(model=name)
    threads = settings.threads if threads is None else threads
    location = _locate(name, settings.models)
    if isinstance(location, OpenClipName):
        return _load_open_clip(location, settings, threads)
    if settings.weights is not None:
        raise InputError(f"--weights needs an architecture of open_clip, such as ViT-B-32, not {name!r}.")
    if location is None:
        from vsearch.models.fake import FakeModel

        return FakeModel()
    from vsearch.models.model_folder import FolderModel

    return FolderModel(location, threads=threads)


def _locate(name: str, models: Path) -> Path | OpenClipName | None:
    """The model folder or the model of open_clip with that name; None for the fake model. Raises UnknownModel."""
    if name == FAKE:
        return None
    for known, folder, _ in _folders(models):
        if known == name:
            return folder
    if name and _is_folder(name):
        folder = Path(name).expanduser().absolute()
        return openclip_names.in_folder(folder) or folder
    open_clip = openclip_names.parse(name)
    if open_clip is None:
        raise UnknownModel(_unknown(name, models))
    return open_clip


def _unknown(name: str, models: Path) -> str:
    """The message for an unknown name: similar names, else the known ones."""
    known = [known for known, _, _ in _folders(models)] + [FAKE]
    is_path = Path(name).expanduser().name != name
    similar = [] if is_path else difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    architectures = {each.lower(): each for each in openclip_names.architectures()}
    architecture = (name.rpartition("/")[0] or name).lower()
    similar += [architectures[each] for each in difflib.get_close_matches(architecture, architectures, n=3, cutoff=0.7)]
    if similar:
        return f"There is no model {name!r}: did you mean {' or '.join(similar)}?"
    if is_path:
        hint = "" if openclip_names.is_installed() else " Models of open_clip need `pip install 'vsearch[clip]'`."
        return f"There is no model folder at {name!r}.{hint}"
    return f"There is no model {name!r}: known: {', '.join(known)}, or the path of a model folder."


def _load_open_clip(name: OpenClipName, settings: Settings, threads: int) -> Model:
    import torch

    from vsearch.models.devices import Compute, choose_device
    from vsearch.models.head_folder import find_head
    from vsearch.models.openclip import OpenClipModel
    from vsearch.models.openclip_source import load_parts

    compute = Compute(settings.device, settings.precision, settings.compile)
    choose_device(compute.device)  # an unknown device is refused before gigabytes are read
    if threads:
        torch.set_num_threads(threads)
    model = OpenClipModel(load_parts(name, weights=settings.weights, download=settings.download), compute=compute)
    head = find_head(settings.models, model.backbone, threads=threads)
    return model if head is None else model.with_head(head)


def named_models(settings: Settings, library: Store | None, given: Sequence[str] | None = None) -> list[str]:
    """The names of the models to use: those given ("A+B" are two), else VSEARCH_MODEL, else the library's default,
    else "mini"."""
    texts = given or [settings.model]
    if library is not None and not given and "model" not in settings.model_fields_set:
        texts = [library.default_model() or settings.model]
    names = [name for text in texts for name in ([text] if _is_folder(text) else text.split("+"))]
    return list(dict.fromkeys(names))


def find_space(rows: Sequence[SpaceRow], name: str, load: Callable[[str], Model]) -> SpaceRow:
    """The visual space of a model among those of a library.

    name: of the model, or at least 4 characters of its fingerprint, or anything that `load` loads. Raises InputError
    where there is no such space, or more than one.
    """
    rows = [row for row in rows if row.space.channel == "visual"]
    named = [row for row in rows if row.space.model == name]
    if not named and len(name) >= 4:
        named = [row for row in rows if row.space.fingerprint.startswith(name)]
    if not named:
        try:
            space = load(name).space
        except ModelError:
            space = None
        named = [row for row in rows if row.space == space]
    if not named:
        known = ", ".join(dict.fromkeys(row.space.model for row in rows)) or "none"
        raise InputError(f"The library has no embeddings of a model {name!r}, only of: {known}.")
    if len(named) > 1:
        prints = " or ".join(row.space.fingerprint[:8] for row in named)
        raise InputError(
            f"There are {len(named)} versions of {name} in the library: name one by its fingerprint, {prints}."
        )
    return named[0]


def is_space_of(row: SpaceRow, name: str, load: Callable[[str], Model]) -> bool:
    """Whether a space is that of the model with this name."""
    try:
        return load(name).space == row.space
    except ModelError:  # no longer installed
        return row.space.model == name


def lasting_name(name: str, models: Path) -> str:
    """The name to store in a library: the path of a folder becomes absolute."""
    if name == FAKE or any(known == name for known, _, _ in _folders(models)):
        return name
    return str(Path(name).expanduser().absolute()) if _is_folder(name) else name


def keep_first_model(library: Store, encoder: Model, name: str, models: Path) -> None:
    """Make the first model of a library its default, unless it has one."""
    known = [row.space for row in library.spaces() if row.space.channel == encoder.space.channel]
    if library.default_model() is None and known == [encoder.space]:
        library.set_default_model(lasting_name(name, models))


def _is_folder(text: str) -> bool:
    return os.path.isdir(Path(text).expanduser())  # noqa: PTH112 - False, not an error, where access is denied


def list_models(models: Path) -> list[ModelInfo]:
    """Every model with a name; the note of a damaged one is its error."""
    from vsearch.models.head_folder import is_head, read_head
    from vsearch.models.model_folder import check_files, read_config

    rows = []
    for name, folder, source in _folders(models):
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0
        version, dim, licence, note = "", 0, "?", ""
        try:
            if is_head(folder):
                head = read_head(folder)
                dim, licence, note = head.dim, head.licence, "a head: used with the model that it was trained on"
            else:
                config = read_config(folder)
                check_files(folder, config)
                version, dim, licence = config.version, config.dim, config.licence
        except ModelDamaged as error:
            version, note = "?", str(error)
        rows.append(ModelInfo(name, version, dim, licence, size, source, str(folder), note))
    note = "deterministic colour embeddings, for tests and examples"
    rows.append(ModelInfo(FAKE, "1", 8, "Apache-2.0", 0, "built in", "", note))
    return rows


def _folders(models: Path) -> Iterator[tuple[str, Path, str]]:
    """(name, folder, source) of every named model folder; the first of several with one name."""
    seen = {"mini"}
    yield "mini", EMBEDDED, "embedded"
    for folder in sorted(models.iterdir()) if models.is_dir() else ():
        if (folder / "config.json").is_file() and folder.name not in seen:
            seen.add(folder.name)
            yield folder.name, folder, "folder"
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry.name, Path(entry.load()()), "package"
