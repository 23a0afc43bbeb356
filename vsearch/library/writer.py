"""Writing a catalog. Every public method is one transaction under the writer's lock, and adds 1 to the change number.

journal_mode WAL with synchronous FULL: a commit is on the disk before it returns. Neither SIGKILL nor a power cut loses
a committed video. A video takes seconds to encode; flushing its commit takes milliseconds.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from vsearch.errors import LibraryError
from vsearch.library import codec, snapshots
from vsearch.library.connection import identity
from vsearch.library.faults import translated
from vsearch.library.lock import WriterLock
from vsearch.library.reader import Reader
from vsearch.library.rows import Failure, RemovalReport, SceneLabel, VideoRecord, label_key, same_scenes
from vsearch.library.write_transcripts import add_passages, add_segments, remove_passages, set_transcript
from vsearch.library.write_videos import (
    add_scenes,
    add_vectors,
    check_vectors,
    id_of_space,
    id_of_video,
    remove_orphans,
    set_file,
    set_thumbnails,
    set_video,
)
from vsearch.media import EncodedScene, FileStamp, PassageVectors, Scene, Space, Transcript, VideoInfo

_log = logging.getLogger(__name__)

Statements = Iterable[tuple[str, dict[str, Any]]]
"""SQL with named values; `:change` is the number of the change."""


class Writer(Reader):
    """The writing side of `SqliteStore`: see store.py for the public methods."""

    def __init__(self, folder: Path, database: Path, snapshot_folder: Path) -> None:
        super().__init__(folder, database)
        self._lock = WriterLock(folder)
        self._snapshots = snapshot_folder
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)

    def close(self) -> None:
        super().close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._lock.held() as outermost:
            if outermost:
                remove_unfinished_repair(self._database)
                snapshots.drop_ahead(self._snapshots, self.state().change)
            yield

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """The writing connection inside a transaction, and the new change number. Commits everything or nothing."""
        with self.writing(), translated(self._folder):
            connection = self._writing_connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("UPDATE meta SET change = change + 1")
                (change,) = connection.execute("SELECT change FROM meta").fetchone()
                yield connection, change
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk ends the transaction
                    connection.execute("ROLLBACK")
                raise

    def _writing_connection(self) -> sqlite3.Connection:
        """The one connection that writes. Opened again if a repair has replaced the catalog."""
        file = identity(self._database)
        if self._connection is not None and self._file != file:
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection, self._file = _connect(self._database), file
        return self._connection

    # -- videos and files

    def add_video(self, record: VideoRecord) -> int:
        check_vectors(record.space, record.scenes)
        with self._transaction() as (connection, change):
            video_id = set_video(connection, record.key, record.info, change)
            set_file(connection, record.stamp, video_id)
            scene_ids = add_scenes(connection, video_id, [encoded.scene for encoded in record.scenes])
            add_vectors(connection, video_id, record.space, scene_ids, record.scenes, change)
            set_thumbnails(connection, {i: s.thumbnail for i, s in zip(scene_ids, record.scenes, strict=True)})
            add_segments(connection, video_id, record.segments)
        return video_id

    def add_encoding(self, key: str, space: Space, scenes: Sequence[EncodedScene]) -> None:
        check_vectors(space, scenes)
        with self._transaction() as (connection, change):
            video_id = id_of_video(connection, key)
            known = connection.execute(
                "SELECT id, start_seconds, end_seconds FROM scenes WHERE video_id = ? ORDER BY ordinal", (video_id,)
            ).fetchall()
            if not same_scenes([(start, end) for _, start, end in known], scenes):
                raise LibraryError(f"the scenes of video {key} are not those that the library holds: index it anew")
            space_id = id_of_space(connection, space)
            # Scene ids stay the same, so `change` tells a snapshot that its embedding of the scene is outdated.
            for table in ("vectors", "frames", "labels"):
                connection.execute(
                    f"DELETE FROM {table} WHERE space_id = ? "
                    "AND scene_id IN (SELECT id FROM scenes WHERE video_id = ?)",
                    (space_id, video_id),
                )
            connection.execute("DELETE FROM encodings WHERE video_id = ? AND space_id = ?", (video_id, space_id))
            scene_ids = [scene_id for scene_id, _, _ in known]
            add_vectors(connection, video_id, space, scene_ids, scenes, change)
            new = {i: s.thumbnail for i, s in zip(scene_ids, scenes, strict=True) if s.thumbnail}
            set_thumbnails(connection, new)

    def add_sound(
        self,
        stamp: FileStamp,
        key: str,
        info: VideoInfo,
        spans: Sequence[Scene],
        transcript: Transcript,
        passages: PassageVectors | None = None,
    ) -> int:
        if not spans or not info.sound_only:
            raise ValueError(f"sound has at least one scene and no pictures: {len(spans) = }, {info = }")
        with self._transaction() as (connection, change):
            video_id = set_video(connection, key, info, change)
            set_file(connection, stamp, video_id)
            add_scenes(connection, video_id, spans)
            set_transcript(connection, video_id, transcript, change)
            _add_passages(connection, video_id, passages, change)
        return video_id

    def set_thumbnails(self, key: str, thumbnails: Mapping[int, bytes]) -> None:
        with self._transaction() as (connection, _):
            rows = connection.execute("SELECT id FROM scenes WHERE video_id = ?", (id_of_video(connection, key),))
            known = {scene_id for (scene_id,) in rows}
            set_thumbnails(connection, {i: jpeg for i, jpeg in thumbnails.items() if i in known})

    def touch_file(self, stamp: FileStamp, key: str) -> None:
        with self._transaction() as (connection, _):
            set_file(connection, stamp, id_of_video(connection, key))

    def forget_files(self, paths: Iterable[Path], *, keep_videos: bool = False) -> RemovalReport:
        with self._transaction() as (connection, change):
            files = failures = 0
            for path in paths:
                value = (codec.path_to_bytes(path),)
                files += connection.execute("DELETE FROM files WHERE path = ?", value).rowcount
                failures += connection.execute("DELETE FROM failures WHERE path = ?", value).rowcount
            videos, scenes = (0, 0) if keep_videos else remove_orphans(connection, change)
        return RemovalReport(files, videos, scenes, failures)

    def remove_orphans(self) -> RemovalReport:
        with self.writing():
            if not self.has_orphans():
                return RemovalReport()
            with self._transaction() as (connection, change):
                videos, scenes = remove_orphans(connection, change)
        return RemovalReport(videos=videos, scenes=scenes)

    def record_failure(self, failure: Failure) -> None:
        stamp = failure.stamp
        values = (codec.path_to_bytes(stamp.path), stamp.size, stamp.mtime_ns, codec.storable(failure.cause))
        with self._transaction() as (connection, _):
            connection.execute(
                "INSERT OR REPLACE INTO failures (path, size, mtime_ns, cause, at) VALUES (?, ?, ?, ?, ?)",
                (*values, time.time()),
            )

    # -- transcripts

    def set_transcript(self, key: str, transcript: Transcript, passages: PassageVectors | None = None) -> None:
        with self._transaction() as (connection, change):
            video_id = id_of_video(connection, key)
            set_transcript(connection, video_id, transcript, change)
            _add_passages(connection, video_id, passages, change)

    def set_passages(self, video_id: int, passages: PassageVectors) -> None:
        with self._transaction() as (connection, change):
            remove_passages(connection, video_id, change, passages.space.channel)
            _add_passages(connection, video_id, passages, change)

    # -- models and labels

    def set_default_model(self, name: str) -> None:
        with self._transaction() as (connection, _):
            value = codec.storable(name)
            connection.execute("INSERT OR REPLACE INTO settings (name, value) VALUES ('model', ?)", (value,))

    def set_labels(self, space: Space, labels: Sequence[str], tags: Sequence[SceneLabel]) -> None:
        with self._transaction() as (connection, _):
            space_id = id_of_space(connection, space)
            connection.executemany(
                "DELETE FROM labels WHERE space_id = ? AND label = ?", [(space_id, label_key(name)) for name in labels]
            )
            rows = connection.execute("SELECT scene_id FROM vectors WHERE space_id = ?", (space_id,))
            known = {scene_id for (scene_id,) in rows}
            connection.executemany(
                "INSERT OR REPLACE INTO labels (scene_id, space_id, label, score) VALUES (?, ?, ?, ?)",
                [(t.scene_id, space_id, label_key(t.label), float(t.score)) for t in tags if t.scene_id in known],
            )

    def clear_labels(self, labels: Sequence[str] | None = None) -> int:
        with self._transaction() as (connection, _):
            values = tuple(label_key(name) for name in labels or ())
            where = "1" if labels is None else f"label IN ({', '.join('?' * len(values))})"
            (count,) = connection.execute(
                f"SELECT COUNT(DISTINCT scene_id) FROM labels WHERE {where}", values
            ).fetchone()
            connection.execute(f"DELETE FROM labels WHERE {where}", values)
        return int(count)

    def _drop_spaces(self, space_ids: Sequence[int]) -> tuple[int, int]:
        """Remove spaces with everything in them: (videos, scene embeddings). Removes videos without a file, too."""
        ids = {"ids": codec.ids_to_json(space_ids)}
        chosen = "space_id IN (SELECT value FROM json_each(:ids))"
        visual = "space_id IN (SELECT id FROM spaces WHERE channel = 'visual')"
        with self._transaction() as (connection, change):
            remove_orphans(connection, change)
            (alone,) = connection.execute(
                f"SELECT COUNT(DISTINCT video_id) FROM encodings WHERE {chosen} AND {visual} AND video_id NOT IN "
                f"(SELECT video_id FROM encodings WHERE NOT {chosen} AND {visual})",
                ids,
            ).fetchone()
            if alone:
                raise LibraryError(
                    f"{alone} videos are encoded with this model alone: first encode them with another one "
                    "(`vsearch index --model OTHER`), or take them away (`vsearch remove`)"
                )
            (videos,) = connection.execute(
                f"SELECT COUNT(DISTINCT video_id) FROM encodings WHERE {chosen}", ids
            ).fetchone()
            (vectors,) = connection.execute(f"SELECT COUNT(*) FROM vectors WHERE {chosen}", ids).fetchone()
            for table in ("vectors", "frames", "labels", "passages", "removals", "encodings"):
                connection.execute(f"DELETE FROM {table} WHERE {chosen}", ids)
            connection.execute("DELETE FROM spaces WHERE id IN (SELECT value FROM json_each(:ids))", ids)
        return videos, vectors

    # -- maintenance

    def _prune_removals(self, through: int) -> None:
        """Delete the list of removals up to a change number that every snapshot includes."""
        with self._transaction() as (connection, _):
            connection.execute("DELETE FROM removals WHERE change <= ?", (through,))
            connection.execute("UPDATE meta SET pruned_through = ?", (through,))

    def _compact(self) -> None:
        """Return unused pages to the disk. SQLite makes a copy, so a kill changes nothing.

        If the disk is too full for the copy, the pages stay and are used by later changes.
        """
        with closing(_connect(self._database)) as connection:
            try:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                _log.info("the catalog of %s keeps its free pages: %s", self._folder, error)

    def repair(self, statements: Statements, broken: Iterable[int]) -> tuple[set[int], int]:
        """Run the repairs of `verify` in one transaction: plain SQL, then the removal of videos with their files, so
        that the next index run adds them again: the broken ones, and those with frames that are in no space.

        Returns the ids of these, and the number of videos that were removed because they had no file before.
        """
        with self._transaction() as (connection, change):
            for statement, values in statements:
                connection.execute(statement, {**values, "change": change})
            orphans, _ = remove_orphans(connection, change)
            unencoded = connection.execute(
                "SELECT id FROM videos WHERE width > 0 AND id NOT IN (SELECT video_id FROM encodings "
                "JOIN spaces ON spaces.id = space_id WHERE channel NOT IN ('speech', 'ocr'))"
            )
            removed = {*broken, *(video_id for (video_id,) in unencoded)}
            connection.executemany("DELETE FROM files WHERE video_id = ?", [(video_id,) for video_id in removed])
            remove_orphans(connection, change)
        return removed, orphans


def remove_unfinished_repair(database: Path) -> None:
    """Remove the new catalog that a killed repair left behind. The caller holds the writer's lock."""
    for ending in ("", "-wal", "-shm", "-journal"):
        database.with_name(f"{database.name}.repaired{ending}").unlink(missing_ok=True)


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, timeout=5.0, check_same_thread=False)
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _add_passages(connection: sqlite3.Connection, video_id: int, passages: PassageVectors | None, change: int) -> None:
    if passages is not None:  # None: no embeddings were made yet
        add_passages(connection, video_id, id_of_space(connection, passages.space), passages, change)
