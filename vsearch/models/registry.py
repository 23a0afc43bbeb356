"""A name -> what loads it.

A text with a slash is the path of a model folder. A word is looked up among the models that vsearch carries, then among
the folders in the person's models folder, then among installed packages that offer the entry point group
"vsearch.models" (each entry point is a function without arguments that returns the path of a model folder), and last as
a folder in the working directory: one that happens to be called "mini" never takes the place of the model of that name.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from vsearch.errors import ModelDamaged, UnknownModel
from vsearch.models.base import Model

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


def load_model(name: str = "mini", *, models: Path | None = None, threads: int = 0) -> Model:
    """The model of that name, or in that folder.

    models: the person's folder of model folders. threads: for the model's own arithmetic; 0 means one a core.
    Raises UnknownModel with the near names, ModelDamaged.
    """
    if name == FAKE:
        from vsearch.models.fake import FakeModel

        return FakeModel()
    from vsearch.models.folder import FolderModel

    for known, folder, _ in _folders(models):
        if known == name:
            return FolderModel(folder, threads=threads)
    given = Path(name).expanduser()
    if name and os.path.isdir(given):  # noqa: PTH112 - False, not an error, where the path may not be looked at
        return FolderModel(given.absolute(), threads=threads)
    if given.name != name:
        raise UnknownModel(f"There is no model folder at {name!r}.")
    names = [known for known, _, _ in _folders(models)] + [FAKE]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = (
        f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}, or the path of a model folder."
    )
    raise UnknownModel(f"There is no model {name!r}: {hint}")


def lasting_name(name: str, *, models: Path | None = None) -> str:
    """The name, or for a folder's path the absolute one: it means the same in any working directory."""
    if name == FAKE or any(known == name for known, _, _ in _folders(models)):
        return name
    given = Path(name).expanduser()
    return str(given.absolute()) if os.path.isdir(given) else name  # noqa: PTH112 - as in load_model


def list_models(models: Path | None = None) -> list[ModelInfo]:
    """Every model that load_model knows by name; a damaged one is listed with what is wrong."""
    from vsearch.models.folder import check_files, read_config

    rows = []
    for name, folder, source in _folders(models):
        size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0
        try:
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
