"""Parse names of open_clip models without importing torch, so that wrong names fail fast.

ViT-B-32/laion2b_s34b_b79k    an architecture and a tag of published weights
ViT-B-32                      an architecture, with weights from a file
hf-hub:organisation/model     a repository in open_clip's format
a folder                      with open_clip_config.json and weights beside it
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

HUB = "hf-hub:"
FOLDER = "local-dir:"
CONFIG = "open_clip_config.json"


@dataclass(frozen=True, slots=True)
class OpenClipName:
    """One model of open_clip."""

    architecture: str
    """Name for open_clip.create_model."""
    tag: str | None = None

    def __str__(self) -> str:
        return f"{self.architecture}/{self.tag}" if self.tag else self.architecture


@cache
def architectures() -> tuple[str, ...]:
    """The architectures of the installed open_clip; empty where it is not installed."""
    spec = find_spec("open_clip")  # does not import the package
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        return ()
    return tuple(sorted(path.stem for path in (Path(places[0]) / "model_configs").glob("*.json")))


def is_installed() -> bool:
    return bool(architectures())


def parse(name: str) -> OpenClipName | None:
    """The open_clip model of that name, ignoring case; None where there is no such architecture.

    "ViT-B/32", the spelling of papers, is ViT-B-32.
    """
    if name.startswith(HUB) and name != HUB:
        return OpenClipName(name)
    known = {known.lower(): known for known in architectures()}
    whole = known.get(name.replace("/", "-").lower())
    if whole is not None:
        return OpenClipName(whole)
    front, slash, tag = name.rpartition("/")
    architecture = known.get(front.replace("/", "-").lower())
    if not slash or not tag or architecture is None:
        return None
    return OpenClipName(architecture, tag)


def in_folder(folder: Path) -> OpenClipName | None:
    """The model in a folder of open_clip's format; None for another folder."""
    return OpenClipName(f"{FOLDER}{folder}") if (folder / CONFIG).is_file() else None
