"""Events of an index run: one frozen object at a time, paths absolute, times in seconds."""

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
    """Decoding of a video begins."""

    path: Path


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of encoding one video."""

    path: Path
    done: float
    """Seconds of this video that are encoded."""
    total: float
    """Seconds of this video."""
    run_done: float
    """Seconds of all videos of this run that are encoded."""
    run_total: float
    """Seconds of all videos that were discovered so far."""
    all_discovered: bool
    """run_total is final."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A video is in the library."""

    path: Path
    scenes: int
    seconds: float
    """Footage that was decoded."""
    replaced: bool = False
    """The path held another video before."""
    warning: str | None = None
    """One line, where only a part of the video could be used."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that the library holds and that has not changed."""

    path: Path


@dataclass(frozen=True, slots=True)
class Moved:
    """A known video at a new path, or with a new date: recognised by its content, not encoded again."""

    path: Path
    previous: Path | None
    """Its path before, if it is gone from there. None: it is a copy, or only its date changed."""


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
    """A file that is gone and was removed from the library."""

    path: Path


@dataclass(frozen=True, slots=True)
class ThumbnailsMade:
    """A video that was indexed without thumbnails has them now."""

    path: Path
    thumbnails: int
    """0: none can be made."""


@dataclass(frozen=True, slots=True)
class Transcribing:
    """Progress of transcribing the speech of a file, or of recognising text in its frames."""

    path: Path
    channel: str
    """"speech" or "ocr"."""
    done: float
    """Seconds of the file that are done."""
    total: float
    """Seconds of the file; 0.0: unknown."""


@dataclass(frozen=True, slots=True)
class EncodingPassages:
    """Progress of encoding the passages of transcripts that were written without embeddings."""

    done: int
    """Videos that are done."""
    total: int
    """Videos that lack embeddings of passages."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """A transcript is in the library."""

    path: Path
    channel: str
    """"speech" or "ocr"."""
    segments: int
    source: str
    """"whisper", "sidecar", "embedded" or "ocr"; "none": the file has neither sound nor subtitles."""
    language: str | None
    seconds: float
    """Time that the transcript took."""
    warning: str | None = None
    """One line, where only a part could be used."""
    frames: int = 0
    """Frames in which text was recognised; those that look like the one before are left out."""


@dataclass(frozen=True, slots=True)
class Untranscribed:
    """A transcript could not be made; other channels of the same video are not affected."""

    path: Path
    """The video, or the subtitle file."""
    channel: str
    """"speech" or "ocr"."""
    cause: str
    """One line."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Time spent in each stage. Stages overlap: the sum may exceed the wall time."""

    decode: float = 0.0
    scenes: float = 0.0
    encode: float = 0.0
    write: float = 0.0
    speech: float = 0.0
    ocr: float = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, or with dry_run what it would do."""

    indexed: int
    replaced: int
    """Indexed files that held another video before."""
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
    """Files with a new speech transcript."""
    segments: int = 0
    """Segments of these transcripts."""
    untranscribed: tuple[Untranscribed, ...] = ()
    """Files without a speech transcript, because of an error."""
    ocr_videos: int = 0
    """Videos in whose frames text was recognised."""
    ocr_segments: int = 0
    """Segments of that text."""
    ocr_failed: tuple[Untranscribed, ...] = ()
    """Videos in whose frames text could not be recognised."""
    note: str | None = None
    """One line, where a stage passed over files for want of a model."""

    @property
    def speed(self) -> float:
        """Seconds of footage a second."""
        return self.footage / self.wall if self.wall > 0 else 0.0

    @property
    def useful(self) -> bool:
        """False where no given file could be used: a command should exit non-zero then."""
        done = self.indexed or self.unchanged or self.moved or self.pruned or self.transcribed or self.ocr_videos
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
                name: round(getattr(self.stages, name), 3)
                for name in ("decode", "scenes", "encode", "write", "speech", "ocr")
            },
            "dry_run": self.dry_run,
            "transcribed": self.transcribed,
            "segments": self.segments,
            "untranscribed": [{"path": str(u.path), "cause": u.cause} for u in self.untranscribed],
            "ocr_videos": self.ocr_videos,
            "ocr_segments": self.ocr_segments,
            "ocr_failed": [{"path": str(u.path), "cause": u.cause} for u in self.ocr_failed],
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
    | ThumbnailsMade
    | Transcribing
    | EncodingPassages
    | Transcribed
    | Untranscribed
    | Finished
)
