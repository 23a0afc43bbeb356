"""Reading the catalog with plain sqlite3: a query must not wait for SQLAlchemy to be imported.

Connections are read-only, one a thread, and see what was committed before their transaction began; a writer in this or
another process goes on meanwhile (WAL).
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsearch.library import codec
from vsearch.library.faults import translated
from vsearch.library.rows import Failure, FileRow, LabelRow, SceneRow, SpaceRow, TranscriptRow, VideoRow
from vsearch.media import WORD_CHANNELS, FileStamp, Seconds, Space, TranscriptLine, Vectors, VideoInfo

_log = logging.getLogger(__name__)

_ORPHAN = "NOT IN (SELECT video_id FROM files)"
_CHUNK = 4096  # vectors that are read at once: 4 MB at 512 dimensions


@dataclass(frozen=True, slots=True)
class CatalogState:
    """What the catalog says of itself."""

    library_id: str
    change: int
    pruned_through: int


def connect_read_only(database: Path) -> sqlite3.Connection:
    """A read-only connection in autocommit mode. sqlite3.Error where there is none to be had."""
    uri = database.absolute().as_uri() if _is_utf8(database) else _raw_uri(database)
    connection = _open(f"{uri}?mode=ro")
    try:
        connection.execute("PRAGMA schema_version").fetchone()
        return connection
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorname not in ("SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT"):
            raise
    # WAL needs to write beside the catalog, even to read. On a read-only medium nobody can write, so the catalog may
    # be read as a plain file; what a killed writer left in the WAL stays unseen.
    wal = database.with_name(database.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        _log.warning("%s lies on a read-only medium: its last changes, still in %s, cannot be seen", database, wal.name)
    connection = _open(f"{uri}?mode=ro&immutable=1")
    connection.execute("PRAGMA schema_version").fetchone()
    return connection


def _open(uri: str) -> sqlite3.Connection:
    # check_same_thread: a connection is used by one thread alone, but closed by whichever closes the library.
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False)


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _raw_uri(path: Path) -> str:
    from urllib.parse import quote_from_bytes

    return "file://" + quote_from_bytes(codec.path_to_bytes(path.absolute()))


class Reader:
    """Every question that can be put to a catalog. Thread-safe."""

    def __init__(self, folder: Path, database: Path) -> None:
        self._folder = folder
        self._database = database
        self._local = threading.local()
        self._guard = threading.Lock()
        self._connections: list[sqlite3.Connection] = []

    def close(self) -> None:
        with self._guard:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect_read_only(self._database)
            self._local.connection = connection
            with self._guard:
                self._connections.append(connection)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several questions about one state of the catalog. May be nested."""
        with translated(self._folder):
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")  # nothing was written

    def state(self) -> CatalogState:
        with self.transaction() as connection:
            return CatalogState(*connection.execute("SELECT library_id, change, pruned_through FROM meta").fetchone())

    def setting(self, name: str) -> str | None:
        with self.transaction() as connection:
            row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    # -- files and videos

    def file(self, path: Path) -> FileRow | None:
        rows = self._files("WHERE path = ?", (codec.path_to_bytes(path),))
        return rows[0] if rows else None

    def files(self, under: Path | None) -> list[FileRow]:
        """Every file, or those at and below a folder, by path."""
        return self._files(*_under(under))

    def _files(self, where: str, values: tuple[bytes, ...]) -> list[FileRow]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT path, size, mtime_ns, video_id, key FROM files JOIN videos ON videos.id = video_id "
                f"{where} ORDER BY path",
                values,
            ).fetchall()
        return [FileRow(codec.path_from_bytes(path), *rest) for path, *rest in rows]

    def videos_at(self, matches: Callable[[str], bool]) -> set[int]:
        """Ids of the videos that lie at a path that matches."""
        with self.transaction() as connection:
            rows = connection.execute("SELECT path, video_id FROM files")
            return {video_id for path, video_id in rows if matches(os.fsdecode(path))}

    def video(self, key: str) -> VideoRow | None:
        found = self._videos("WHERE key = ?", (key,))
        return found[0][0] if found else None

    def videos(self, after: int, limit: int) -> list[tuple[VideoRow, int]]:
        """Videos that some file holds, by id, and how many scenes each has."""
        return self._videos(f"WHERE id > ? AND NOT id {_ORPHAN} ORDER BY id LIMIT ?", (after, limit))

    def _videos(self, where: str, values: tuple[object, ...]) -> list[tuple[VideoRow, int]]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT id, key, (SELECT COUNT(*) FROM scenes WHERE video_id = videos.id), duration, width, height, "
                f"codec, container, rotation, has_audio, recorded_at FROM videos {where}",
                values,
            ).fetchall()
            files = connection.execute(
                "SELECT video_id, path FROM files WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY id",
                (_json(row[0] for row in rows),),
            ).fetchall()
        paths: dict[int, list[Path]] = {row[0]: [] for row in rows}
        for video_id, path in files:
            paths[video_id].append(codec.path_from_bytes(path))
        found = []
        for video_id, key, scenes, duration, width, height, name, container, rotation, has_audio, recorded_at in rows:
            info = VideoInfo(duration, width, height, name, container, rotation, bool(has_audio), recorded_at)
            found.append((VideoRow(video_id, key, info, tuple(paths[video_id])), scenes))
        return found

    def failure(self, path: Path) -> Failure | None:
        found = self._failures("WHERE path = ?", (codec.path_to_bytes(path),))
        return found[0] if found else None

    def failures(self, under: Path | None) -> list[Failure]:
        """What could not be indexed, or that at and below a folder, by path."""
        return self._failures(*_under(under))

    def _failures(self, where: str, values: tuple[bytes, ...]) -> list[Failure]:
        with self.transaction() as connection:
            rows = connection.execute(
                f"SELECT path, size, mtime_ns, cause FROM failures {where} ORDER BY path", values
            ).fetchall()
        return [Failure(FileStamp(codec.path_from_bytes(p), size, mtime), cause) for p, size, mtime, cause in rows]

    def has_orphans(self) -> bool:
        """Whether there are videos that no file holds."""
        with self.transaction() as connection:
            row = connection.execute(f"SELECT 1 FROM videos WHERE id {_ORPHAN} LIMIT 1").fetchone()
        return row is not None

    def transcript(self, video_id: int) -> list[TranscriptLine]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT start_seconds, end_seconds, text, channel, words, box, confidence FROM lines "
                "WHERE video_id = ? ORDER BY start_seconds, id",
                (video_id,),
            ).fetchall()
        return [
            TranscriptLine(
                start, end, text, channel, codec.words_from_json(words), codec.box_from_json(box), confidence
            )
            for start, end, text, channel, words, box, confidence in rows
        ]

    def transcripts(self, video_id: int) -> list[TranscriptRow]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT channel, source, recipe, language, cause FROM transcripts WHERE video_id = ? ORDER BY channel",
                (video_id,),
            ).fetchall()
        return [TranscriptRow(*row) for row in rows]

    def unencoded_files(self, space: Space) -> list[Path]:
        """A file of each video with pictures that is not encoded in a space, by path."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT (SELECT path FROM files WHERE video_id = videos.id ORDER BY id LIMIT 1) AS path FROM videos "
                "WHERE width > 0 AND path NOTNULL "
                "AND id NOT IN (SELECT video_id FROM encodings WHERE space_id = ?) ORDER BY path",
                (self.space_id(space),),  # NULL, where there is no such space, is equal to nothing
            ).fetchall()
        return [codec.path_from_bytes(path) for (path,) in rows]

    def without_passages(self, space: Space) -> list[int]:
        """Videos that have words of the space's channel, and are not encoded in it."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT DISTINCT video_id FROM lines WHERE channel = ? AND video_id NOT IN "
                "(SELECT video_id FROM encodings WHERE space_id = ?) ORDER BY video_id",
                (space.channel, self.space_id(space) or 0),
            ).fetchall()
        return [video_id for (video_id,) in rows]

    # -- scenes

    def scenes(self, ids: Iterable[int], admits: Callable[[str], bool] | None = None) -> dict[int, SceneRow]:
        """The scenes that are still there. The path is the video's oldest, of those that are admitted if any is."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT scenes.id, scenes.video_id, start_seconds, end_seconds, "
                "(SELECT path FROM files WHERE files.video_id = scenes.video_id ORDER BY files.id LIMIT 1) "
                "FROM scenes WHERE scenes.id IN (SELECT value FROM json_each(?))",
                (_json(ids),),
            ).fetchall()
            paths = {video_id: path for _, video_id, _, _, path in rows if path}
            if admits is not None:
                paths |= self._admitted(paths, admits)
        return {
            scene_id: SceneRow(scene_id, video_id, codec.path_from_bytes(paths[video_id]), start, end)
            for scene_id, video_id, start, end, _ in rows
            if video_id in paths
        }

    def _admitted(self, video_ids: Iterable[int], admits: Callable[[str], bool]) -> dict[int, bytes]:
        """The oldest path that is admitted, of the videos that have one."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT video_id, path FROM files WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
                (_json(video_ids),),
            ).fetchall()
        return {video_id: path for video_id, path in rows if admits(os.fsdecode(path))}

    def scenes_of(self, video_id: int) -> list[SceneRow]:
        """A video's scenes in time order."""
        with self.transaction() as connection:
            ids = connection.execute("SELECT id FROM scenes WHERE video_id = ?", (video_id,)).fetchall()
            rows = self.scenes(scene_id for (scene_id,) in ids)
        return sorted(rows.values(), key=lambda row: row.start)

    def thumbnail(self, scene_id: int) -> bytes | None:
        """Of a scene whose video some file holds."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT picture FROM thumbnails JOIN scenes ON scenes.id = scene_id "
                f"WHERE scene_id = ? AND NOT scenes.video_id {_ORPHAN}",
                (scene_id,),
            ).fetchone()
        return row[0] if row is not None and row[0] else None

    def videos_without_thumbnails(self) -> set[int]:
        """Videos with pictures of which a scene has no row of a thumbnail, not even an empty one."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT DISTINCT scenes.video_id FROM scenes JOIN videos ON videos.id = scenes.video_id "
                "WHERE videos.width > 0 AND scenes.id NOT IN (SELECT scene_id FROM thumbnails)"
            )
            return {video_id for (video_id,) in rows}

    def select_scenes(self, condition: str, values: Sequence[object]) -> NDArray[np.int64]:
        """Ids, ascending, of the scenes that an SQL condition over scenes and videos admits."""
        with self.transaction() as connection:
            rows = connection.execute(
                f"SELECT scenes.id FROM scenes JOIN videos ON videos.id = scenes.video_id WHERE {condition} "
                "ORDER BY scenes.id",
                tuple(values),
            )
            return np.fromiter((scene_id for (scene_id,) in rows), dtype=np.int64)

    def labels(self) -> list[LabelRow]:
        """Every label that a scene has, with the model that gave it, in the order of the alphabet."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT label, model, COUNT(*), COUNT(DISTINCT scenes.video_id) FROM labels "
                "JOIN spaces ON spaces.id = labels.space_id JOIN scenes ON scenes.id = labels.scene_id "
                "WHERE scenes.video_id IN (SELECT video_id FROM files) "
                "GROUP BY label, labels.space_id ORDER BY label, labels.space_id"
            ).fetchall()
        return [LabelRow(*row) for row in rows]

    # -- spaces and vectors

    def spaces(self) -> list[SpaceRow]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT spaces.id, model, fingerprint, dim, channel, metric, "
                "(SELECT COUNT(*) FROM encodings WHERE space_id = spaces.id "
                "AND video_id IN (SELECT video_id FROM files)), "
                "(SELECT COUNT(*) FROM vectors WHERE space_id = spaces.id) + "
                "(SELECT COUNT(*) FROM passages WHERE space_id = spaces.id "
                "AND video_id IN (SELECT video_id FROM files)) - "
                # CROSS JOIN keeps the order: there are few orphans, and many vectors
                "(SELECT COUNT(*) FROM videos CROSS JOIN scenes ON scenes.video_id = videos.id "
                "CROSS JOIN vectors ON vectors.scene_id = scenes.id AND vectors.space_id = spaces.id "
                f"WHERE videos.id {_ORPHAN}) FROM spaces ORDER BY spaces.id"
            ).fetchall()
        return [SpaceRow(row[0], Space(*row[1:6]), row[6], row[7]) for row in rows]

    def space_id(self, space: Space) -> int | None:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT id FROM spaces WHERE fingerprint = ? AND channel = ? AND dim = ? AND metric = ?",
                (space.fingerprint, space.channel, space.dim, space.metric),
            ).fetchone()
        return None if row is None else int(row[0])

    def _table(self, space_id: int) -> tuple[str, str]:
        """Where the vectors of a space are kept, and under which id: those of scenes, or those of passages of words."""
        with self.transaction() as connection:
            row = connection.execute("SELECT channel FROM spaces WHERE id = ?", (space_id,)).fetchone()
        return ("passages", "id") if row is not None and row[0] in WORD_CHANNELS else ("vectors", "scene_id")

    def has_encoding(self, video_id: int, space_id: int) -> bool:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT 1 FROM encodings WHERE video_id = ? AND space_id = ?", (video_id, space_id)
            ).fetchone()
        return row is not None

    # Below, the ids are those of scenes; in a space of words, those of passages.

    def vectors(self, space_id: int, dim: int, ids: Iterable[int]) -> dict[int, NDArray[np.float16]]:
        """fp16 [D] of those that have one."""
        with self.transaction() as connection:
            table, key = self._table(space_id)
            rows = connection.execute(
                f"SELECT {key}, vector FROM {table} WHERE space_id = ? AND {key} IN (SELECT value FROM json_each(?))",
                (space_id, _json(ids)),
            ).fetchall()
        halves = _halves(self._folder, [blob for _, blob in rows], dim)
        return {found: halves[i] for i, (found, _) in enumerate(rows)}

    def vectors_since(
        self, space_id: int, dim: int, change: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """(ids [N], fp16 [N, D]) of what was added after `change`, in chunks. Inside a transaction."""
        with self.transaction() as connection:
            # A whole space is faster read in the table's own order than through the index.
            table, key = self._table(space_id)
            order = "NOT INDEXED" if change < 0 else f"INDEXED BY {table}_change"
            cursor = connection.execute(
                f"SELECT {key}, vector FROM {table} {order} WHERE space_id = ? AND change > ?", (space_id, change)
            )
            while rows := cursor.fetchmany(_CHUNK):
                ids = np.array([found for found, _ in rows], dtype=np.int64)
                yield ids, _halves(self._folder, [blob for _, blob in rows], dim)

    def count_vectors(self, space_id: int, through: int | None = None) -> int:
        """Vectors of a space, or those that were added up to a change."""
        with self.transaction() as connection:
            table, _ = self._table(space_id)
            row = connection.execute(
                f"SELECT COUNT(*) FROM {table} WHERE space_id = ? AND change <= ?",
                (space_id, 2**62 if through is None else through),
            ).fetchone()
        return int(row[0])

    def has_removals(self, through: int) -> bool:
        """Whether removals up to a change are still listed."""
        with self.transaction() as connection:
            row = connection.execute("SELECT 1 FROM removals WHERE change <= ? LIMIT 1", (through,)).fetchone()
        return row is not None

    def added_since(self, space_id: int, change: int) -> NDArray[np.int64]:
        """Ids, without their vectors, of what was added to a space after a change (-1: all)."""
        with self.transaction() as connection:
            table, key = self._table(space_id)
            rows = connection.execute(
                f"SELECT {key} FROM {table} WHERE space_id = ? AND change > ?", (space_id, change)
            )
            return np.fromiter((found for (found,) in rows), dtype=np.int64)

    def removed_since(self, space_id: int, change: int) -> NDArray[np.int64]:
        """Ids of what was removed after `change`."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT scene_id FROM removals WHERE space_id = ? AND change > ?", (space_id, change)
            )
            return np.fromiter((scene_id for (scene_id,) in rows), dtype=np.int64)

    def frame_vectors(self, space_id: int, scene_ids: Iterable[int]) -> dict[int, tuple[Vectors, Seconds]]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT scene_id, times, vectors FROM frames WHERE space_id = ? "
                "AND scene_id IN (SELECT value FROM json_each(?))",
                (space_id, _json(scene_ids)),
            ).fetchall()
        frames: dict[int, tuple[Vectors, Seconds]] = {}
        for scene_id, times_blob, blob in rows:
            times = codec.times_from_bytes(times_blob)
            frames[scene_id] = codec.frames_from_bytes(blob, len(times)), times
        return frames


def _under(folder: Path | None) -> tuple[str, tuple[bytes, ...]]:
    """A condition, and its values, for the paths at and below a folder; for every path."""
    if folder is None:
        return "", ()
    exact = codec.path_to_bytes(folder)
    separator = os.sep.encode()
    below = exact.rstrip(separator) + separator
    beyond = below[:-1] + bytes([below[-1] + 1])
    return "WHERE path = ? OR (path >= ? AND path < ?)", (exact, below, beyond)


def _json(ids: Iterable[int]) -> str:
    return json.dumps([int(scene_id) for scene_id in ids])


def _halves(folder: Path, blobs: Sequence[bytes], dim: int) -> NDArray[np.float16]:
    try:
        return codec.halves_from_bytes(blobs, dim)
    except ValueError as error:
        from vsearch.library.faults import damaged

        raise damaged(folder, str(error)) from error
