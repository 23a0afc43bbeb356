"""Semantic search: the passages nearest to the embedding of a query, with their segments."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.library import codec
from vsearch.library.column_tables import ColumnTables
from vsearch.library.reader import Reader
from vsearch.library.rows import PassageHit
from vsearch.media import Segment, Space
from vsearch.passages import first_passage

_BATCH = 200
"""Passages whose segments are read together."""


def passages_in(tables: ColumnTables, space_id: int, scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ascending ids of the passages that start in these scenes."""
    passages = tables.passages(space_id)
    return passages.ids[np.isin(passages.scenes, scenes)]


def passage_hits(
    reader: Reader, tables: ColumnTables, space: Space, nearest: Sequence[tuple[int, float]]
) -> Iterator[PassageHit]:
    """Yield hits of passages, given as (id, similarity), best first. Of two that overlap in time, the first is kept."""
    chosen: dict[int, _Spans] = {}
    with reader.transaction() as connection:
        rows = connection.execute(
            "SELECT id, video_id, start_seconds, end_seconds FROM passages "
            "WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps([passage for passage, _ in nearest]),),
        ).fetchall()
        spans = {passage: (video, start, end) for passage, video, start, end in rows}
        videos = np.array([row[1] for row in rows], dtype=np.int64)
        started = tables.scenes().at(videos, np.array([row[2] for row in rows]))
        scenes = dict(zip(spans, started.tolist(), strict=True))
        for batch in (nearest[i : i + _BATCH] for i in range(0, len(nearest), _BATCH)):
            apart = []
            for passage, similarity in batch:
                if passage not in spans or not scenes[passage]:
                    continue
                video, start, end = spans[passage]
                if chosen.setdefault(video, _Spans()).add(start, end):
                    apart.append((passage, similarity))
            segments = _segments(connection, space.channel, [passage for passage, _ in apart])
            for passage, similarity in apart:
                if passage in segments:
                    yield _hit(space.channel, scenes[passage], spans[passage], segments[passage], similarity)


class _Spans:
    """Spans [start, end) that do not overlap."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []

    def add(self, start: float, end: float) -> bool:
        """Add a span and return True; return False if it overlaps an earlier one."""
        i = bisect_right(self._starts, start)
        if (i > 0 and self._ends[i - 1] > start) or (i < len(self._starts) and self._starts[i] < end):
            return False
        self._starts.insert(i, start)
        self._ends.insert(i, end)
        return True


def _segments(connection: sqlite3.Connection, channel: str, passages: Sequence[int]) -> dict[int, list[Segment]]:
    """The segments of each passage that has any, in time order."""
    segments: dict[int, list[Segment]] = {}
    for passage, *row in connection.execute(
        # CROSS JOIN fixes the order of the join: one look-up for each passage.
        "SELECT passages.id, segments.start_seconds, segments.end_seconds, text, channel, words, box, confidence "
        "FROM json_each(?) CROSS JOIN passages ON passages.id = json_each.value "
        "CROSS JOIN segments ON segments.video_id = passages.video_id AND channel = ? "
        "AND segments.start_seconds BETWEEN passages.start_seconds AND passages.end_seconds "
        "AND segments.end_seconds <= passages.end_seconds ORDER BY segments.start_seconds, segments.id",
        (json.dumps(passages), channel),
    ):
        segments.setdefault(passage, []).append(codec.segment_from_row(row))
    return segments


def _hit(
    channel: str,
    scene: int,
    span: tuple[int, float, float],
    segments: Sequence[Segment],
    similarity: float,
) -> PassageHit:
    video_id, start, end = span
    return PassageHit(
        scene_id=scene,
        video_id=video_id,
        start=start,
        end=end,
        score=0.0,
        channel=channel,
        segments=tuple(first_passage(segments)),  # while one OCR segment lasts, many others may come and go
        matches=(),
        similarity=similarity,
    )
