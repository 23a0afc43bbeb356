"""Where many lines and scenes lie, as arrays: reading a hundred thousand rows one by one costs more than searching.

Tables of the whole library are kept for one change of the catalog, and made anew when they are needed after the next.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from vsearch.library.ids import Ids, ascending

Seconds = NDArray[np.float64]
_Number = TypeVar("_Number", np.int64, np.float64)

_FEW = 20_000
"""Up to so many lines are looked up by their ids; for more, the table of all lines is made and kept."""

_KEPT = 2_000_000
"""Ids of lines, 8 bytes each, that are kept of the last queries."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines by ascending id, each array [N]."""

    ids: Ids
    videos: Ids
    read: NDArray[np.bool_]
    """Whether a line was read in a picture, not heard."""
    starts: Seconds
    ends: Seconds
    lengths: Ids
    """Characters of their texts."""

    def __getitem__(self, which: NDArray[Any]) -> Lines:
        return Lines(*(getattr(self, column.name)[which] for column in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Every scene by video and time, each array [N]."""

    ids: Ids
    starts: Seconds
    ranks: Ids
    """The number of each scene's video among `known`."""
    known: Ids
    """Videos, ascending."""
    first: Ids
    """Where each begins."""

    @property
    def videos(self) -> Ids:
        return self.known[self.ranks]

    def of(self, videos: Ids) -> Ids:
        """Ids, ascending, of the scenes of these videos."""
        return np.sort(self.ids[np.isin(self.known, videos)[self.ranks]])

    def at(self, videos: Ids, times: Seconds) -> Ids:
        """The scene of each video at a moment, as `scene_at` of word_hits.py: the id, 0 where a video has no scenes."""
        if len(self.ids) == 0 or len(videos) == 0:
            return np.zeros(len(videos), dtype=np.int64)
        rank = np.minimum(np.searchsorted(self.known, videos), len(self.known) - 1)
        span = _span(self.starts, times)
        keys = self.ranks * span + self.starts
        place = np.searchsorted(keys, rank * span + times, side="right") - 1
        return np.where(self.known[rank] == videos, self.ids[np.maximum(place, self.first[rank])], 0)


def _span(*seconds: Seconds) -> float:
    """So many seconds that times of one video never reach into the next, where videos are laid end to end. A whole
    number, so that sums are exact where the times are."""
    return float(np.ceil(max(float(times.max(initial=0.0)) for times in seconds)) + 1e3)


def timeline(lines: Lines) -> Seconds:
    """Lines of all videos and channels on one axis [N], in seconds: those of one channel of a video lie as far apart as
    they are, others further than any window."""
    talks = lines.videos * 2 + lines.read
    rank = np.searchsorted(ascending(talks), talks)
    timed: Seconds = rank * _span(lines.starts) + lines.starts
    return timed


def among(ids: Ids, wanted: Ids) -> Ids:
    """Where those of `wanted` that are there stand in ids, which ascend."""
    place = np.searchsorted(ids, wanted)
    place[place == len(ids)] = 0
    return place[ids[place] == wanted] if len(ids) else place[:0]


@dataclass(frozen=True, slots=True, eq=False)
class Passages:
    """Passages of a space by ascending id, each array [N]."""

    ids: Ids
    scenes: Ids
    """The scene in which each passage begins."""


class Places:
    """Tables of one library. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._lines: tuple[int, Lines] | None = None
        self._scenes: tuple[int, Scenes] | None = None
        self._passages: dict[int, tuple[int, Passages]] = {}
        self._few: tuple[int, Ids, Lines] | None = None
        self._rowids: tuple[int, dict[str, Ids]] = 0, {}

    def rowids(self, connection: sqlite3.Connection, change: int, match: str) -> Ids:
        """Ascending ids of the lines that an FTS5 expression matches. Those of the last queries are kept: every channel
        and every pool of a query asks again."""
        with self._guard:
            if self._rowids[0] != change or sum(map(len, self._rowids[1].values())) > _KEPT:
                self._rowids = change, {}
            known = self._rowids[1]
            if match not in known:
                (found,), _ = columns(
                    connection, ("rowid",), (), "FROM segment_words WHERE segment_words MATCH ?", (match,)
                )
                known[match] = np.sort(found)
            return known[match]

    def lines(self, connection: sqlite3.Connection, change: int, ids: Ids) -> Lines:
        """Of these ids, ascending; those that are gone are absent."""
        with self._guard:
            known = self._lines
            if known is None or known[0] != change:
                if len(ids) <= _FEW:
                    few = self._few
                    if few is None or few[0] != change or not np.array_equal(few[1], ids):
                        where = "WHERE id IN (SELECT value FROM json_each(?))"
                        few = self._few = (change, ids, _lines(connection, where, (json.dumps(ids.tolist()),)))
                    return few[2]
                known = self._lines = (change, _lines(connection, "", ()))
        table = known[1]
        place = np.minimum(np.searchsorted(table.ids, ids), max(0, len(table.ids) - 1))
        return table[place[table.ids[place] == ids]] if len(table.ids) else table

    def scenes(self, connection: sqlite3.Connection, change: int) -> Scenes:
        with self._guard:
            known = self._scenes
            if known is None or known[0] != change:
                (ids, videos), (starts,) = columns(
                    connection, ("id", "video_id"), ("start_seconds",), "FROM scenes INDEXED BY scenes_start"
                )
                order = np.lexsort((ids, starts, videos))
                of_videos, first, ranks = np.unique(videos[order], return_index=True, return_inverse=True)
                scenes = Scenes(ids[order], starts[order], ranks, of_videos, first)
                known = self._scenes = (change, scenes)
        return known[1]

    def passages(self, connection: sqlite3.Connection, change: int, space_id: int) -> Passages:
        """Every passage of a space."""
        scenes = self.scenes(connection, change)
        with self._guard:
            known = self._passages.get(space_id)
            if known is None or known[0] != change:
                (ids, videos), (starts,) = columns(
                    connection, ("id", "video_id"), ("start_seconds",), "FROM passages WHERE space_id = ?", (space_id,)
                )
                order = np.argsort(ids)
                begun = scenes.at(videos[order], starts[order])
                known = self._passages[space_id] = (change, Passages(ids[order], begun))
        return known[1]


def _lines(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> Lines:
    (ids, videos, read, lengths), (starts, ends) = columns(
        connection,
        ("id", "video_id", "channel = 'ocr'", "LENGTH(text)"),
        ("start_seconds", "end_seconds"),
        f"FROM segments {where}",
        values,
    )
    return Lines(ids, videos, read > 0, starts, ends, lengths)[np.argsort(ids)]


def columns(
    connection: sqlite3.Connection,
    whole: tuple[str, ...],
    real: tuple[str, ...],
    source: str,
    values: tuple[object, ...] = (),
) -> tuple[list[Ids], list[Seconds]]:
    """Columns of whole numbers and of seconds, each [N], from a source in SQL; all in one order, whichever it is.

    SQLite joins each column into one text: that takes a fifth of the time of reading row by row.
    """
    joined = ", ".join(f"group_concat({name})" for name in (*whole, *real))
    texts = cast("tuple[str | None, ...]", connection.execute(f"SELECT {joined} {source}", values).fetchone())
    return [_numbers(text, np.int64) for text in texts[: len(whole)]], [
        _numbers(text, np.float64) for text in texts[len(whole) :]
    ]


def _numbers(text: str | None, kind: type[_Number]) -> NDArray[_Number]:
    return np.fromstring(text, dtype=kind, sep=",") if text else np.empty(0, dtype=kind)
