"""Playing a scene in a browser: the file itself where browsers can play it, else a clip of the scene from the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vsearch.errors import PathError
from vsearch.library.rows import SceneRow

CLIPS = "clips"
"""Folder in the cache."""
LIMIT_BYTES = 2_000_000_000
"""Size of that folder."""
LONGEST = 120.0
SHORTEST = 0.1
"""Limits of a clip, in seconds."""

_KINDS = (
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "video/ogg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A span [start, end) of a file in the library that is to be played."""

    path: Path
    start: float
    """Seconds."""
    end: float

    @classmethod
    def of(cls, row: SceneRow | None, start: float | None = None, end: float | None = None) -> Span:
        """A scene, or [start, end) of its file: a moment may extend beyond its scene.

        Raises PathError where the scene or its file does not exist any more.
        """
        if row is None:
            raise PathError("This scene is no longer in the library: search again.")
        if not row.path.is_file():
            raise PathError(f"{row.path} does not exist any more: if it was moved, index its new folder.")
        start = row.start if start is None else start
        end = row.end if end is None or end <= start else end
        return cls(row.path, start, min(max(end, start + SHORTEST), start + LONGEST))


@dataclass(frozen=True, slots=True)
class Playback:
    """What the player loads."""

    kind: Literal["original", "clip"]
    offset: float
    """Time in the file, in seconds, at which the loaded media starts."""
    note: str = ""


def how_to_play(span: Span, cache: Path, *, clip: bool = False) -> Playback:
    """How to play a span. clip: the browser could not play the file. A clip is made now, so that errors are shown.

    Raises MediaError, PathError.
    """
    from vsearch.clips import browser_can_play

    if not clip and browser_can_play(span.path):
        return Playback("original", 0.0)
    made_clip(span, cache)
    return Playback("clip", span.start, "Browsers cannot play this file: this is a copy of the scene.")


def made_clip(span: Span, cache: Path) -> Path:
    """A clip of the span that every browser plays. Raises MediaError, PathError."""
    from vsearch.clips import ClipCache

    return ClipCache(cache / CLIPS, LIMIT_BYTES).playable(span.path, span.start, span.end)


def media_type(path: Path) -> str:
    """The media type of a file by its first bytes; never that of a document, whatever its name."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error.strerror}.") from error
    return next((kind for at, mark, kind in _KINDS if head[at : at + len(mark)] == mark), "application/octet-stream")
