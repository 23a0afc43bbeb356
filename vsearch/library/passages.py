"""Finding passages by their meaning: the nearest vectors of a space of words, and the lines that they stand for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vsearch.library.places import Places, columns
from vsearch.library.reader import Reader
from vsearch.library.rows import WordHit
from vsearch.library.word_hits import scene_at, transcript_line
from vsearch.media import Space
from vsearch.passages import first_passage


def admitted(reader: Reader, places: Places, space_id: int, scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids, ascending, of the passages that begin in these scenes."""
    with reader.transaction() as connection:
        ids, videos, starts = columns(
            connection, ("id", "video_id", "start_seconds"), "FROM passages WHERE space_id = ?", (space_id,)
        )
        begun = places.scenes(connection, reader.state().change).at(videos.astype(np.int64), starts)
        return np.sort(ids[np.isin(begun, scenes, kind="sort")].astype(np.int64))


def passage_hits(reader: Reader, space: Space, found: Iterable[tuple[int, float]]) -> Iterator[WordHit]:
    """Passages with their similarities, best first, as hits. Of two that share time the better one is told."""
    told: dict[int, list[WordHit]] = {}
    with reader.transaction() as connection:
        for passage, similarity in found:
            hit = _hit(connection, space.channel, passage, similarity)
            if hit is not None and not any(_overlap(hit, better) for better in told.setdefault(hit.video_id, [])):
                told[hit.video_id].append(hit)
                yield hit


def _overlap(one: WordHit, other: WordHit) -> bool:
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
            "SELECT start_seconds, end_seconds, text, channel, words, box, confidence FROM lines WHERE video_id = ? "
            "AND channel = ? AND start_seconds BETWEEN ? AND ? AND end_seconds <= ? ORDER BY start_seconds, id",
            (video_id, channel, start, end, end),
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
