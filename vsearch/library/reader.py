"""Reading a catalog: files, videos, transcripts, scenes and labels. Every method sees what was committed before it was
called. Spaces and embeddings are in vector_reader.py."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsearch.library import codec
from vsearch.library.column_tables import read_columns
from vsearch.library.filters import NO_FILTERS, Condition, Filters
from vsearch.library.rows import Failure, FileRow, LabelRow, SceneRow, TranscriptRow, VideoRow
from vsearch.library.vector_reader import ORPHAN, VectorReader
from vsearch.media import FileStamp, Segment, Space, VideoInfo


class Reader(VectorReader):
    """The reading side of `SqliteStore`: see store.py for what the public methods return. Thread-safe."""

    def default_model(self) -> str | None:
        with self.transaction() as connection:
            row = connection.execute("SELECT value FROM settings WHERE name = 'model'").fetchone()
        return None if row is None else str(row[0])

    # -- files and videos

    def find_file(self, path: Path) -> FileRow | None:
        rows = self._files("WHERE path = ?", (codec.path_to_bytes(path),))
        return rows[0] if rows else None

    def files(self, under: Path | None = None) -> list[FileRow]:
        return self._files(*_under(under))

    def _files(self, where: str, values: tuple[bytes, ...]) -> list[FileRow]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT path, size, mtime_ns, video_id, key FROM files JOIN videos ON videos.id = video_id "
                f"{where} ORDER BY path",
                values,
            ).fetchall()
        return [FileRow(codec.path_from_bytes(path), *rest) for path, *rest in rows]

    def paths(self) -> list[tuple[str, int]]:
        """Every path, with the id of its video."""
        with self.transaction() as connection:
            rows = connection.execute("SELECT path, video_id FROM files").fetchall()
        return [(os.fsdecode(path), video_id) for path, video_id in rows]

    def find_key(self, key: str) -> VideoRow | None:
        videos = self._videos("WHERE key = ?", (key,))
        return videos[0][0] if videos else None

    def videos(self, after: int = 0, limit: int = 100) -> list[tuple[VideoRow, int]]:
        return self._videos(f"WHERE id > ? AND NOT id {ORPHAN} ORDER BY id LIMIT ?", (after, limit))

    def _videos(self, where: str, values: tuple[object, ...]) -> list[tuple[VideoRow, int]]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT id, key, (SELECT COUNT(*) FROM scenes WHERE video_id = videos.id), duration, width, height, "
                f"codec, container, rotation, has_audio, recorded_at FROM videos {where}",
                values,
            ).fetchall()
            files = connection.execute(
                "SELECT video_id, path FROM files WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY id",
                (codec.ids_to_json(row[0] for row in rows),),
            ).fetchall()
        paths: dict[int, list[Path]] = {row[0]: [] for row in rows}
        for video_id, path in files:
            paths[video_id].append(codec.path_from_bytes(path))
        videos = []
        for video_id, key, scenes, duration, width, height, name, container, rotation, has_audio, recorded_at in rows:
            info = VideoInfo(duration, width, height, name, container, rotation, bool(has_audio), recorded_at)
            videos.append((VideoRow(video_id, key, info, tuple(paths[video_id])), scenes))
        return videos

    def find_failure(self, path: Path) -> Failure | None:
        failures = self._failures("WHERE path = ?", (codec.path_to_bytes(path),))
        return failures[0] if failures else None

    def failures(self, under: Path | None = None) -> list[Failure]:
        return self._failures(*_under(under))

    def _failures(self, where: str, values: tuple[bytes, ...]) -> list[Failure]:
        with self.transaction() as connection:
            rows = connection.execute(
                f"SELECT path, size, mtime_ns, cause FROM failures {where} ORDER BY path", values
            ).fetchall()
        return [Failure(FileStamp(codec.path_from_bytes(p), size, mtime), cause) for p, size, mtime, cause in rows]

    def has_orphans(self) -> bool:
        """Whether there are videos without a file."""
        with self.transaction() as connection:
            row = connection.execute(f"SELECT 1 FROM videos WHERE id {ORPHAN} LIMIT 1").fetchone()
        return row is not None

    # -- transcripts and encodings

    def transcript(self, video_id: int) -> list[Segment]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT start_seconds, end_seconds, text, channel, words, box, confidence FROM segments "
                "WHERE video_id = ? ORDER BY start_seconds, id",
                (video_id,),
            ).fetchall()
        return [codec.segment_from_row(row) for row in rows]

    def find_transcript(self, video_id: int, channel: str = "speech") -> TranscriptRow | None:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT channel, source, recipe, language, cause FROM transcripts WHERE video_id = ? AND channel = ?",
                (video_id, channel),
            ).fetchone()
        return None if row is None else TranscriptRow(*row)

    def unencoded_files(self, space: Space) -> list[Path]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT (SELECT path FROM files WHERE video_id = videos.id ORDER BY id LIMIT 1) AS path FROM videos "
                "WHERE width > 0 AND path NOTNULL "
                "AND id NOT IN (SELECT video_id FROM encodings WHERE space_id = ?) ORDER BY path",
                (self.space_id(space),),  # NULL, if there is no such space, equals nothing
            ).fetchall()
        return [codec.path_from_bytes(path) for (path,) in rows]

    def without_passages(self, space: Space) -> list[int]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT DISTINCT video_id FROM segments WHERE channel = ? AND video_id NOT IN "
                "(SELECT video_id FROM encodings WHERE space_id = ?) ORDER BY video_id",
                (space.channel, self.space_id(space) or 0),
            ).fetchall()
        return [video_id for (video_id,) in rows]

    # -- scenes

    def scenes(self, ids: Iterable[int], *, filters: Filters = NO_FILTERS) -> dict[int, SceneRow]:
        unfiltered = filters.path is None and filters.folder is None
        admits = None if unfiltered else filters.path_matcher()
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT id, video_id, start_seconds, end_seconds FROM scenes "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (codec.ids_to_json(ids),),
            ).fetchall()
            files = connection.execute(
                "SELECT video_id, path FROM files WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
                (codec.ids_to_json({row[1] for row in rows}),),
            ).fetchall()
        paths = dict(files)
        if admits is not None:
            paths |= {video_id: path for video_id, path in files if admits(os.fsdecode(path))}
        found = {video_id: codec.path_from_bytes(path) for video_id, path in paths.items()}
        return {row[0]: SceneRow(row[0], row[1], found[row[1]], row[2], row[3]) for row in rows if row[1] in found}

    def scenes_of(self, video_id: int) -> list[SceneRow]:
        with self.transaction() as connection:
            ids = connection.execute("SELECT id FROM scenes WHERE video_id = ?", (video_id,)).fetchall()
            rows = self.scenes(scene_id for (scene_id,) in ids)
        return sorted(rows.values(), key=lambda row: row.start)

    def scenes_between(self, video_id: int, start: float, end: float) -> list[SceneRow]:
        with self.transaction() as connection:
            path = connection.execute("SELECT path FROM files WHERE video_id = ? ORDER BY id LIMIT 1", (video_id,))
            first = path.fetchone()
            if first is None:
                return []
            file = codec.path_from_bytes(first[0])
            # Scenes do not overlap: none before the one that contains `start` reaches into the span.
            rows = connection.execute(
                "SELECT id, start_seconds, end_seconds FROM scenes WHERE video_id = ? AND start_seconds < ? "
                "AND end_seconds > ? AND start_seconds >= COALESCE((SELECT MAX(start_seconds) FROM scenes "
                "WHERE video_id = ? AND start_seconds <= ?), ?) ORDER BY start_seconds",
                (video_id, end, start, video_id, start, start),
            ).fetchall()
        return [SceneRow(row[0], video_id, file, row[1], row[2]) for row in rows]

    def thumbnail(self, scene_id: int) -> bytes | None:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT picture FROM thumbnails JOIN scenes ON scenes.id = scene_id "
                f"WHERE scene_id = ? AND NOT scenes.video_id {ORPHAN}",
                (scene_id,),
            ).fetchone()
        return row[0] if row is not None and row[0] else None

    def videos_without_thumbnails(self) -> set[int]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT DISTINCT scenes.video_id FROM scenes JOIN videos ON videos.id = scenes.video_id "
                "WHERE videos.width > 0 AND scenes.id NOT IN (SELECT scene_id FROM thumbnails)"
            )
            return {video_id for (video_id,) in rows}

    def select(self, table: str, conditions: Sequence[Condition]) -> NDArray[np.int64]:
        """Ids, ascending, of the rows of "videos" or "scenes" that meet all conditions."""
        source = f"FROM {table} WHERE {' AND '.join(condition for condition, _ in conditions)}"
        values = tuple(value for _, values in conditions for value in values)
        with self.transaction() as connection:
            (ids,), _ = read_columns(connection, ("id",), (), source, values)
        return np.sort(ids)

    def labels(self) -> list[LabelRow]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT label, model, COUNT(*), COUNT(DISTINCT scenes.video_id) FROM labels "
                "JOIN spaces ON spaces.id = labels.space_id JOIN scenes ON scenes.id = labels.scene_id "
                "WHERE scenes.video_id IN (SELECT video_id FROM files) "
                "GROUP BY label, labels.space_id ORDER BY label, labels.space_id"
            ).fetchall()
        return [LabelRow(*row) for row in rows]


def _under(folder: Path | None) -> tuple[str, tuple[bytes, ...]]:
    """The condition that a path is a folder or below it, and its values. None: every path."""
    if folder is None:
        return "", ()
    exact = codec.path_to_bytes(folder)
    separator = os.sep.encode()
    below = exact.rstrip(separator) + separator
    beyond = below[:-1] + bytes([below[-1] + 1])
    return "WHERE path = ? OR (path >= ? AND path < ?)", (exact, below, beyond)
