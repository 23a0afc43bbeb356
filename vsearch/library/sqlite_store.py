"""The store that is a folder: a SQLite catalog, which is the truth, and FAISS snapshots of its embeddings, a cache."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
from collections.abc import Collection, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import LibraryError, LibraryMissing, PathError
from vsearch.library import schema, snapshots
from vsearch.library.column_tables import ColumnTables
from vsearch.library.faults import translated, unreadable
from vsearch.library.filters import Filters
from vsearch.library.ids import ascending
from vsearch.library.rows import LibraryStatus, PassageHit, SpaceRemoval, VerifyReport
from vsearch.library.writer import Writer
from vsearch.media import Space, Vectors

if TYPE_CHECKING:
    from vsearch.library.space_index import SpaceIndex

CATALOG = "catalog.db"
SNAPSHOTS = "snapshots"

_EXACT_BELOW = 2_000
"""Up to so many scenes that filters admit, reading all embeddings from the catalog is faster than an index."""
_STALE_SHARE = 0.05
"""Share of a space that has changed since its snapshot, above which a new snapshot is saved."""


class SqliteStore(Writer):
    """A library folder: implements `Store`. Readers and one writer may use it at once, from several threads and
    processes. Also a context manager that closes itself."""

    def __init__(self, path: Path) -> None:
        """Use `SqliteStore.open`."""
        super().__init__(path, path / CATALOG, path / SNAPSHOTS)
        self.path = path
        self._tables = ColumnTables(self)
        self._indexes: dict[int, SpaceIndex] = {}
        self._indexes_guard = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Self:
        """Open the library at `path`; with `create`, create it if there is none.

        Raises LibraryMissing, LibraryTooNew, LibraryDamaged, LibraryError where the schema is another one, and while
        creating LibraryReadOnly, LibraryFull or LibraryLocked.
        """
        path = path.absolute()
        with contextlib.suppress(OSError):  # a path that cannot be examined is reported below
            if not stat.S_ISDIR(path.stat().st_mode):
                raise PathError(f"{path} is a file: a library is a folder")
        store = cls(path)
        try:
            if not store._is_made():
                if not create:
                    raise LibraryMissing(f"no library at {path}: make one with `vsearch index FOLDER`")
                store._make()
            store.state()
        except BaseException:
            store.close()
            raise
        return store

    def _is_made(self) -> bool:
        """Whether there is a complete catalog."""
        with translated(self.path):
            try:
                self._database.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False
            except PermissionError as error:
                raise unreadable(self.path) from error
            # Opening and closing the file here would drop the locks that SQLite holds on it in this process.
            if not os.access(self._database, os.R_OK):
                raise unreadable(self.path)
            with self.transaction() as connection:
                return schema.is_made(connection, self.path)

    def _make(self) -> None:
        with translated(self.path):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as error:  # a file system without folders, such as /proc
                raise LibraryError(f"no library can be made at {self.path}: choose another folder") from error
            with self._lock.held():
                if not self._is_made():  # another process may have created it meanwhile
                    with closing(sqlite3.connect(self._database, isolation_level=None, timeout=5.0)) as connection:
                        schema.make(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        super().close()
        with self._indexes_guard:
            self._indexes.clear()

    def _index(self, space_id: int, space: Space) -> SpaceIndex:
        from vsearch.library.space_index import SpaceIndex

        with self._indexes_guard:
            if space_id not in self._indexes:
                self._indexes[space_id] = SpaceIndex(self._snapshots, space_id, space, self)
            return self._indexes[space_id]

    # -- searching

    def select_scenes(self, filters: Filters) -> NDArray[np.int64] | None:
        with self.transaction():
            scene_conditions = filters.scene_conditions()
            selected = self.select("scenes", scene_conditions) if scene_conditions else None
            video_conditions = filters.video_conditions(self.paths)
            if video_conditions:
                scenes = self._tables.scenes()
                of_videos = scenes.of(self.select("videos", video_conditions))
                selected = of_videos if selected is None else np.intersect1d(selected, of_videos, assume_unique=True)
        return selected

    def scenes_outside(self, videos: Collection[int], allowed: NDArray[np.int64] | None) -> NDArray[np.int64]:
        scenes = self._tables.scenes()
        ids = scenes.of(np.setdiff1d(scenes.known, np.fromiter(videos, dtype=np.int64)))
        return ids if allowed is None else np.intersect1d(allowed, ids, assume_unique=True)

    def search_scenes(
        self, space: Space, queries: Vectors, k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != space.dim:
            raise ValueError(f"queries must be [Q, {space.dim}]: {queries.shape = }")
        _check_limit(k)
        if allowed is not None:
            allowed = ascending(allowed)
            allowed = allowed[allowed > 0]
        space_id = self.space_id(space)
        if space_id is None or len(queries) == 0:
            return np.empty((len(queries), 0), dtype=np.float32), np.empty((len(queries), 0), dtype=np.int64)
        return self._index(space_id, space).search(queries, k, allowed, _EXACT_BELOW)

    def search_text(
        self, query: str, k: int, *, allowed: NDArray[np.int64] | None = None, channel: str | None = None
    ) -> list[PassageHit]:
        from vsearch.library.fulltext import search_text

        _check_limit(k)
        return search_text(self, self._tables, query, k, allowed, channel)

    def search_passages(
        self, space: Space, query: Vectors, k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> list[PassageHit]:
        from vsearch.library.semantic_search import passage_hits, passages_in

        _check_limit(k)
        space_id = self.space_id(space)
        if space_id is None:
            return []
        with self.transaction():
            passages = None if allowed is None else passages_in(self._tables, space_id, allowed)
            depth = 2 * k
            while True:
                scores, ids = self._index(space_id, space).search(query[None], depth, passages, _EXACT_BELOW)
                near = [(int(one), float(s)) for one, s in zip(ids[0], scores[0], strict=True) if one >= 0]
                hits = list(islice(passage_hits(self, self._tables, space, near), k))
                if len(hits) == k or len(near) < depth:
                    return hits
                depth *= 4

    # -- the library as a whole

    def status(self) -> LibraryStatus:
        with self.transaction() as connection:
            (videos, sounds, seconds), (files,), (scenes,), segments, (transcribed, ocr_videos) = (
                connection.execute(f"{statement} IN (SELECT video_id FROM files)").fetchone()
                for statement in (
                    "SELECT COUNT(*), COALESCE(SUM(width = 0), 0), TOTAL(duration) FROM videos WHERE id",
                    "SELECT COUNT(*) FROM files WHERE video_id",
                    "SELECT COUNT(*) FROM scenes WHERE video_id",
                    "SELECT COALESCE(SUM(channel = 'speech'), 0), COALESCE(SUM(channel = 'ocr'), 0) FROM segments "
                    "WHERE video_id",
                    "SELECT COALESCE(SUM(channel = 'speech'), 0), COALESCE(SUM(channel = 'ocr' AND cause IS NULL), 0) "
                    "FROM transcripts WHERE video_id",
                )
            )
            catalog = (self.path / name for name in (CATALOG, f"{CATALOG}-wal"))
            return LibraryStatus(
                path=self.path,
                change=self.state().change,
                videos=videos,
                files=files,
                scenes=scenes,
                seconds=seconds,
                spaces=tuple(self.spaces()),
                catalog_bytes=sum(file.stat().st_size for file in catalog if file.exists()),
                snapshot_bytes=snapshots.total_bytes(self._snapshots),
                failures=tuple(self.failures()),
                sounds=sounds,
                transcribed=transcribed,
                speech_segments=segments[0],
                ocr_videos=ocr_videos,
                ocr_segments=segments[1],
                default_model=self.default_model(),
            )

    def remove_spaces(self, spaces: Sequence[Space]) -> SpaceRemoval:
        ids = [space_id for space in spaces if (space_id := self.space_id(space)) is not None]
        with self.writing():
            before = self.status()
            videos, vectors = self._drop_spaces(ids)
            with self._indexes_guard:
                for space_id in ids:
                    self._indexes.pop(space_id, None)
            self.save_snapshots()
            self._compact()
            after = self.status()
        freed = before.catalog_bytes + before.snapshot_bytes - after.catalog_bytes - after.snapshot_bytes
        return SpaceRemoval(videos, vectors, max(0, freed))

    def save_snapshots(self, *, force: bool = False) -> None:
        from vsearch.library.snapshot_writer import save_snapshots

        with self.writing(), translated(self.path):
            covered = save_snapshots(self._snapshots, self, 0.0 if force else _STALE_SHARE)
            if self.has_removals(covered):
                self._prune_removals(covered)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        from vsearch.library import verify

        if not repair:
            return verify.check(self, self._snapshots).report()
        with self.writing():
            findings = verify.check(self, self._snapshots)
            if findings.pages:
                raise LibraryError(f"the catalog of {self.path} is broken inside: run `vsearch verify --repair`")
            repaired = verify.repair(findings, self, self._snapshots)
            with self._indexes_guard:
                self._indexes.clear()
            if not findings.obstacle:
                self.save_snapshots()
            return verify.check(self, self._snapshots).report(repaired, findings.lost)


def _check_limit(k: int) -> None:
    if k <= 0:
        raise ValueError(f"k must be positive: {k = }")
