"""Writing videos, their files, scenes and embeddings. Each function runs inside a transaction of writer.py."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np

from vsearch.errors import LibraryError
from vsearch.library import codec
from vsearch.library.write_transcripts import remove_passages
from vsearch.media import EncodedScene, FileStamp, Scene, Space, VideoInfo


def check_vectors(space: Space, scenes: Sequence[EncodedScene]) -> None:
    """ValueError unless the scenes have embeddings of this space."""
    if not scenes:
        raise ValueError("a video has at least one scene")
    for scene in scenes:
        if scene.vector.shape != (space.dim,):
            raise ValueError(f"a vector of this space has {space.dim} dimensions: {scene.vector.shape = }")
        norm = float(np.linalg.norm(scene.vector))
        if not abs(norm - 1.0) < 1e-2:
            raise ValueError(f"a vector has unit length: {norm = }")
        if not np.isfinite(scene.frame_vectors).all():
            raise ValueError("a frame vector is finite")


def id_of_video(connection: sqlite3.Connection, key: str) -> int:
    """The id of the video with a content key. LibraryError if there is none."""
    row = connection.execute("SELECT id FROM videos WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise LibraryError(f"the library holds no video with the key {key}")
    return int(row[0])


def set_video(connection: sqlite3.Connection, key: str, info: VideoInfo, change: int) -> int:
    """Insert a video, or empty the one with this key: it keeps its files and loses scenes and transcripts."""
    size, rotation = (info.width, info.height), info.rotation
    values = (info.duration, *size, info.codec, info.container, rotation, int(info.has_audio), info.recorded_at)
    row = connection.execute("SELECT id FROM videos WHERE key = ?", (key,)).fetchone()
    if row is None:
        return _inserted(
            connection,
            "INSERT INTO videos (key, duration, width, height, codec, container, rotation, has_audio, recorded_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key, *values),
        )
    video_id = int(row[0])
    connection.execute(
        "UPDATE videos SET duration = ?, width = ?, height = ?, codec = ?, container = ?, rotation = ?, "
        "has_audio = ?, recorded_at = ? WHERE id = ?",
        (*values, video_id),
    )
    remove_scenes(connection, video_id, change)
    remove_passages(connection, video_id, change)
    for table in ("encodings", "segments", "transcripts"):
        connection.execute(f"DELETE FROM {table} WHERE video_id = ?", (video_id,))
    return video_id


def set_file(connection: sqlite3.Connection, stamp: FileStamp, video_id: int) -> None:
    """Point a path at a video. The video that it held before may be left without a file: see `remove_orphans`."""
    path = codec.path_to_bytes(stamp.path)
    connection.execute(
        "INSERT INTO files (path, size, mtime_ns, video_id) VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE "
        "SET size = excluded.size, mtime_ns = excluded.mtime_ns, video_id = excluded.video_id",
        (path, stamp.size, stamp.mtime_ns, video_id),
    )
    connection.execute("DELETE FROM failures WHERE path = ?", (path,))


def add_scenes(connection: sqlite3.Connection, video_id: int, spans: Sequence[Scene]) -> list[int]:
    """Add scenes, in time order; returns their ids in the same order."""
    statement = "INSERT INTO scenes (video_id, ordinal, start_seconds, end_seconds) VALUES (?, ?, ?, ?)"
    return [
        _inserted(connection, statement, (video_id, ordinal, float(span.start), float(span.end)))
        for ordinal, span in enumerate(spans)
    ]


def set_thumbnails(connection: sqlite3.Connection, thumbnails: Mapping[int, bytes]) -> None:
    """Replace the thumbnails of scenes, JPEGs by scene id. Empty: no thumbnail can be made."""
    connection.executemany(
        "INSERT INTO thumbnails (scene_id, picture) VALUES (?, ?) "
        "ON CONFLICT (scene_id) DO UPDATE SET picture = excluded.picture",
        thumbnails.items(),
    )


def id_of_space(connection: sqlite3.Connection, space: Space) -> int:
    """The id of a space, which is created if it does not exist."""
    identity = (space.fingerprint, space.channel, space.dim, space.metric)
    row = connection.execute(
        "SELECT id FROM spaces WHERE fingerprint = ? AND channel = ? AND dim = ? AND metric = ?", identity
    ).fetchone()
    if row is not None:
        return int(row[0])
    return _inserted(
        connection,
        "INSERT INTO spaces (model, fingerprint, channel, dim, metric) VALUES (?, ?, ?, ?, ?)",
        (space.model, *identity),
    )


def add_vectors(
    connection: sqlite3.Connection,
    video_id: int,
    space: Space,
    scene_ids: Sequence[int],
    scenes: Sequence[EncodedScene],
    change: int,
) -> None:
    """Add a video's embeddings of scenes and frames to a space that has none of them."""
    space_id = id_of_space(connection, space)
    connection.execute("INSERT INTO encodings (video_id, space_id) VALUES (?, ?)", (video_id, space_id))
    for scene_id, scene in zip(scene_ids, scenes, strict=True):
        connection.execute(
            "INSERT INTO vectors (space_id, scene_id, change, vector) VALUES (?, ?, ?, ?)",
            (space_id, scene_id, change, codec.vector_to_bytes(scene.vector)),
        )
        times, vectors = codec.times_to_bytes(scene.frame_times), codec.frames_to_bytes(scene.frame_vectors)
        connection.execute(
            "INSERT INTO frames (space_id, scene_id, times, vectors) VALUES (?, ?, ?, ?)",
            (space_id, scene_id, times, vectors),
        )


def remove_scenes(connection: sqlite3.Connection, video_id: int, change: int) -> int:
    """Remove the scenes of a video, and list their embeddings as removed for the snapshots; returns their number."""
    connection.execute(
        "INSERT INTO removals (space_id, scene_id, change) SELECT space_id, scene_id, ? FROM vectors "
        "WHERE scene_id IN (SELECT id FROM scenes WHERE video_id = ?)",
        (change, video_id),
    )
    return connection.execute("DELETE FROM scenes WHERE video_id = ?", (video_id,)).rowcount


def remove_orphans(connection: sqlite3.Connection, change: int) -> tuple[int, int]:
    """Remove the videos without a file: (videos, scenes)."""
    orphans = connection.execute("SELECT id FROM videos WHERE id NOT IN (SELECT video_id FROM files)").fetchall()
    scenes = 0
    for (video_id,) in orphans:
        scenes += remove_scenes(connection, video_id, change)
        remove_passages(connection, video_id, change)
        connection.execute("DELETE FROM videos WHERE id = ?", (video_id,))
    return len(orphans), scenes


def _inserted(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> int:
    """Insert a row; returns its id."""
    row_id = connection.execute(statement, values).lastrowid
    assert row_id is not None
    return row_id
