"""Reading what the catalog holds: files, videos, words, scenes. Spaces and vectors are in vector_reader.py."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.library import codec
from vsearch.library.column_tables import read_columns
from vsearch.library.rows import Failure, FileRow, LabelRow, SceneRow, TranscriptRow, VideoRow
from vsearch.library.vector_reader import ORPHAN, VectorReader
from vsearch.media import FileStamp, Segment, Space, VideoInfo

if TYPE_CHECKING:
    from vsearch.library.filters import Condition


class Reader(VectorReader):
    """Every question that can be put to a catalog. Thread-safe."""

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

    def paths(self) -> list[tuple[str, int]]:
        """Every path, with the id of the video that lies there."""
        with self.transaction() as connection:
            rows = connection.execute("SELECT path, video_id FROM files").fetchall()
        return [(os.fsdecode(path), video_id) for path, video_id in rows]

    def video(self, key: str) -> VideoRow | None:
        found = self._videos("WHERE key = ?", (key,))
        return found[0][0] if found else None

    def videos(self, after: int, limit: int) -> list[tuple[VideoRow, int]]:
        """Videos that some file holds, by id, and how many scenes each has."""
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
            row = connection.execute(f"SELECT 1 FROM videos WHERE id {ORPHAN} LIMIT 1").fetchone()
        return row is not None

    # -- words and encodings

    def transcript(self, video_id: int) -> list[Segment]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT start_seconds, end_seconds, text, channel, words, box, confidence FROM segments "
                "WHERE video_id = ? ORDER BY start_seconds, id",
                (video_id,),
            ).fetchall()
        return [codec.segment_from_row(row) for row in rows]

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
                "SELECT DISTINCT video_id FROM segments WHERE channel = ? AND video_id NOT IN "
                "(SELECT video_id FROM encodings WHERE space_id = ?) ORDER BY video_id",
                (space.channel, self.space_id(space) or 0),
            ).fetchall()
        return [video_id for (video_id,) in rows]

    # -- scenes

    def scenes(self, ids: Iterable[int], admits: Callable[[str], bool] | None = None) -> dict[int, SceneRow]:
        """The scenes that are still there. The path is the video's oldest, of those that are admitted if any is."""
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
        """A video's scenes in time order."""
        with self.transaction() as connection:
            ids = connection.execute("SELECT id FROM scenes WHERE video_id = ?", (video_id,)).fetchall()
            rows = self.scenes(scene_id for (scene_id,) in ids)
        return sorted(rows.values(), key=lambda row: row.start)

    def scenes_between(self, video_id: int, start: float, end: float) -> list[SceneRow]:
        """A video's scenes that lie in [start, end), in seconds, at least in part, in time order."""
        with self.transaction() as connection:
            path = connection.execute("SELECT path FROM files WHERE video_id = ? ORDER BY id LIMIT 1", (video_id,))
            blob = path.fetchone()
            if blob is None:
                return []
            held_by = codec.path_from_bytes(blob[0])
            # Scenes do not overlap: none before the one that is on at `start` reaches into the span.
            rows = connection.execute(
                "SELECT id, start_seconds, end_seconds FROM scenes WHERE video_id = ? AND start_seconds < ? "
                "AND end_seconds > ? AND start_seconds >= COALESCE((SELECT MAX(start_seconds) FROM scenes "
                "WHERE video_id = ? AND start_seconds <= ?), ?) ORDER BY start_seconds",
                (video_id, end, start, video_id, start, start),
            ).fetchall()
        return [SceneRow(row[0], video_id, held_by, row[1], row[2]) for row in rows]

    def thumbnail(self, scene_id: int) -> bytes | None:
        """Of a scene whose video some file holds."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT picture FROM thumbnails JOIN scenes ON scenes.id = scene_id "
                f"WHERE scene_id = ? AND NOT scenes.video_id {ORPHAN}",
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

    def select(self, table: str, conditions: Sequence[Condition]) -> NDArray[np.int64]:
        """Ids, ascending, of the rows of a table, "videos" or "scenes", that all conditions admit."""
        source = f"FROM {table} WHERE {' AND '.join(condition for condition, _ in conditions)}"
        values = tuple(value for _, values in conditions for value in values)
        with self.transaction() as connection:
            (ids,), _ = read_columns(connection, ("id",), (), source, values)
        return np.sort(ids)

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


def _under(folder: Path | None) -> tuple[str, tuple[bytes, ...]]:
    """A condition, and its values, for the paths at and below a folder; for every path."""
    if folder is None:
        return "", ()
    exact = codec.path_to_bytes(folder)
    separator = os.sep.encode()
    below = exact.rstrip(separator) + separator
    beyond = below[:-1] + bytes([below[-1] + 1])
    return "WHERE path = ? OR (path >= ? AND path < ?)", (exact, below, beyond)
