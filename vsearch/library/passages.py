"""Finding passages by their meaning: the nearest vectors of a space of words, and the lines that they stand for."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.library import codec
from vsearch.library.places import Places
from vsearch.library.reader import Reader
from vsearch.library.rows import PassageHit
from vsearch.media import Space
from vsearch.passages import first_passage


def admitted(reader: Reader, places: Places, space_id: int, scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids, ascending, of the passages that begin in these scenes."""
    with reader.transaction() as connection:
        passages = places.passages(connection, reader.state().change, space_id)
    return passages.ids[np.isin(passages.scenes, scenes, kind="sort")]


def passage_hits(
    reader: Reader, places: Places, space: Space, found: Sequence[tuple[int, float]]
) -> Iterator[PassageHit]:
    """Passages with their similarities, best first, as hits. Of two that share time the better one is returned."""
    chosen: dict[int, _Spans] = {}
    with reader.transaction() as connection:
        rows = connection.execute(
            "SELECT id, video_id, start_seconds, end_seconds FROM passages "
            "WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps([passage for passage, _ in found]),),
        ).fetchall()
        spans = {passage: (video, start, end) for passage, video, start, end in rows}
        videos = np.array([row[1] for row in rows], dtype=np.int64)
        begun = places.scenes(connection, reader.state().change).at(videos, np.array([row[2] for row in rows]))
        scenes = dict(zip(spans, begun.tolist(), strict=True))
        for passage, similarity in found:
            if passage not in spans or not scenes[passage]:
                continue
            video, start, end = spans[passage]
            if chosen.setdefault(video, _Spans()).add(start, end):
                hit = _hit(connection, space.channel, scenes[passage], spans[passage], similarity)
                if hit is not None:
                    yield hit


class _Spans:
    """Spans [start, end) that do not overlap."""

    def __init__(self) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []

    def add(self, start: float, end: float) -> bool:
        """Add a span, unless it shares time with one that was added before: then return False."""
        at = bisect_right(self._starts, start)
        if (at > 0 and self._ends[at - 1] > start) or (at < len(self._starts) and self._starts[at] < end):
            return False
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        return True


def _hit(
    connection: sqlite3.Connection, channel: str, scene: int, span: tuple[int, float, float], similarity: float
) -> PassageHit | None:
    video_id, start, end = span
    lines = [
        codec.transcript_line(row)
        for row in connection.execute(
            "SELECT start_seconds, end_seconds, text, channel, words, box, confidence FROM lines WHERE video_id = ? "
            "AND channel = ? AND start_seconds BETWEEN ? AND ? AND end_seconds <= ? ORDER BY start_seconds, id",
            (video_id, channel, start, end, end),
        )
    ]
    if not lines:
        return None
    kept = first_passage(lines)  # where one line is shown for long, others come and go meanwhile
    return PassageHit(
        scene_id=scene,
        video_id=video_id,
        start=start,
        end=end,
        score=0.0,
        channel=channel,
        lines=tuple(kept),
        spans=((),) * len(kept),
        similarity=similarity,
    )
