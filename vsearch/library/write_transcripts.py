"""Writing transcripts: segments, their origin, and passages. Each function runs inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np

from vsearch.library import codec
from vsearch.library.folding import folded
from vsearch.media import TRANSCRIPT_CHANNELS, PassageVectors, Segment, Transcript


def set_transcript(connection: sqlite3.Connection, video_id: int, transcript: Transcript, change: int) -> None:
    """Replace the transcript of one channel. Its passages are removed too."""
    of_channel = (video_id, transcript.channel)
    remove_passages(connection, video_id, change, transcript.channel)
    connection.execute("DELETE FROM segments WHERE video_id = ? AND channel = ?", of_channel)
    connection.execute("DELETE FROM transcripts WHERE video_id = ? AND channel = ?", of_channel)
    cause = None if transcript.cause is None else codec.storable(transcript.cause)
    connection.execute(
        "INSERT INTO transcripts (video_id, channel, source, recipe, language, cause) VALUES (?, ?, ?, ?, ?, ?)",
        (*of_channel, transcript.source, codec.storable(transcript.recipe), transcript.language, cause),
    )
    add_segments(connection, video_id, transcript.segments)


def add_passages(
    connection: sqlite3.Connection, video_id: int, space_id: int, passages: PassageVectors, change: int
) -> None:
    """Add the passages of a transcript. A transcript that is too short has an encoding without passages."""
    connection.execute("INSERT INTO encodings (video_id, space_id) VALUES (?, ?)", (video_id, space_id))
    connection.executemany(
        "INSERT INTO passages (video_id, space_id, change, start_seconds, end_seconds, vector) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [
            (video_id, space_id, change, float(start), float(end), codec.vector_to_bytes(vector))
            for (start, end), vector in zip(passages.spans, passages.vectors, strict=True)
        ],
    )


def remove_passages(connection: sqlite3.Connection, video_id: int, change: int, channel: str | None = None) -> None:
    """Remove the passages of a video (in one channel), and list them as removed for the snapshots."""
    channels = TRANSCRIPT_CHANNELS if channel is None else (channel,)
    marks = ", ".join("?" * len(channels))
    of_video = f"video_id = ? AND space_id IN (SELECT id FROM spaces WHERE channel IN ({marks}))"
    connection.execute(
        f"INSERT INTO removals (space_id, scene_id, change) SELECT space_id, id, ? FROM passages WHERE {of_video}",
        (change, video_id, *channels),
    )
    for table in ("passages", "encodings"):
        connection.execute(f"DELETE FROM {table} WHERE {of_video}", (video_id, *channels))


def add_segments(connection: sqlite3.Connection, video_id: int, segments: Sequence[Segment]) -> None:
    """Add segments to a video that has its scenes. Triggers add them to the full-text index."""
    rows = []
    for segment in segments:
        text = codec.storable(segment.text)
        words, box = codec.words_to_json(segment.words), codec.box_to_json(segment.box)
        span = (float(segment.start), float(segment.end))
        rows.append((video_id, segment.channel, *span, text, words, box, segment.confidence, folded(text)))
    connection.executemany(
        "INSERT INTO segments (video_id, channel, start_seconds, end_seconds, text, words, box, confidence, folded) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    _mark_spoken(connection, video_id)


def spoken_scenes(scenes: Sequence[tuple[int, float, float]], segments: Sequence[tuple[float, float]]) -> list[int]:
    """Ids of the scenes that a speech segment overlaps. scenes: (id, start, end). segments: (start, end), by start."""
    starts = np.array([start for start, _ in segments])
    last = np.maximum.accumulate(np.array([-np.inf, *(end for _, end in segments)]))  # end of all segments so far
    begun = np.searchsorted(starts, np.array([end for _, _, end in scenes]))  # segments that start before a scene ends
    spoken = last[begun] > np.array([start for _, start, _ in scenes])
    return [scene for (scene, _, _), overlaps in zip(scenes, spoken, strict=True) if overlaps]


def _mark_spoken(connection: sqlite3.Connection, video_id: int) -> None:
    """Set `scenes.spoken` of every scene of a video."""
    segments = connection.execute(
        "SELECT start_seconds, end_seconds FROM segments WHERE video_id = ? AND channel = 'speech' "
        "ORDER BY start_seconds",
        (video_id,),
    ).fetchall()
    scenes = connection.execute(
        "SELECT id, start_seconds, end_seconds FROM scenes WHERE video_id = ?", (video_id,)
    ).fetchall()
    ids = codec.ids_to_json(spoken_scenes(scenes, segments))
    connection.execute(
        "UPDATE scenes SET spoken = id IN (SELECT value FROM json_each(?)) WHERE video_id = ?", (ids, video_id)
    )
