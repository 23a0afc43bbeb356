"""The words of the domain, as frozen data that checks its own shapes.

Times are seconds on the player's timeline (0 is where a player starts the file), spans are half-open [start, end).
Arrays are numpy: pixels uint8 RGB [T, H, W, 3], vectors float32 [..., D] of unit length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRANSCRIPT_CHANNELS = ("speech", "ocr")
"""Channels of words: what is said, what is shown."""

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a container says of its video, before any frame is decoded."""

    duration: float
    """Seconds; 0.0 where the container does not know."""
    width: int
    """Pixels as shown: square, after rotation. Width and height are 0 where a file holds sound alone."""
    height: int
    codec: str
    container: str
    rotation: int = 0
    """Degrees clockwise that a player turns the picture, which it may mirror before: 0, 90, 180 or 270."""
    has_audio: bool = False
    recorded_at: float | None = None
    """Unix seconds from the container's creation time, where it has one."""

    def __post_init__(self) -> None:
        if self.duration < 0:
            raise ValueError(f"duration must not be negative: {self.duration = }")
        if (self.width <= 0 or self.height <= 0) and not (self.sound_only and self.has_audio):
            raise ValueError(f"a video has a positive size: {self.width = }, {self.height = }")
        if self.rotation not in (0, 90, 180, 270):
            raise ValueError(f"rotation must be 0, 90, 180 or 270: {self.rotation = }")

    @property
    def sound_only(self) -> bool:
        """There are no pictures."""
        return self.width == self.height == 0


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Where a file lies and what a stat says of it: enough to see that it has not changed."""

    path: Path
    """Absolute."""
    size: int
    mtime_ns: int

    def __post_init__(self) -> None:
        if not self.path.is_absolute():
            raise ValueError(f"path must be absolute: {self.path = }")


@dataclass(frozen=True, slots=True)
class Scene:
    """One shot, or a part of a long one: the unit that is retrieved. [start, end) in seconds."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a scene is a non-empty span: {self.start = }, {self.end = }")

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True, eq=False)
class EncodedScene:
    """A scene with its vectors in one space."""

    scene: Scene
    vector: Vectors
    """[D], unit length: what recall searches."""
    frame_vectors: Vectors
    """[T, F]: one a sampled frame, for best_time and re-ranking."""
    frame_times: Seconds
    """[T] seconds."""
    thumbnail: bytes = b""
    """JPEG, the longer side at most 320 pixels; empty where there is none."""

    def __post_init__(self) -> None:
        if self.vector.ndim != 1 or self.frame_vectors.ndim != 2:
            raise ValueError(f"vector [D], frame_vectors [T, F]: {self.vector.shape = }, {self.frame_vectors.shape = }")
        if len(self.frame_times) != len(self.frame_vectors) or len(self.frame_times) == 0:
            raise ValueError(
                f"one time a frame, at least one frame: {self.frame_times.shape = }, {self.frame_vectors.shape = }"
            )


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word, [start, end) in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle of a picture, as shown: fractions of its width and height, from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not (0 <= self.left <= self.right <= 1 and 0 <= self.top <= self.bottom <= 1):
            raise ValueError(f"a box lies inside its picture, fractions of it: {self}")


@dataclass(frozen=True, slots=True)
class Segment:
    """Words and when they were spoken or shown. [start, end) in seconds."""

    start: float
    end: float
    text: str
    channel: str = "speech"
    """"speech" or "ocr"."""
    words: tuple[Word, ...] = ()
    """In time order, where the times of single words are known."""
    box: Box | None = None
    """Where it is shown."""
    confidence: float | None = None
    """[0, 1]: how sure the reader of a picture was."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """All lines of one channel of a video, and where they come from."""

    lines: tuple[Segment, ...]
    source: str
    """"whisper", "sidecar", "embedded" or "ocr": who wrote the words; "none": there are none to be had."""
    recipe: str
    """Whatever shapes the lines (weights and options, or the subtitle file's name, size and date): the same recipe
    would give the same lines, so there is no need to make them again."""
    language: str | None = None
    """ISO 639 code, where it is known."""
    channel: str = "speech"
    cause: str | None = None
    """Why there are no lines, or not all of them, where something went wrong: one line."""

    def __post_init__(self) -> None:
        if any(line.channel != self.channel for line in self.lines):
            raise ValueError(f"a transcript holds lines of one channel: {self.channel = }")


@dataclass(frozen=True, slots=True)
class Space:
    """Which vectors may be compared with which: two models never meet in one index."""

    model: str
    """The name a person uses."""
    fingerprint: str
    """Hex digest over everything that shapes the vectors."""
    dim: int
    channel: str = "visual"
    metric: str = "ip"

    def __post_init__(self) -> None:
        if self.dim <= 0:
            raise ValueError(f"dim must be positive: {self.dim = }")
        if self.metric != "ip":
            raise ValueError(f"metric must be 'ip' (inner product): {self.metric = }")


@dataclass(frozen=True, slots=True, eq=False)
class PassageVectors:
    """A few lines at a time of one channel of words of a video, as vectors that compare words with words."""

    space: Space
    """Its channel is that of the lines."""
    spans: tuple[tuple[float, float], ...]
    """[start, end) of each passage, seconds, in time order."""
    vectors: Vectors
    """[P, D], unit length."""

    def __post_init__(self) -> None:
        if self.vectors.shape != (len(self.spans), self.space.dim):
            raise ValueError(f"a vector a passage: {self.vectors.shape = }, {len(self.spans) = }, {self.space.dim = }")


@dataclass(frozen=True, slots=True)
class Hit:
    """A scene that answers a query, with what explains it."""

    rank: int
    """From 1."""
    score: float
    video: Path
    start: float
    end: float
    channels: Mapping[str, float]
    """Score of every channel that had a say."""
    best_time: float
    """Seconds: the frame that matched best."""
    words: tuple[Segment, ...] = field(default=())
    """Lines that hold words of the query."""
    matched: tuple[tuple[tuple[int, int], ...], ...] = field(default=())
    """A line: [from, to) of the characters of its text that matched."""
    scene_id: int = 0
    """The library's own, to ask for the scene's thumbnail; 0 for what is in no library."""

    def marked(self) -> list[tuple[Segment, tuple[tuple[int, int], ...]]]:
        """Every line of `words` with the spans of it that matched."""
        unmarked = len(self.words) - len(self.matched)
        return list(zip(self.words, (*self.matched, *[()] * unmarked), strict=True))

    def as_json(self) -> dict[str, Any]:
        """The object of `vsearch query --json`."""
        return {
            "rank": self.rank,
            "score": round(self.score, 6),
            "scene": self.scene_id,
            "video": str(self.video),
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "channels": {name: round(value, 6) for name, value in self.channels.items()},
            "best_time": round(self.best_time, 3),
            "words": [
                {
                    "start": round(line.start, 3),
                    "end": round(line.end, 3),
                    "text": line.text,
                    "channel": line.channel,
                    "matched": [list(span) for span in spans],
                }
                for line, spans in self.marked()
            ],
        }
