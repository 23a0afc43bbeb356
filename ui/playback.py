"""How a scene is played in a browser: the file itself where browsers can, else a clip of the scene that is made once
and kept in the cache, within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from vsearch.errors import MediaError, PathError
from vsearch.library.rows import SceneRow

CLIPS = "clips"
"""The folder inside the cache."""
LIMIT_BYTES = 2_000_000_000
LONGEST = 120.0
"""Seconds of a clip."""
SHORTEST = 0.1

_KINDS = (
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "video/ogg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
)


@dataclass(frozen=True, slots=True)
class Film:
    """A file of the library and the part that is to be seen."""

    path: Path
    start: float
    """Seconds of the file."""
    end: float

    @classmethod
    def of(cls, row: SceneRow | None, start: float | None = None, end: float | None = None) -> Film:
        """A scene, or [start, end) of its file: a moment may reach over its scene's edges.

        Raises PathError where the scene or its file is gone.
        """
        if row is None:
            raise PathError("This scene is no longer in the library: search again.")
        if not row.path.is_file():
            raise PathError(f"{row.path} is no longer there: index the folder that it was moved to.")
        start = row.start if start is None else start
        end = row.end if end is None or end <= start else end
        return cls(row.path, start, min(max(end, start + SHORTEST), start + LONGEST))


@dataclass(frozen=True, slots=True)
class Plan:
    """What the player is to do."""

    kind: Literal["original", "clip"]
    offset: float
    """Seconds of the file at the beginning of what is played."""
    note: str = ""


def how_to_play(film: Film, cache: Path, *, clip: bool = False) -> Plan:
    """clip: the browser has tried the file and cannot play it. A clip is made here, so that its troubles can be told.

    Raises MediaError, PathError.
    """
    if not clip and _can_play(film.path):
        return Plan("original", 0.0)
    made_clip(film, cache)
    return Plan("clip", film.start, "Browsers cannot play this file: this is a copy of the scene.")


def made_clip(film: Film, cache: Path) -> Path:
    """A file that every browser plays. Raises MediaError, PathError."""
    from vsearch.clips import ClipCache

    return ClipCache(cache / CLIPS, LIMIT_BYTES).playable(film.path, film.start, film.end)


def media_type(path: Path) -> str:
    """What to call a file by its first bytes, whatever its name: nothing here is ever called a document."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error.strerror}.") from error
    return next((kind for at, mark, kind in _KINDS if head[at : at + len(mark)] == mark), "application/octet-stream")


def _can_play(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error.strerror}.") from error
    return _probed(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1000)
def _probed(path: Path, size: int, mtime_ns: int) -> bool:
    """size, mtime_ns: another file needs another look."""
    from vsearch.clips import browser_can_play

    try:
        return browser_can_play(path)
    except MediaError:
        return False
