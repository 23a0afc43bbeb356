"""What goes into a library and what comes out of it, as frozen data. Times are seconds, ids are the catalog's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsearch.media import EncodedScene, FileStamp, Segment, Space, VideoInfo
from vsearch.spelling import caseless


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """All that one video brings: it is written in one transaction."""

    stamp: FileStamp
    key: str
    """Content key: two files of one content share it."""
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
    """A video that the library knows."""

    id: int
    key: str
    info: VideoInfo
    paths: tuple[Path, ...]
    """Every file that holds this content, oldest row first. None while the library waits whether it turns up again."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A path and the video that it held when it was last looked at."""

    path: Path
    size: int
    mtime_ns: int
    video_id: int
    key: str


@dataclass(frozen=True, slots=True)
class SceneRow:
    """A scene and a file to play it from. [start, end) in seconds."""

    id: int
    video_id: int
    path: Path
    start: float
    end: float


def same_scenes(known: Sequence[tuple[float, float]], new: Sequence[EncodedScene]) -> bool:
    """Whether stored scenes, (start, end) in seconds in time order, are those that were encoded, to a millisecond."""
    return len(known) == len(new) and all(
        abs(start - encoded.scene.start) < 1e-3 and abs(end - encoded.scene.end) < 1e-3
        for (start, end), encoded in zip(known, new, strict=True)
    )


@dataclass(frozen=True, slots=True)
class TranscriptRow:
    """What is known of a channel of words of a video, without the words: see media.Transcript."""

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
    """What all spellings of a label share, and how it is stored: case, Unicode form and the number of blanks mean
    nothing."""
    return " ".join(caseless(label).encode("utf-8", "backslashreplace").decode("utf-8").split())


@dataclass(frozen=True, slots=True)
class Tag:
    """A scene has a label."""

    scene_id: int
    label: str
    score: float
    """How far it stands out: see search/labels.py."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label, and how much of the library has it."""

    label: str
    model: str
    """That sees it there."""
    scenes: int
    videos: int

    def as_json(self) -> dict[str, Any]:
        """An object of `vsearch label --list --json`."""
        return {"label": self.label, "model": self.model, "scenes": self.scenes, "videos": self.videos}


@dataclass(frozen=True, slots=True)
class SpaceRow:
    """A space and how much of the library is encoded in it."""

    id: int
    space: Space
    videos: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed. The same stamp need not be tried again."""

    stamp: FileStamp
    cause: str


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """What `forget_files` took away."""

    files: int = 0
    videos: int = 0
    scenes: int = 0
    failures: int = 0
    """Files that were remembered as not to be indexed."""


@dataclass(frozen=True, slots=True)
class SpaceRemoval:
    """What `remove_spaces` took away."""

    videos: int
    """That were encoded there, and still are elsewhere."""
    vectors: int
    bytes_freed: int
    """On the disk: of catalog and snapshots."""


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """What a library holds."""

    path: Path
    change: int
    """The catalog's change number: one more for every write."""
    videos: int
    files: int
    scenes: int
    seconds: float
    """Footage."""
    spaces: tuple[SpaceRow, ...]
    catalog_bytes: int
    snapshot_bytes: int
    failures: tuple[Failure, ...]
    sounds: int = 0
    """Of the videos: those without pictures, which no visual space ever holds."""
    transcribed: int = 0
    """Of the videos: those that were listened to, or whose subtitles were read."""
    speech_segments: int = 0
    """Of what was said there."""
    ocr_videos: int = 0
    """Of the videos: those whose pictures were searched for text."""
    ocr_segments: int = 0
    """Found there."""
    default_model: str | None = None
    """See `SqliteStore.default_model`."""

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
    """What `verify` found, a line each. Both empty: the library was clean before."""

    problems: tuple[str, ...] = ()
    """What is wrong now."""
    repaired: tuple[str, ...] = ()
    """What was put right, with `repair`."""
    lost: tuple[Path, ...] = field(default=())
    """Files whose videos had to be dropped: the next index run encodes them again."""
    broken_pages: bool = False
    """SQLite itself finds the catalog broken: `repair_library` makes a new one of what can be read."""

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
