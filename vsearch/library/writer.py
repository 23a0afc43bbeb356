"""Writing the catalog: each function body is one transaction, which raises the change number by one.

journal_mode WAL with synchronous FULL: a commit is on the disk before it returns, so neither SIGKILL nor a power cut
loses a committed video (short of a disk that lies about flushing). A video takes seconds to encode; the flush of its
commit takes milliseconds.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, create_engine, delete, event, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from vsearch.errors import LibraryError
from vsearch.library import catalog, codec
from vsearch.library.connection import identity
from vsearch.library.faults import translated
from vsearch.library.labels import clear_labels, replace_labels
from vsearch.library.rows import Failure, RemovalReport, Tag, VideoRecord, same_scenes
from vsearch.library.spaces import remove_spaces
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
from vsearch.library.write_words import add_passages, add_segments, remove_passages, set_transcript
from vsearch.media import (
    TRANSCRIPT_CHANNELS,
    EncodedScene,
    FileStamp,
    PassageVectors,
    Scene,
    Space,
    Transcript,
    VideoInfo,
)

_log = logging.getLogger(__name__)


class Writer:
    """The catalog's one writing connection. The caller holds the writer's lock."""

    def __init__(self, folder: Path, database: Path) -> None:
        self._folder, self._database = folder, database
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: _connect(database),
            poolclass=StaticPool,  # one connection, whatever thread holds the lock
        )
        with translated(folder):
            self._file = identity(database)
        # Python's sqlite3 would begin transactions late and by itself; we begin them, and as writers.
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))

    def close(self) -> None:
        self._engine.dispose()

    def is_current(self) -> bool:
        """Whether it writes the file that lies at the catalog's path: a repair puts another one there."""
        with translated(self._folder):
            return identity(self._database) == self._file

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Session, int]]:
        """A session and the number of the change that it makes. All of it is committed, or none."""
        with translated(self._folder), Session(self._engine) as session, session.begin():
            change = session.scalars(
                update(catalog.Meta).values(change=catalog.Meta.change + 1).returning(catalog.Meta.change)
            ).one()
            yield session, change

    def add_video(self, record: VideoRecord) -> int:
        """Write a video, in the place of what its content key had before."""
        check_vectors(record.space, record.scenes)
        with self._transaction() as (session, change):
            video_id = set_video(session, record.key, record.info, change)
            set_file(session, record.stamp, video_id)
            scene_ids = add_scenes(session, video_id, [encoded.scene for encoded in record.scenes])
            add_vectors(session, video_id, record.space, scene_ids, record.scenes, change)
            set_thumbnails(session, {i: s.thumbnail for i, s in zip(scene_ids, record.scenes, strict=True)})
            add_segments(session, video_id, record.segments)
        return video_id

    def add_encoding(self, key: str, space: Space, scenes: Sequence[EncodedScene]) -> None:
        """Vectors of a known video in one more space, or anew in one that it has."""
        check_vectors(space, scenes)
        with self._transaction() as (session, change):
            video_id = id_of_video(session, key)
            known = session.execute(
                select(catalog.Scene.id, catalog.Scene.start_seconds, catalog.Scene.end_seconds)
                .where(catalog.Scene.video_id == video_id)
                .order_by(catalog.Scene.ordinal)
            ).all()
            if not same_scenes([(row.start_seconds, row.end_seconds) for row in known], scenes):
                raise LibraryError(f"the scenes of video {key} are not those that the library holds: index it anew")
            scene_ids = [row.id for row in known]
            space_id = id_of_space(session, space)
            # An index row is never changed in place: scene ids stay, so a snapshot must be told that the old is gone.
            for table in (catalog.Vector, catalog.Frames, catalog.Label):
                session.execute(delete(table).where(table.space_id == space_id, table.scene_id.in_(scene_ids)))
            session.execute(
                delete(catalog.Encoding).where(
                    catalog.Encoding.video_id == video_id, catalog.Encoding.space_id == space_id
                )
            )
            add_vectors(session, video_id, space, scene_ids, scenes, change)
            fresh = {i: s.thumbnail for i, s in zip(scene_ids, scenes, strict=True) if s.thumbnail}
            set_thumbnails(session, fresh)

    def set_thumbnails(self, key: str, pictures: Mapping[int, bytes]) -> None:
        """Thumbnails of scenes of a known video, by their ids. Ids of other scenes are passed over."""
        with self._transaction() as (session, _):
            of_video = select(catalog.Scene.id).where(catalog.Scene.video_id == id_of_video(session, key))
            known = set(session.scalars(of_video))
            set_thumbnails(session, {i: picture for i, picture in pictures.items() if i in known})

    def add_sound(
        self,
        stamp: FileStamp,
        key: str,
        info: VideoInfo,
        spans: Sequence[Scene],
        heard: Transcript,
        passages: PassageVectors | None = None,
    ) -> int:
        """Write a file that holds sound alone: its scenes have no vectors."""
        if not spans or not info.sound_only:
            raise ValueError(f"sound has at least one scene and no pictures: {len(spans) = }, {info = }")
        with self._transaction() as (session, change):
            video_id = set_video(session, key, info, change)
            set_file(session, stamp, video_id)
            add_scenes(session, video_id, spans)
            set_transcript(session, video_id, heard, change)
            _add_passages(session, video_id, passages, change)
        return video_id

    def set_transcript(self, key: str, transcript: Transcript, passages: PassageVectors | None = None) -> None:
        """The words of one channel of a known video, and their vectors, in the place of those that it had."""
        with self._transaction() as (session, change):
            video_id = id_of_video(session, key)
            set_transcript(session, video_id, transcript, change)
            _add_passages(session, video_id, passages, change)

    def set_passages(self, video_id: int, passages: PassageVectors) -> None:
        """Vectors of the words of one channel that a video has already, in the place of older ones."""
        with self._transaction() as (session, change):
            remove_passages(session, [video_id], change, passages.space.channel)
            _add_passages(session, video_id, passages, change)

    def touch_file(self, stamp: FileStamp, key: str) -> None:
        """A path now holds a known content."""
        with self._transaction() as (session, _):
            set_file(session, stamp, id_of_video(session, key))

    def forget_files(self, paths: Iterable[Path], *, keep_videos: bool = False) -> RemovalReport:
        """Take paths away, their failures too, and unless told otherwise every video that no path holds."""
        with self._transaction() as (session, change):
            files = failures = 0
            for path in paths:
                blob = codec.path_to_bytes(path)
                files += _count(session, delete(catalog.File).where(catalog.File.path == blob))
                failures += _count(session, delete(catalog.Failure).where(catalog.Failure.path == blob))
            removed, scenes = (0, 0) if keep_videos else remove_orphans(session, change)
        return RemovalReport(files, removed, scenes, failures)

    def remove_orphans(self) -> RemovalReport:
        """Remove every video that no path holds."""
        with self._transaction() as (session, change):
            removed, scenes = remove_orphans(session, change)
        return RemovalReport(videos=removed, scenes=scenes)

    def record_failure(self, failure: Failure) -> None:
        stamp = failure.stamp
        values = {
            "size": stamp.size,
            "mtime_ns": stamp.mtime_ns,
            "cause": codec.storable(failure.cause),
            "at": time.time(),
        }
        with self._transaction() as (session, _):
            session.execute(
                upsert(catalog.Failure)
                .values(path=codec.path_to_bytes(stamp.path), **values)
                .on_conflict_do_update(index_elements=["path"], set_=values)
            )

    def prune_removals(self, through: int) -> None:
        """Forget removals up to a change that every snapshot has seen."""
        with self._transaction() as (session, _):
            session.execute(delete(catalog.Removal).where(catalog.Removal.change <= through))
            session.execute(update(catalog.Meta).values(pruned_through=through))

    def set_setting(self, name: str, value: str) -> None:
        """Keep what a person has chosen."""
        with self._transaction() as (session, _):
            session.execute(
                upsert(catalog.Setting)
                .values(name=name, value=codec.storable(value))
                .on_conflict_do_update(index_elements=["name"], set_={"value": codec.storable(value)})
            )

    def replace_labels(self, space: Space, labels: Sequence[str], tags: Sequence[Tag]) -> None:
        """Which scenes have these labels in a space from now on."""
        with self._transaction() as (session, _):
            replace_labels(session, id_of_space(session, space), labels, tags)

    def clear_labels(self, labels: Sequence[str] | None) -> int:
        """Take labels away from every scene; returns of how many."""
        with self._transaction() as (session, _):
            return clear_labels(session, labels)

    def remove_spaces(self, space_ids: Sequence[int]) -> tuple[int, int]:
        """Take spaces away with all that lies in them: (videos, vectors). See `SqliteStore.remove_spaces`."""
        with self._transaction() as (session, change):
            remove_orphans(session, change)
            return remove_spaces(session, space_ids)

    def compact(self) -> None:
        """Give pages that are no longer used back to the disk: a copy is made, so a kill changes nothing.

        Where that cannot be (a disk that is too full for the copy) the pages stay, for what will be written later.
        """
        connection = _connect(self._database)
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _log.info("the catalog of %s keeps its free pages: %s", self._folder, error)
        finally:
            connection.close()

    def run(self, statements: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Plain SQL in one transaction."""
        with self._transaction() as (session, change):
            _run(session, statements, change)

    def repair(self, statements: Iterable[tuple[str, dict[str, Any]]], broken: Iterable[int]) -> tuple[set[int], int]:
        """What verify's repairs need, in one transaction: plain SQL, then videos removed with their files, so that the
        next index run finds them new: the broken ones, and those with pictures that no space knows any more.

        Returns the ids of these, and how many videos were removed because no file held them before.
        """
        with self._transaction() as (session, change):
            _run(session, statements, change)
            orphans, _ = remove_orphans(session, change)
            words = select(catalog.Space.id).where(catalog.Space.channel.in_(TRANSCRIPT_CHANNELS))
            encoded = select(catalog.Encoding.video_id).where(catalog.Encoding.space_id.not_in(words))
            unencoded = select(catalog.Video.id).where(catalog.Video.id.not_in(encoded), catalog.Video.width > 0)
            removed = {*broken, *session.scalars(unencoded)}
            for video_id in removed:
                session.execute(delete(catalog.File).where(catalog.File.video_id == video_id))
            remove_orphans(session, change)
        return removed, orphans


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, timeout=5.0, check_same_thread=False)
    for pragma in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _run(session: Session, statements: Iterable[tuple[str, dict[str, Any]]], change: int) -> None:
    for statement, values in statements:
        session.execute(text(statement), {**values, "change": change} if ":change" in statement else values)


def _count(session: Session, statement: Delete) -> int:
    """How many rows a DELETE takes away."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def _add_passages(session: Session, video_id: int, passages: PassageVectors | None, change: int) -> None:
    if passages is not None:  # else nobody has made vectors yet
        add_passages(session, video_id, id_of_space(session, passages.space), passages, change)
