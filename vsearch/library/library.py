"""The door to what is stored. See catalog.py for the tables and vectors.py for how the nearest are found.

Readers and one writer may use a library at once, from several threads and processes: a reader sees whatever was
committed before its question.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import LibraryError, LibraryMissing, PathError
from vsearch.library import snapshots
from vsearch.library.faults import translated, unreadable
from vsearch.library.lock import WriterLock
from vsearch.library.reader import Reader, connect_read_only
from vsearch.library.rows import (
    Failure,
    FileRow,
    LabelRow,
    LibraryStatus,
    RemovalReport,
    SceneRow,
    SpaceRemoval,
    SpaceRow,
    Tag,
    TranscriptRow,
    VerifyReport,
    VideoRecord,
    VideoRow,
    WordHit,
)
from vsearch.media import (
    EncodedScene,
    FileStamp,
    PassageVectors,
    Scene,
    Seconds,
    Space,
    Transcript,
    TranscriptLine,
    Vectors,
    VideoInfo,
)

if TYPE_CHECKING:
    from vsearch.library.space_index import SpaceIndex
    from vsearch.library.writer import Writer

_log = logging.getLogger(__name__)

CATALOG = "catalog.db"
SNAPSHOTS = "snapshots"

# Up to this many scenes that a filter admits, reading them all from the catalog beats asking an index.
_EXACT_BELOW = 2_000
# A snapshot is taken anew once this share of the space has changed since: until then replaying is quick.
_STALE_SHARE = 0.05


class Library:
    """A folder that holds a catalog and its snapshots. Also a context manager that closes itself."""

    def __init__(self, path: Path) -> None:
        """Use `Library.open`."""
        self.path = path
        self._snapshots = path / SNAPSHOTS
        self._lock = WriterLock(path)
        self._reader = Reader(path, path / CATALOG)
        self._guard = threading.Lock()
        self._writer: Writer | None = None
        self._indexes: dict[int, SpaceIndex] = {}
        self._spaces: tuple[int, list[SpaceRow]] | None = None

    @classmethod
    def open(cls, path: Path, *, create: bool = False, upgrade: bool = True) -> Library:
        """Open the library at `path`; with `create`, make it if there is none.

        Raises LibraryMissing, LibraryTooNew, LibraryDamaged, and while creating LibraryReadOnly, LibraryFull or
        LibraryLocked. A library of an older schema is brought up to date, which takes the writer's lock;
        without `upgrade` nothing is written and it is a LibraryError.
        """
        path = path.absolute()
        with contextlib.suppress(OSError):  # what cannot be looked at is told below
            if not stat.S_ISDIR(path.stat().st_mode):
                raise PathError(f"{path} is a file: a library is a folder")
        library = cls(path)
        if library._version() == 0 and not create:
            raise LibraryMissing(f"no library at {path}: make one with `vsearch index FOLDER`")
        try:
            library._migrate(upgrade=upgrade or create)
            library._reader.state()
        except BaseException:
            library.close()
            raise
        return library

    def _version(self) -> int:
        """The catalog's schema version, 0 where there is none."""
        from vsearch.library.migrations import version_of

        with translated(self.path):
            database = self.path / CATALOG
            try:
                database.stat()
            except (FileNotFoundError, NotADirectoryError):
                return 0
            except PermissionError as error:
                raise unreadable(self.path) from error
            # Not by opening it: closing it again would drop the locks that SQLite holds on it in this process.
            if not os.access(database, os.R_OK):
                raise unreadable(self.path)
            connection = connect_read_only(database)
            try:
                return version_of(connection, self.path)
            finally:
                connection.close()

    def _migrate(self, *, upgrade: bool) -> None:
        from vsearch.library.migrations import VERSION, migrate

        if self._version() == VERSION:
            return
        if not upgrade:
            raise LibraryError(f"the library {self.path} is of an older version: `vsearch status` brings it up to date")
        import sqlite3

        with translated(self.path):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as error:  # a file system that takes no folders, such as /proc
                raise LibraryError(f"no library can be made at {self.path}: choose another folder") from error
            with self._lock.held():
                connection = sqlite3.connect(self.path / CATALOG, isolation_level=None, timeout=5.0)
                try:
                    migrate(connection, self.path)
                finally:
                    connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and memory. Threads must be done with the library."""
        self._reader.close()
        with self._guard:
            self._indexes.clear()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    # -- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer, here and now: LibraryLocked if another is, LibraryReadOnly if nobody can.

        Every method that writes takes the lock by itself; hold it over many writes so that nobody comes in between.
        """
        with self._lock.held() as outermost:
            if outermost:
                snapshots.drop_ahead(self._snapshots, self._reader.state().change)
            yield

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with self.writing():
            if self._writer is None:
                from vsearch.library.writer import Writer

                self._writer = Writer(self.path, self.path / CATALOG)
            yield self._writer

    def add_video(self, record: VideoRecord) -> int:
        """Write a video, its scenes, vectors and words in one transaction; returns its id.

        It takes the place of what the same content had before (in every space). What the same path held before is no
        longer found; if no other path holds it, it stays known until `remove_orphans`.
        """
        with self._writing() as writer:
            return writer.add_video(record)

    def add_encoding(self, key: str, space: Space, scenes: Sequence[EncodedScene]) -> None:
        """Vectors of a known video in one more space. LibraryError if its scenes are not those that are stored."""
        with self._writing() as writer:
            writer.add_encoding(key, space, scenes)

    def add_sound(
        self,
        stamp: FileStamp,
        key: str,
        info: VideoInfo,
        spans: Sequence[Scene],
        heard: Transcript,
        passages: PassageVectors | None = None,
    ) -> int:
        """Write a file that holds sound alone, with its words and their vectors, in one transaction; returns its id.

        spans: at least one, in time order. It takes the place of what was there before, as `add_video` does.
        """
        with self._writing() as writer:
            return writer.add_sound(stamp, key, info, spans, heard, passages)

    def set_transcript(self, key: str, transcript: Transcript, passages: PassageVectors | None = None) -> None:
        """The words of one channel of a known video and their vectors, in the place of those it had, in one
        transaction. LibraryError if the video is not known."""
        with self._writing() as writer:
            writer.set_transcript(key, transcript, passages)

    def set_passages(self, video_id: int, passages: PassageVectors) -> None:
        """Vectors of words that a video has already: see `without_passages`."""
        with self._writing() as writer:
            writer.set_passages(video_id, passages)

    def set_thumbnails(self, key: str, pictures: Mapping[int, bytes]) -> None:
        """Thumbnails (JPEG) of a known video's scenes, by scene id; empty: none could be made. LibraryError if the
        video is not known."""
        with self._writing() as writer:
            writer.set_thumbnails(key, pictures)

    def touch_file(self, stamp: FileStamp, key: str) -> None:
        """A path (new, moved, or with a new stamp) now holds this known content. LibraryError if it is not known.

        What it held before is treated as by `add_video`.
        """
        with self._writing() as writer:
            writer.touch_file(stamp, key)

    def forget_files(self, paths: Iterable[Path], *, keep_videos: bool = False) -> RemovalReport:
        """Take paths, their remembered failures, and every video that no path holds away, in one transaction.

        Unknown paths are passed. keep_videos: those that no path holds stay known until `remove_orphans`.
        """
        with self._writing() as writer:
            return writer.forget_files(paths, keep_videos=keep_videos)

    def remove_orphans(self) -> RemovalReport:
        """Remove the videos that no path holds, in one transaction.

        Files that are renamed in a chain, or swapped, take each other's paths: when one is met under its new name,
        the content that this path held before may yet be met under another. So it stays, neither found nor counted,
        until whoever looks at the files has seen them all and calls this.
        """
        with self._writing() as writer:
            return writer.remove_orphans() if self._reader.has_orphans() else RemovalReport()

    def record_failure(self, failure: Failure) -> None:
        """Remember that a file could not be indexed; forgotten when its path is added, touched or forgotten."""
        with self._writing() as writer:
            writer.record_failure(failure)

    def set_default_model(self, name: str) -> None:
        """See `default_model`."""
        with self._writing() as writer:
            writer.set_setting("model", name)

    def set_labels(self, space: Space, labels: Sequence[str], tags: Sequence[Tag]) -> None:
        """Which scenes have these labels in a space from now on, in one transaction; other labels stay as they are.

        Labels go with their scene and with the space, and when a scene is encoded there anew. Case and blanks mean
        nothing. Scenes that are not encoded in the space are passed over.
        """
        with self._writing() as writer:
            writer.replace_labels(space, labels, tags)

    def clear_labels(self, labels: Sequence[str] | None = None) -> int:
        """Take these labels, or all of them, away, whatever model gave them. How many scenes lost one."""
        with self._writing() as writer:
            return writer.clear_labels(labels)

    def remove_spaces(self, spaces: Sequence[Space]) -> SpaceRemoval:
        """Take spaces away with all that lies in them, in one transaction; then the disk gets its room back.

        Raises LibraryError where a video would be left with pictures that no model can find.
        """
        ids = [space_id for space in spaces if (space_id := self._reader.space_id(space)) is not None]
        with self._writing() as writer:
            before = sum(self._bytes())
            videos, vectors = writer.remove_spaces(ids)
            with self._guard:
                for space_id in ids:
                    self._indexes.pop(space_id, None)
            self.save_snapshots()
            writer.compact()
            return SpaceRemoval(videos, vectors, max(0, before - sum(self._bytes())))

    # -- files and videos

    def default_model(self) -> str | None:
        """The name of the model that answers unless told otherwise, where one was chosen."""
        return self._reader.setting("model")

    def unencoded_files(self, space: Space) -> list[Path]:
        """A file of each video with pictures that is not encoded in a space yet, by path."""
        return self._reader.unencoded_files(space)

    def find_key(self, key: str) -> VideoRow | None:
        """The video with this content key."""
        return self._reader.video(key)

    def videos(self, after: int = 0, limit: int = 100) -> list[tuple[VideoRow, int]]:
        """Videos that some path holds and how many scenes each has, by id: at most `limit` with ids above `after`."""
        return self._reader.videos(after, limit)

    def find_file(self, path: Path) -> FileRow | None:
        """What the library knows of a path (absolute)."""
        return self._reader.file(path)

    def files(self, under: Path | None = None) -> list[FileRow]:
        """Every file by path, or those at and below `under`."""
        return self._reader.files(under)

    def find_failure(self, path: Path) -> Failure | None:
        """The remembered failure of a path."""
        return self._reader.failure(path)

    def failures(self, under: Path | None = None) -> list[Failure]:
        """Every remembered failure by path, or those at and below `under`."""
        return self._reader.failures(under)

    # -- words

    def transcript(self, video_id: int) -> list[TranscriptLine]:
        """A video's words in time order."""
        return self._reader.transcript(video_id)

    def find_transcript(self, video_id: int, channel: str = "speech") -> TranscriptRow | None:
        """Where a channel's words come from; None where nobody has listened or looked yet."""
        return next((row for row in self._reader.transcripts(video_id) if row.channel == channel), None)

    def search_words(
        self, query: str, k: int, *, allowed: NDArray[np.int64] | None = None, channel: str | None = None
    ) -> list[WordHit]:
        """Passages that hold words of the query, best first, at most k: see texts.py.

        Anything in "quotes" must be there word for word; basket* stands for every word that begins so; no text is an
        error. allowed: only these scene ids. channel: "speech" or "ocr"; None for both.
        """
        from vsearch.library.texts import search_words

        if k <= 0:
            raise ValueError(f"k must be positive: {k = }")
        return search_words(self._reader, query, k, allowed, channel)

    def without_passages(self, space: Space) -> list[int]:
        """Videos with words of the space's channel, but no vectors of them there."""
        return self._reader.without_passages(space)

    def search_passages(
        self, space: Space, query: Vectors, k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> list[WordHit]:
        """The passages of words nearest to a query [D] in meaning, best first, at most k.

        allowed: only these scene ids.
        """
        from vsearch.library.passages import admitted, passage_hits

        if k <= 0:
            raise ValueError(f"k must be positive: {k = }")
        space_id = self._reader.space_id(space)
        if space_id is None:
            return []
        with self._reader.transaction():
            ids = None if allowed is None else admitted(self._reader, space_id, allowed)
            scores, found = self._index(space_id, space).search(query[None], k, ids, _EXACT_BELOW)
            return passage_hits(self._reader, space, found[0], scores[0], allowed)

    # -- scenes and vectors

    def scenes(
        self, ids: Sequence[int], *, path_glob: str | None = None, under: Path | None = None
    ) -> dict[int, SceneRow]:
        """Scenes by id; those that are gone, or whose video no path holds now, are absent.

        path_glob, under: of the files that hold a scene's video, tell one that these filters of `select_scenes` admit.
        """
        from vsearch.library.filters import admits

        unfiltered = path_glob is None and under is None
        return self._reader.scenes(ids, None if unfiltered else admits(path_glob, under))

    def scenes_of(self, video_id: int) -> list[SceneRow]:
        """A video's scenes in time order."""
        return self._reader.scenes_of(video_id)

    def thumbnail(self, scene_id: int) -> bytes | None:
        """JPEG of a scene, its longer side at most 320 pixels. None where there is none."""
        return self._reader.thumbnail(scene_id)

    def videos_without_thumbnails(self) -> set[int]:
        """Ids of the videos with pictures for whose scenes nobody has tried to make thumbnails yet."""
        return self._reader.videos_without_thumbnails()

    def has_space(self, video_id: int, space: Space) -> bool:
        """Whether every scene of a video is encoded in a space."""
        space_id = self._reader.space_id(space)
        return space_id is not None and self._reader.has_encoding(video_id, space_id)

    def labels(self) -> list[LabelRow]:
        """Every label that a scene has, in the order of the alphabet."""
        return self._reader.labels()

    def spaces(self) -> list[SpaceRow]:
        """Every space, oldest first."""
        with self._reader.transaction():
            change = self._reader.state().change
            # Counting a million vectors takes longer than searching them.
            known = self._spaces
            if known is None or known[0] != change:
                known = self._spaces = (change, self._reader.spaces())
        return list(known[1])

    def frame_vectors(self, space: Space, scene_ids: Sequence[int]) -> dict[int, tuple[Vectors, Seconds]]:
        """Frames of scenes in a space: float32 [T, F] (rounded to int8 steps) and their times, seconds [T]."""
        space_id = self._reader.space_id(space)
        return {} if space_id is None else self._reader.frame_vectors(space_id, scene_ids)

    def scene_vectors(self, space: Space, scene_ids: Sequence[int]) -> dict[int, Vectors]:
        """The stored vectors of scenes in a space, float32 [D]; scenes that have none are absent."""
        space_id = self._reader.space_id(space)
        if space_id is None:
            return {}
        found = self._reader.vectors(space_id, space.dim, scene_ids)
        return {scene_id: vector.astype(np.float32) for scene_id, vector in found.items()}

    def all_vectors(self, space: Space) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Every scene of a space with its vector: ids [N] and float32 [N, D], in chunks, of one state of the catalog.
        Scenes of videos that no path holds are among them."""
        space_id = self._reader.space_id(space)
        if space_id is None:
            return
        for ids, vectors in self._reader.vectors_since(space_id, space.dim, -1):
            yield ids, vectors.astype(np.float32)

    def select_scenes(
        self,
        *,
        path_glob: str | None = None,
        under: Path | None = None,
        since: float | None = None,
        until: float | None = None,
        min_duration: float | None = None,
        max_duration: float | None = None,
        has_speech: bool | None = None,
        language: str | None = None,
        labels: Sequence[str] = (),
    ) -> NDArray[np.int64] | None:
        """Ids, ascending, of the scenes that pass every given filter; None if none is given.

        path_glob: shell pattern; without a slash it is held against the file's name ("*.mkv"), else against the path or
        its end ("holidays/*"), where * crosses folders. under: an absolute file or folder; the same file must fit both.
        since, until: Unix seconds, [since, until), against the time that the container says it was recorded, else
        the oldest modification time of its files. min_duration, max_duration: seconds, both inclusive. has_speech:
        whether something is known to be said in the scene. language: ISO 639 code of what is said in its video.
        labels: that the scene has, all of them, whatever model gave them.
        """
        from vsearch.library.filters import conditions

        found = conditions(
            self._reader,
            path_glob=path_glob,
            under=under,
            since=since,
            until=until,
            min_duration=min_duration,
            max_duration=max_duration,
            has_speech=has_speech,
            language=language,
            labels=labels,
        )
        if not found:
            return None
        values = [value for _, values in found for value in values]
        return self._reader.select_scenes(" AND ".join(condition for condition, _ in found), values)

    def search_vectors(
        self, space: Space, queries: Vectors, k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k scenes nearest to each query: scores [Q, k'] and scene ids [Q, k'], best first.

        queries: float32 [Q, D]. allowed: only these scene ids. k' is the smaller of k and what was found; a row that
        found less than another ends in ids of -1. Scores are inner products with the stored fp16 vectors. Scenes
        of videos that no path holds may be among them: `scenes` leaves them out.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != space.dim:
            raise ValueError(f"queries must be [Q, {space.dim}]: {queries.shape = }")
        if k <= 0:
            raise ValueError(f"k must be positive: {k = }")
        if allowed is not None:
            allowed = np.unique(np.asarray(allowed, dtype=np.int64))
            allowed = allowed[allowed > 0]
        space_id = self._reader.space_id(space)
        if space_id is None or len(queries) == 0:
            return np.empty((len(queries), 0), dtype=np.float32), np.empty((len(queries), 0), dtype=np.int64)
        return self._index(space_id, space).search(queries, k, allowed, _EXACT_BELOW)

    def _index(self, space_id: int, space: Space) -> SpaceIndex:
        from vsearch.library.space_index import SpaceIndex

        with self._guard:
            if space_id not in self._indexes:
                self._indexes[space_id] = SpaceIndex(self._snapshots, space_id, space, self._reader)
            return self._indexes[space_id]

    # -- the library as a whole

    def save_snapshots(self, *, force: bool = False) -> None:
        """Write a FAISS snapshot of every space that has changed by more than a twentieth since its last (`force`: at
        all). Without it nothing is lost; a query after a long run only has more to replay."""
        from vsearch.library.snapshot_writer import save_snapshots

        with self._writing() as writer, translated(self.path):
            covered = save_snapshots(self._snapshots, self._reader, 0.0 if force else _STALE_SHARE)
            if self._reader.has_removals(covered):
                writer.prune_removals(covered)

    def status(self) -> LibraryStatus:
        """What the library holds: videos that some path holds."""
        with self._reader.transaction() as connection:
            videos, seconds = connection.execute(
                "SELECT COUNT(*), TOTAL(duration) FROM videos WHERE id IN (SELECT video_id FROM files)"
            ).fetchone()
            (files,) = connection.execute("SELECT COUNT(*) FROM files").fetchone()
            (scenes,) = connection.execute(
                "SELECT COUNT(*) FROM scenes WHERE video_id IN (SELECT video_id FROM files)"
            ).fetchone()
            (sounds,) = connection.execute(
                "SELECT COUNT(*) FROM videos WHERE width = 0 AND id IN (SELECT video_id FROM files)"
            ).fetchone()
            lines, text_lines = connection.execute(
                "SELECT COALESCE(SUM(channel = 'speech'), 0), COALESCE(SUM(channel = 'ocr'), 0) FROM lines "
                "WHERE video_id IN (SELECT video_id FROM files)"
            ).fetchone()
            transcribed, read = connection.execute(
                "SELECT COALESCE(SUM(channel = 'speech'), 0), COALESCE(SUM(channel = 'ocr' AND cause IS NULL), 0) "
                "FROM transcripts WHERE video_id IN (SELECT video_id FROM files)"
            ).fetchone()
            state, spaces, failures = self._reader.state(), self.spaces(), self._reader.failures(None)
        catalog_bytes, snapshot_bytes = self._bytes()
        return LibraryStatus(
            path=self.path,
            change=state.change,
            videos=videos,
            files=files,
            scenes=scenes,
            seconds=seconds,
            spaces=tuple(spaces),
            catalog_bytes=catalog_bytes,
            snapshot_bytes=snapshot_bytes,
            failures=tuple(failures),
            sounds=sounds,
            transcribed=transcribed,
            lines=lines,
            default_model=self.default_model(),
            read=read,
            text_lines=text_lines,
        )

    def _bytes(self) -> tuple[int, int]:
        """Of the catalog, of its snapshots."""
        names = (CATALOG, f"{CATALOG}-wal")
        held = sum(file.stat().st_size for name in names if (file := self.path / name).exists())
        return held, snapshots.total_bytes(self._snapshots)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check the catalog, that every vector is there and sound, and that the snapshots say the same.

        With `repair`, snapshots are rebuilt, orphans dropped, and videos whose vectors are missing or broken removed,
        so that the next index run encodes them again. A catalog whose pages are broken needs `repair_library`.
        """
        from vsearch.library import verify

        if not repair:
            return verify.check(self._reader, self._snapshots).report()
        with self._writing() as writer:
            found = verify.check(self._reader, self._snapshots)
            if found.pages:
                raise LibraryError(f"the catalog of {self.path} is broken inside: run `vsearch verify --repair`")
            repaired = verify.put_right(found, writer, self._snapshots)
            with self._guard:
                self._indexes.clear()
            if not found.obstacle:
                self.save_snapshots()
            return verify.check(self._reader, self._snapshots).report(repaired, found.lost)
