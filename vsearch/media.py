"""Domain types: frozen dataclasses that validate their shapes.

Times are seconds on the player's timeline (0 is where a player starts the file); spans are half-open [start, end).
Arrays are numpy: pixels uint8 RGB [T, H, W, 3], embeddings float32 [..., D] of unit length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRANSCRIPT_CHANNELS = ("speech", "ocr")
"""Channels that are searched by their text."""

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Metadata of a container, read before any frame is decoded."""

    duration: float
    """Seconds; 0.0 where the container does not state it."""
    width: int
    """Pixels as displayed: square, after rotation. Width and height are 0 for a file without video frames."""
    height: int
    codec: str
    container: str
    rotation: int = 0
    """Degrees clockwise that a player rotates a frame (after mirroring it, where the file says so): 0, 90, 180, 270."""
    has_audio: bool = False
    recorded_at: float | None = None
    """Creation time of the container in Unix seconds, where it has one."""

    def __post_init__(self) -> None:
        if self.duration < 0:
            raise ValueError(f"duration must not be negative: {self.duration = }")
        if (self.width <= 0 or self.height <= 0) and not (self.sound_only and self.has_audio):
            raise ValueError(f"a video has a positive size: {self.width = }, {self.height = }")
        if self.rotation not in (0, 90, 180, 270):
            raise ValueError(f"rotation must be 0, 90, 180 or 270: {self.rotation = }")

    @property
    def sound_only(self) -> bool:
        """Whether the file has audio but no video frames."""
        return self.width == self.height == 0


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Path, size and modification time of a file: equal stamps mean that it has not changed."""

    path: Path
    """Absolute."""
    size: int
    mtime_ns: int

    def __post_init__(self) -> None:
        if not self.path.is_absolute():
            raise ValueError(f"path must be absolute: {self.path = }")


@dataclass(frozen=True, slots=True)
class Scene:
    """A shot, or a part of a long one: the unit of indexing. [start, end) in seconds."""

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
    """A scene with its embeddings in one space."""

    scene: Scene
    vector: Vectors
    """Embedding of the scene, float32 [D], unit length: searched by recall."""
    frame_vectors: Vectors
    """Embeddings of the sampled frames, float32 [T, F]: for best_time and re-ranking."""
    frame_times: Seconds
    """Float64 [T], seconds."""
    thumbnail: bytes = b""
    """JPEG, longer side at most 320 pixels; empty where there is none."""

    def __post_init__(self) -> None:
        if self.vector.ndim != 1 or self.frame_vectors.ndim != 2:
            raise ValueError(f"vector [D], frame_vectors [T, F]: {self.vector.shape = }, {self.frame_vectors.shape = }")
        if len(self.frame_times) != len(self.frame_vectors) or len(self.frame_times) == 0:
            raise ValueError(
                f"one time a frame, at least one frame: {self.frame_times.shape = }, {self.frame_vectors.shape = }"
            )


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a segment, [start, end) in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in a frame as displayed: fractions of its width and height, from the upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not (0 <= self.left <= self.right <= 1 and 0 <= self.top <= self.bottom <= 1):
            raise ValueError(f"a box lies inside its picture, fractions of it: {self}")


@dataclass(frozen=True, slots=True)
class Segment:
    """A timed line of a transcript: speech or text in frames. [start, end) in seconds."""

    start: float
    end: float
    text: str
    channel: str = "speech"
    """"speech" or "ocr"."""
    words: tuple[Word, ...] = ()
    """In time order; empty where the times of words are unknown."""
    box: Box | None = None
    """Position in the frame, for OCR."""
    confidence: float | None = None
    """Confidence of OCR, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The segments of one channel of a video, and their source."""

    segments: tuple[Segment, ...]
    source: str
    """Origin of the text: "whisper", "sidecar", "embedded" or "ocr"; "none" where the video has none."""
    recipe: str
    """Everything that determines the segments: weights and options, or the name, size and date of the subtitle file. A
    transcript whose recipe has not changed is not made again."""
    language: str | None = None
    """ISO 639 code; None where it is unknown."""
    channel: str = "speech"
    cause: str | None = None
    """One line: the error because of which segments are missing."""

    def __post_init__(self) -> None:
        if any(segment.channel != self.channel for segment in self.segments):
            raise ValueError(f"a transcript holds lines of one channel: {self.channel = }")


@dataclass(frozen=True, slots=True)
class Space:
    """Where embeddings may be compared: those of two spaces never share an index."""

    model: str
    """Name of the model."""
    fingerprint: str
    """Hex digest over everything that determines the embeddings."""
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
    """The passages of one channel of a video with their embeddings, for semantic search."""

    space: Space
    """Its channel is that of the segments."""
    spans: tuple[tuple[float, float], ...]
    """[start, end) of each passage, seconds, in time order."""
    vectors: Vectors
    """Embeddings, float32 [P, D], unit length."""

    def __post_init__(self) -> None:
        if self.vectors.shape != (len(self.spans), self.space.dim):
            raise ValueError(f"a vector a passage: {self.vectors.shape = }, {len(self.spans) = }, {self.space.dim = }")


@dataclass(frozen=True, slots=True)
class Hit:
    """A result of a query: a scene or span, its score and the evidence for it."""

    rank: int
    """From 1."""
    score: float
    video: Path
    start: float
    end: float
    channels: Mapping[str, float]
    """Score of each channel that contributed."""
    best_time: float
    """Time of the best matching frame, seconds."""
    segments: tuple[Segment, ...] = field(default=())
    """Segments that contain words of the query."""
    matched: tuple[tuple[tuple[int, int], ...], ...] = field(default=())
    """For each segment, the character spans [from, to) of its text that matched."""
    scene_id: int = 0
    """Identifies the scene in its library; 0 for a scene that is in no library."""

    def marked(self) -> list[tuple[Segment, tuple[tuple[int, int], ...]]]:
        """Each segment of `segments` with its matched character spans."""
        unmarked = len(self.segments) - len(self.matched)
        return list(zip(self.segments, (*self.matched, *[()] * unmarked), strict=True))

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
            "segments": [
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
