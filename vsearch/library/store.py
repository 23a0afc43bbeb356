"""The storage interface behind a library. `SqliteStore` (sqlite_store.py) is its first implementation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vsearch.library.filters import NO_FILTERS, Filters
from vsearch.library.rows import (
    Failure,
    FileRow,
    LabelRow,
    LibraryStatus,
    PassageHit,
    RemovalReport,
    SceneLabel,
    SceneRow,
    SpaceRemoval,
    SpaceRow,
    TranscriptRow,
    VerifyReport,
    VideoRecord,
    VideoRow,
)
from vsearch.media import (
    EncodedScene,
    FileStamp,
    PassageVectors,
    Scene,
    Seconds,
    Segment,
    Space,
    Transcript,
    Vectors,
    VideoInfo,
)

Ids = NDArray[np.int64]


class ReadableStore(Protocol):
    """The reading side of a store. Every method sees what was committed before it was called. Thread-safe."""

    # -- files and videos

    def find_file(self, path: Path) -> FileRow | None:
        """The file at an absolute path, if it is known."""

    def files(self, under: Path | None = None) -> list[FileRow]:
        """Every file by path, or those at and below `under`."""

    def find_failure(self, path: Path) -> Failure | None:
        """The remembered failure of a path."""

    def failures(self, under: Path | None = None) -> list[Failure]:
        """Every remembered failure by path, or those at and below `under`."""

    def find_key(self, key: str) -> VideoRow | None:
        """The video with a content key."""

    def videos(self, after: int = 0, limit: int = 100) -> list[tuple[VideoRow, int]]:
        """Videos with a file, by id, and the number of scenes of each: at most `limit` with ids above `after`."""

    # -- transcripts

    def transcript(self, video_id: int) -> list[Segment]:
        """The segments of a video, of every channel, in time order."""

    def find_transcript(self, video_id: int, channel: str = "speech") -> TranscriptRow | None:
        """The origin of a video's transcript in a channel; None if the channel has not been processed."""

    def without_passages(self, space: Space) -> list[int]:
        """Ids of the videos that have segments of the space's channel, but no passages in the space."""

    # -- scenes

    def scenes(self, ids: Iterable[int], *, filters: Filters = NO_FILTERS) -> dict[int, SceneRow]:
        """Scenes by id; removed scenes and scenes of videos without a file are absent.

        The path is that of the video's oldest file, or of the oldest that passes the filters `path` and `folder`.
        """

    def scenes_of(self, video_id: int) -> list[SceneRow]:
        """A video's scenes in time order."""

    def scenes_between(self, video_id: int, start: float, end: float) -> list[SceneRow]:
        """A video's scenes that overlap [start, end), in seconds, in time order."""

    def scenes_outside(self, videos: Collection[int], allowed: Ids | None) -> Ids:
        """Ids, ascending, of the scenes that belong to none of these videos; `allowed`: only of these scenes."""

    def thumbnail(self, scene_id: int) -> bytes | None:
        """The thumbnail of a scene: a JPEG whose longer side has at most 320 pixels."""

    def videos_without_thumbnails(self) -> set[int]:
        """Ids of the videos with frames that have scenes for which no thumbnail was tried yet."""

    def labels(self) -> list[LabelRow]:
        """Every label that a scene has, with the model that gave it, in alphabetical order."""

    # -- spaces and embeddings

    def default_model(self) -> str | None:
        """The name of the model that answers queries unless another one is given, if it was chosen."""

    def spaces(self) -> list[SpaceRow]:
        """Every space, oldest first."""

    def has_space(self, video_id: int, space: Space) -> bool:
        """Whether every scene of a video is encoded in a space."""

    def unencoded_files(self, space: Space) -> list[Path]:
        """A file of each video with frames that is not encoded in a space, by path."""

    def scene_vectors(self, space: Space, scene_ids: Sequence[int]) -> dict[int, Vectors]:
        """Embeddings of scenes in a space, float32 [D]; scenes without one are absent."""

    def frame_vectors(self, space: Space, scene_ids: Iterable[int]) -> dict[int, tuple[Vectors, Seconds]]:
        """Frames of scenes in a space: float32 [T, F] (rounded to int8 steps) and their times in seconds [T]."""

    def all_vectors(self, space: Space) -> Iterator[tuple[Ids, Vectors]]:
        """Every scene embedding of a space at one change number, in chunks: ids [N] and float32 [N, D].

        Includes scenes of videos without a file.
        """

    # -- searching

    def select_scenes(self, filters: Filters) -> Ids | None:
        """Ids, ascending, of the scenes that pass every filter that is set; None if none is set."""

    def search_scenes(
        self, space: Space, queries: Vectors, k: int, *, allowed: Ids | None = None
    ) -> tuple[NDArray[np.float32], Ids]:
        """The k scenes nearest to each query: scores [Q, k'] and scene ids [Q, k'], best first.

        queries: float32 [Q, D]. allowed: only these scene ids. k' is at most k; a row with fewer results than another
        ends in ids of -1. Scores are inner products with the stored fp16 embeddings. May include scenes of videos
        without a file: `scenes` leaves them out.
        """

    def search_text(
        self, query: str, k: int, *, allowed: Ids | None = None, channel: str | None = None
    ) -> list[PassageHit]:
        """Full-text search: the k best passages that contain words of the query, best first.

        The first n results are the same for every k >= n, and filters apply before the limit. Words in "quotes" must
        occur word for word; basket* matches every word that begins so; no query text is an error. allowed: only these
        scene ids. channel: "speech" or "ocr"; None for both.
        """

    def search_passages(self, space: Space, query: Vectors, k: int, *, allowed: Ids | None = None) -> list[PassageHit]:
        """Semantic search: the k passages nearest to a query embedding [D], best first; of two that overlap in time the
        nearer one. allowed: only passages that begin in these scenes."""

    # -- the library as a whole

    def status(self) -> LibraryStatus:
        """Counts of the library's contents; only videos with a file count."""

    def close(self) -> None:
        """Release files and memory. No other thread may still use the store."""


class Store(ReadableStore, Protocol):
    """A store that can also be written.

    Every method below is one transaction under the writer's lock. Errors: LibraryLocked, LibraryReadOnly, LibraryFull,
    LibraryDamaged.
    """

    def writing(self) -> AbstractContextManager[None]:
        """Hold the writer's lock over several changes. LibraryLocked if another process or thread holds it."""

    # -- videos and files

    def add_video(self, record: VideoRecord) -> int:
        """Add a video with its scenes, embeddings and segments; returns its id.

        Replaces everything known of the same content, in every space. The content that the path held before is no
        longer found; if no other path holds it, it stays known until `remove_orphans`.
        """

    def add_encoding(self, key: str, space: Space, scenes: Sequence[EncodedScene]) -> None:
        """Add the embeddings of a known video in a space. LibraryError if these are not its stored scenes."""

    def add_sound(
        self,
        stamp: FileStamp,
        key: str,
        info: VideoInfo,
        spans: Sequence[Scene],
        transcript: Transcript,
        passages: PassageVectors | None = None,
    ) -> int:
        """Add a file with sound only, its transcript and passages; returns its id. spans: at least one, in time order.

        Replaces what was known, as `add_video` does.
        """

    def set_thumbnails(self, key: str, thumbnails: Mapping[int, bytes]) -> None:
        """Replace thumbnails (JPEG, by scene id) of a known video. Empty: no thumbnail can be made."""

    def touch_file(self, stamp: FileStamp, key: str) -> None:
        """Point a path (new, moved, or with a new stamp) at known content. LibraryError if it is not known.

        The content that the path held before is treated as by `add_video`.
        """

    def forget_files(self, paths: Iterable[Path], *, keep_videos: bool = False) -> RemovalReport:
        """Remove paths, their remembered failures, and every video that is left without a file.

        Unknown paths are ignored. keep_videos: videos without a file stay known until `remove_orphans`.
        """

    def remove_orphans(self) -> RemovalReport:
        """Remove the videos without a file.

        If files are renamed in a chain or swapped, content that loses its path may be found under another one later in
        the same index run. So it stays, neither found nor counted, until the run has seen all files and calls this.
        """

    def record_failure(self, failure: Failure) -> None:
        """Remember that a file could not be indexed, until its path is added, touched or forgotten."""

    # -- transcripts

    def set_transcript(self, key: str, transcript: Transcript, passages: PassageVectors | None = None) -> None:
        """Replace the transcript of one channel of a known video, and its passages."""

    def set_passages(self, video_id: int, passages: PassageVectors) -> None:
        """Add the passages of a transcript that a video has already: see `without_passages`."""

    # -- models and labels

    def set_default_model(self, name: str) -> None:
        """Set `default_model`."""

    def set_labels(self, space: Space, labels: Sequence[str], tags: Sequence[SceneLabel]) -> None:
        """Replace the scenes that have these labels in a space; other labels stay.

        A scene loses its labels when it is removed or encoded again in the space. Case and repeated blanks are
        ignored, and so are scenes that are not encoded in the space.
        """

    def clear_labels(self, labels: Sequence[str] | None = None) -> int:
        """Remove these labels, or all, from every scene, whatever model gave them; returns the number of scenes."""

    def remove_spaces(self, spaces: Sequence[Space]) -> SpaceRemoval:
        """Remove spaces with all their embeddings, and return the disk space.

        LibraryError if a video with frames would be left that is encoded in no space.
        """

    # -- maintenance

    def save_snapshots(self, *, force: bool = False) -> None:
        """Save a snapshot of every space that has changed by more than a twentieth since its last one (force: at all).

        Without it nothing is lost, but a query has more changes to replay.
        """

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check that the catalog is intact, that every embedding is present and valid, and that snapshots agree.

        With `repair`, snapshots are rebuilt, videos without a file removed, and videos whose embeddings are missing or
        broken removed, so that the next index run adds them again. Broken pages need `repair_library`.
        """
