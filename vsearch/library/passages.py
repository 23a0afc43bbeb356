"""Finding passages by their meaning: the nearest vectors of a space of words, and the lines that they stand for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vsearch.library.reader import Reader
from vsearch.library.rows import WordHit
from vsearch.library.texts import scene_at, transcript_line
from vsearch.media import Space, Vectors
from vsearch.passages import first_passage


def admitted(reader: Reader, space_id: int, scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids, ascending, of the passages of the videos of these scenes."""
    with reader.transaction() as connection:
        rows = connection.execute(
            "SELECT id FROM passages WHERE space_id = ? AND video_id IN (SELECT video_id FROM scenes WHERE id IN "
            "(SELECT value FROM json_each(?))) ORDER BY id",
            (space_id, json.dumps(scenes.tolist())),
        )
        return np.fromiter((passage for (passage,) in rows), dtype=np.int64)


def passage_hits(
    reader: Reader, space: Space, ids: Iterable[int], similarities: Vectors, allowed: NDArray[np.int64] | None
) -> list[WordHit]:
    """Passages (-1: none), best first, as hits. Of two that share lines the better one is told."""
    scenes = None if allowed is None else set(allowed.tolist())
    hits: list[WordHit] = []
    with reader.transaction() as connection:
        for passage, similarity in zip(ids, similarities.tolist(), strict=True):
            hit = _hit(connection, space.channel, int(passage), float(similarity))
            if hit is None or (scenes is not None and hit.scene_id not in scenes):
                continue
            if not any(hit.video_id == better.video_id and overlap(hit, better) for better in hits):
                hits.append(hit)
    return hits


def overlap(one: WordHit, other: WordHit) -> bool:
    """Whether two passages of one video and channel share time."""
    return one.start < other.end and other.start < one.end


def _hit(connection: sqlite3.Connection, channel: str, passage: int, similarity: float) -> WordHit | None:
    row = connection.execute(
        "SELECT video_id, start_seconds, end_seconds FROM passages WHERE id = ?", (passage,)
    ).fetchone()
    if row is None:
        return None
    video_id, start, end = row
    lines = [
        transcript_line(row)
        for row in connection.execute(
            "SELECT start_seconds, end_seconds, text, channel, words, box, confidence FROM lines "
            "WHERE video_id = ? AND channel = ? AND start_seconds >= ? AND end_seconds <= ? ORDER BY start_seconds, id",
            (video_id, channel, start, end),
        )
    ]
    scene = scene_at(connection, video_id, start)
    if scene is None or not lines:
        return None
    told = first_passage(lines)  # where one line is shown for long, others come and go meanwhile
    return WordHit(
        scene_id=scene,
        video_id=video_id,
        start=start,
        end=end,
        score=0.0,
        channel=channel,
        lines=tuple(told),
        spans=((),) * len(told),
        similarity=similarity,
    )
