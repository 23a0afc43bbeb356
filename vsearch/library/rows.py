"""Data that a store takes and returns. Times are seconds; ids are those of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsearch.media import EncodedScene, FileStamp, Segment, Space, VideoInfo
from vsearch.spelling import caseless


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """Everything about one video that is written in one transaction."""

    stamp: FileStamp
    key: str
    """Content key."""
    info: VideoInfo
    space: Space
    scenes: tuple[EncodedScene, ...]
    """In time order, at least one."""
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a video needs a content key")
        if not self.scenes:
            raise ValueError(f"a video has at least one scene: {self.stamp.path}")


@dataclass(frozen=True, slots=True)
class VideoRow:
    """A video of the library."""

    id: int
    key: str
    info: VideoInfo
    paths: tuple[Path, ...]
    """Every file with this content, oldest row first. Empty until `remove_orphans`, if the last file is gone."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file and its video, as of the last index run."""

    path: Path
    size: int
    mtime_ns: int
    video_id: int
    key: str


@dataclass(frozen=True, slots=True)
class SceneRow:
    """A scene [start, end), and a file that contains it."""

    id: int
    video_id: int
    path: Path
    start: float
    end: float


def same_scenes(known: Sequence[tuple[float, float]], new: Sequence[EncodedScene]) -> bool:
    """Whether stored scenes, (start, end) in time order, equal the encoded ones to a millisecond."""
    return len(known) == len(new) and all(
        abs(start - encoded.scene.start) < 1e-3 and abs(end - encoded.scene.end) < 1e-3
        for (start, end), encoded in zip(known, new, strict=True)
    )


@dataclass(frozen=True, slots=True)
class TranscriptRow:
    """A transcript of a video without its segments: see media.Transcript."""

    channel: str
    source: str
    recipe: str
    language: str | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class PassageHit:
    """A passage that matches a query."""

    scene_id: int
    """The scene in which it starts."""
    video_id: int
    start: float
    """Seconds: the first matching word, or its segment if words have no times."""
    end: float
    """Seconds: the end of the last segment that matches."""
    score: float
    """[0, 1]: how much of the query the passage contains. 1: all of it, in one segment or as quoted. 0: none of its
    words, as for a passage that only semantic search found."""
    channel: str
    segments: tuple[Segment, ...]
    """The segments that match, in time order; at least one."""
    matches: tuple[tuple[int, int, int], ...]
    """The tokens that match (see folding.py): the number of the segment, its first and its last matching token."""
    expect_value: float = 1.0
    """How many passages of the library would contain as much of the query by chance, if its words were spoken at random
    with their usual frequency. A match far below 1 is no coincidence."""
    similarity: float = 0.0
    """Cosine of the embeddings of the query and of the passage; 0 if semantic search did not find it."""

    @property
    def spans(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each segment, the spans [from, to) of the characters of its text that match. Computed on access: few
        ranked hits are shown."""
        from vsearch.library.matches import highlights

        return highlights(self.segments, self.matches)


def label_key(label: str) -> str:
    """The normalised spelling of a label: case, Unicode form and repeated blanks are ignored."""
    return " ".join(caseless(label).encode("utf-8", "backslashreplace").decode("utf-8").split())


@dataclass(frozen=True, slots=True)
class SceneLabel:
    """A label of a scene."""

    scene_id: int
    label: str
    score: float
    """How far the label stands out in the scene: see search/labels.py."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label, and the number of scenes and videos that have it."""

    label: str
    model: str
    """Name of the model that gave the label."""
    scenes: int
    videos: int

    def as_json(self) -> dict[str, Any]:
        """An object of `vsearch label --list --json`."""
        return {"label": self.label, "model": self.model, "scenes": self.scenes, "videos": self.videos}


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """A space, and the number of videos encoded in it and of their embeddings."""

    id: int
    space: Space
    videos: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed. It is not tried again while its stamp is the same."""

    stamp: FileStamp
    cause: str


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """Numbers of rows that `forget_files` or `remove_orphans` removed."""

    files: int = 0
    videos: int = 0
    scenes: int = 0
    failures: int = 0
    """Remembered failures."""


@dataclass(frozen=True, slots=True)
class SpaceRemoval:
    """What `remove_spaces` removed."""

    videos: int
    """Videos that were encoded in the spaces."""
    vectors: int
    bytes_freed: int
    """Bytes of catalog and snapshots returned to the disk."""


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """Counts of a library's contents."""

    path: Path
    change: int
    """The change number."""
    videos: int
    files: int
    scenes: int
    seconds: float
    """Total duration of the videos."""
    spaces: tuple[SpaceRow, ...]
    catalog_bytes: int
    snapshot_bytes: int
    failures: tuple[Failure, ...]
    sounds: int = 0
    """Videos with sound only: they are in no visual space."""
    transcribed: int = 0
    """Videos whose speech was transcribed or whose subtitles were read."""
    speech_segments: int = 0
    """Segments of the channel speech."""
    ocr_videos: int = 0
    """Videos in whose frames text was recognised (OCR)."""
    ocr_segments: int = 0
    """Segments of the channel ocr."""
    default_model: str | None = None
    """See `Store.default_model`."""

    def as_json(self) -> dict[str, Any]:
        """The object of `vsearch status --json`."""
        return {
            "path": str(self.path),
            "change": self.change,
            "videos": self.videos,
            "sounds": self.sounds,
            "transcribed": self.transcribed,
            "speech_segments": self.speech_segments,
            "ocr_videos": self.ocr_videos,
            "ocr_segments": self.ocr_segments,
            "files": self.files,
            "scenes": self.scenes,
            "seconds": round(self.seconds, 3),
            "default_model": self.default_model,
            "spaces": [
                {
                    "model": row.space.model,
                    "fingerprint": row.space.fingerprint,
                    "channel": row.space.channel,
                    "dim": row.space.dim,
                    "videos": row.videos,
                    "vectors": row.vectors,
                }
                for row in self.spaces
            ],
            "catalog_bytes": self.catalog_bytes,
            "snapshot_bytes": self.snapshot_bytes,
            "failures": [{"path": str(failure.stamp.path), "cause": failure.cause} for failure in self.failures],
        }


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Results of `verify`, one line each. Without any, the library was clean before."""

    problems: tuple[str, ...] = ()
    """Problems that remain."""
    repaired: tuple[str, ...] = ()
    """Problems that were repaired."""
    lost: tuple[Path, ...] = field(default=())
    """Files whose videos were removed: the next index run encodes them again."""
    broken_pages: bool = False
    """SQLite reports a broken catalog: `repair_library` makes a new one from the rows that can be read."""

    @property
    def clean(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The object of `vsearch verify --json`."""
        return {
            "clean": self.clean,
            "problems": list(self.problems),
            "repaired": list(self.repaired),
            "lost": [str(path) for path in self.lost],
        }
