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
from vsearch.media import Segment, Space
from vsearch.passages import first_passage

_AT_ONCE = 200
"""Passages whose lines are read together."""


def admitted(reader: Reader, places: Places, space_id: int, scenes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids, ascending, of the passages that begin in these scenes."""
    with reader.transaction() as connection:
        passages = places.passages(connection, reader.state().change, space_id)
    return passages.ids[np.isin(passages.scenes, scenes)]


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
        for some in (found[at : at + _AT_ONCE] for at in range(0, len(found), _AT_ONCE)):
            apart = []
            for passage, similarity in some:
                if passage not in spans or not scenes[passage]:
                    continue
                video, start, end = spans[passage]
                if chosen.setdefault(video, _Spans()).add(start, end):
                    apart.append((passage, similarity))
            lines = _lines(connection, space.channel, [passage for passage, _ in apart])
            for passage, similarity in apart:
                if passage in lines:
                    yield _hit(space.channel, scenes[passage], spans[passage], lines[passage], similarity)


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


def _lines(connection: sqlite3.Connection, channel: str, passages: Sequence[int]) -> dict[int, list[Segment]]:
    """The lines of each passage that has any, in time order."""
    found: dict[int, list[Segment]] = {}
    for passage, *row in connection.execute(
        # CROSS JOIN keeps the order: a look-up of its own for each passage.
        "SELECT passages.id, segments.start_seconds, segments.end_seconds, text, channel, words, box, confidence "
        "FROM json_each(?) CROSS JOIN passages ON passages.id = json_each.value "
        "CROSS JOIN segments ON segments.video_id = passages.video_id AND channel = ? "
        "AND segments.start_seconds BETWEEN passages.start_seconds AND passages.end_seconds "
        "AND segments.end_seconds <= passages.end_seconds ORDER BY segments.start_seconds, segments.id",
        (json.dumps(passages), channel),
    ):
        found.setdefault(passage, []).append(codec.transcript_line(row))
    return found


def _hit(
    channel: str,
    scene: int,
    span: tuple[int, float, float],
    lines: Sequence[Segment],
    similarity: float,
) -> PassageHit:
    video_id, start, end = span
    kept = first_passage(lines)  # where one line is shown for long, others come and go meanwhile
    return PassageHit(
        scene_id=scene,
        video_id=video_id,
        start=start,
        end=end,
        score=0.0,
        channel=channel,
        segments=tuple(kept),
        places=(),
        similarity=similarity,
    )
