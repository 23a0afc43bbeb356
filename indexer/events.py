"""What a run of the indexer tells as it goes: one frozen object at a time, paths absolute, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Discovered:
    """A video that this run will index."""

    path: Path
    seconds: float
    """Length by its header; 0.0: unknown."""


@dataclass(frozen=True, slots=True)
class Started:
    """Decoding begins."""

    path: Path


@dataclass(frozen=True, slots=True)
class Progress:
    """So much of a video is encoded."""

    path: Path
    done: float
    """Seconds of this video."""
    total: float
    run_done: float
    """Seconds of all videos of this run."""
    run_total: float
    """Seconds of all that was discovered so far."""
    all_discovered: bool
    """Whether run_total will not grow any more."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A video is in the library."""

    path: Path
    scenes: int
    seconds: float
    """Footage that was decoded."""
    replaced: bool = False
    """The path held something else before."""
    warning: str | None = None
    """One line, where only a part of the video could be used."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The library knows this file as it is."""

    path: Path


@dataclass(frozen=True, slots=True)
class Moved:
    """A known video at a new path, or with a new date: recognised by its content, not encoded again."""

    path: Path
    previous: Path | None
    """Where it was, if it is not there any more. None: it is a copy, or only its date changed."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that could not be used."""

    path: Path
    cause: str
    """One line."""
    remembered: bool = False
    """It failed in an earlier run and has not changed since; it was not tried again."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A file that is gone, and so is forgotten."""

    path: Path


@dataclass(frozen=True, slots=True)
class Illustrated:
    """A video that was indexed without thumbnails has them now."""

    path: Path
    thumbnails: int
    """0: none can be made."""


@dataclass(frozen=True, slots=True)
class Listening:
    """So much of a file has been listened to."""

    path: Path
    done: float
    """Seconds of its sound."""
    total: float
    """Seconds; 0.0: unknown."""


@dataclass(frozen=True, slots=True)
class Comparing:
    """Vectors are made of words that have none yet."""

    done: int
    """Videos."""
    total: int


@dataclass(frozen=True, slots=True)
class Transcribed:
    """The words of a video or of a sound file are in the library."""

    path: Path
    lines: int
    source: str
    """"whisper", "sidecar", "embedded", or "none": it has neither sound nor subtitles."""
    language: str | None
    seconds: float
    """That it took."""
    warning: str | None = None
    """One line, where only a part could be used."""


@dataclass(frozen=True, slots=True)
class Untranscribed:
    """Words that could not be had; the pictures of the same video are not touched by that."""

    path: Path
    """The video, or the subtitle file."""
    cause: str
    """One line."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The pictures of a video have been read up to there."""

    path: Path
    done: float
    """Seconds."""
    total: float


@dataclass(frozen=True, slots=True)
class TextRead:
    """The text in the pictures of a video is in the library."""

    path: Path
    lines: int
    pictures: int
    """That were read: those that look like the one before are not."""
    seconds: float
    """That it took."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Text that could not be had; nothing else of the video is touched by that."""

    path: Path
    cause: str
    """One line."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Time spent inside each stage. Stages overlap: the sum may exceed the wall time."""

    decode: float = 0.0
    scenes: float = 0.0
    encode: float = 0.0
    write: float = 0.0
    words: float = 0.0
    """Subtitles and speech."""
    text: float = 0.0
    """Reading what is written in pictures."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, or with dry_run what it would do."""

    indexed: int
    replaced: int
    """Of those indexed: files that held something else before."""
    unchanged: int
    moved: int
    pruned: int
    skipped: tuple[Skipped, ...]
    scenes: int
    footage: float
    """Seconds of video that were indexed."""
    wall: float
    """Seconds that the run took."""
    stages: StageSeconds = field(default_factory=StageSeconds)
    dry_run: bool = False
    transcribed: int = 0
    """Files whose words are new in the library, or new to it."""
    lines: int = 0
    """Of them."""
    untranscribed: tuple[Untranscribed, ...] = ()
    note: str | None = None
    """One line, where files were not listened to, or not read, for want of a model."""
    read: int = 0
    """Videos whose pictures were searched for text."""
    text_lines: int = 0
    """Found there."""
    unread: tuple[Unread, ...] = ()

    @property
    def speed(self) -> float:
        """Seconds of footage a second."""
        return self.footage / self.wall if self.wall > 0 else 0.0

    @property
    def useful(self) -> bool:
        """False where nothing that was named could be used: a command should exit non-zero then."""
        done = self.indexed or self.unchanged or self.moved or self.pruned or self.transcribed or self.read
        return bool(done) or not self.skipped

    def as_json(self) -> dict[str, Any]:
        """The object of `vsearch index --json`."""
        return {
            "indexed": self.indexed,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "moved": self.moved,
            "pruned": self.pruned,
            "skipped": [{"path": str(s.path), "cause": s.cause, "remembered": s.remembered} for s in self.skipped],
            "scenes": self.scenes,
            "footage_seconds": round(self.footage, 3),
            "wall_seconds": round(self.wall, 3),
            "speed": round(self.speed, 2),
            "stage_seconds": {
                "decode": round(self.stages.decode, 3),
                "scenes": round(self.stages.scenes, 3),
                "encode": round(self.stages.encode, 3),
                "write": round(self.stages.write, 3),
                "words": round(self.stages.words, 3),
                "text": round(self.stages.text, 3),
            },
            "dry_run": self.dry_run,
            "transcribed": self.transcribed,
            "lines": self.lines,
            "untranscribed": [{"path": str(u.path), "cause": u.cause} for u in self.untranscribed],
            "read": self.read,
            "text_lines": self.text_lines,
            "unread": [{"path": str(u.path), "cause": u.cause} for u in self.unread],
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event."""

    summary: Summary


Event = (
    Discovered
    | Started
    | Progress
    | Indexed
    | Unchanged
    | Moved
    | Skipped
    | Pruned
    | Illustrated
    | Listening
    | Comparing
    | Transcribed
    | Untranscribed
    | Reading
    | TextRead
    | Unread
    | Finished
)
