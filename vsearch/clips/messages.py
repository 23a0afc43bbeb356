"""Messages between the clips package and its child processes (child.py). Times in seconds on the player's timeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vsearch.child_messages import Message, Request
from vsearch.clips.kinds import FORMATS
from vsearch.clips.material import Material

How = Literal["copy", "exact", "browser"]
"""How a clip is written.

copy: packets as they are, from the key frame at or before the start; encoded only where that is impossible (the clip
says so). exact: encoded again, exact to the frame. browser: what every browser plays (H.264 and AAC in MP4, without an
H.264 encoder VP9 and Opus in WebM), copied where the codecs are these and a key frame is near, else encoded with at
most 1280 pixels a side."""


@dataclass(frozen=True, slots=True)
class ClipWritten(Message):
    """A clip has been written."""

    suffix: str
    """The ending of its container."""
    start: float
    """Where the clip begins."""
    end: float
    """Where the clip ends."""
    copied: bool
    """The pictures (of a sound file: the sound) are those of the source, bit by bit; False: encoded again."""

    last = True

    def __post_init__(self) -> None:
        if self.suffix not in FORMATS:
            raise ValueError(f"a clip cannot end in {self.suffix!r}")


@dataclass(frozen=True, slots=True)
class StillWritten(Message):
    """A frame has been written as JPEG."""

    time: float
    """When a player begins to show it."""

    last = True


@dataclass(frozen=True, slots=True)
class BrowserChecked(Message):
    """Whether every current browser plays a file as it is."""

    plays: bool

    last = True


@dataclass(frozen=True, slots=True)
class MaterialRead(Message):
    """What an editing program must know of a file."""

    material: Material

    last = True

    def __post_init__(self) -> None:
        for ratio in (self.material.rate, self.material.time_code_rate, self.material.pixel_aspect):
            if ratio is not None and not 0 < ratio <= 1000:
                raise ValueError(f"no frame rate and no shape of a pixel: {ratio}")


@dataclass(frozen=True, slots=True)
class WriteClip(Request):
    """Write [start, end) of a file as a clip."""

    source: Path
    target: Path
    """Overwritten."""
    start: float
    end: float
    how: How
    suffix: str
    """The ending of the container; empty: one that fits."""
    limit: float
    """Seconds that it may take."""

    replies = (ClipWritten,)


@dataclass(frozen=True, slots=True)
class WriteStill(Request):
    """Write the frame that a player shows at a time as JPEG."""

    source: Path
    target: Path
    """Overwritten."""
    time: float
    side: int
    """Pixels of the longer side, at most."""
    limit: float
    """Seconds that it may take."""

    replies = (StillWritten,)


@dataclass(frozen=True, slots=True)
class CheckBrowser(Request):
    """Check whether every current browser plays a file as it is."""

    source: Path
    limit: float
    """Seconds that it may take."""

    replies = (BrowserChecked,)


@dataclass(frozen=True, slots=True)
class ReadMaterial(Request):
    """Read what an editing program must know of a file."""

    source: Path
    limit: float
    """Seconds that it may take."""

    replies = (MaterialRead,)
