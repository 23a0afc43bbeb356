"""Segments, scenes and passages of the whole library as arrays, one array per column.

Reading a hundred thousand rows one by one would take longer than searching them. Tables are kept for one change number
and rebuilt when they are needed after the next change.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from vsearch.library.ids import Ids, ascending

if TYPE_CHECKING:
    from vsearch.library.reader import Reader

Seconds = NDArray[np.float64]
_Number = TypeVar("_Number", np.int64, np.float64)

_LOOK_UP_LIMIT = 20_000
"""Segments that are looked up by their ids. For more, the table of all segments is built and kept."""
_CACHED_IDS = 2_000_000
"""Segment ids in the posting lists that are kept, 8 bytes each."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentTable:
    """Segments, usually by ascending id; each array is [N]."""

    ids: Ids
    videos: Ids
    ocr: NDArray[np.bool_]
    """Whether the channel of each segment is OCR, not speech."""
    starts: Seconds
    ends: Seconds
    lengths: Ids
    """Characters of the text of each segment."""

    def __getitem__(self, which: NDArray[Any]) -> SegmentTable:
        return SegmentTable(*(getattr(self, column.name)[which] for column in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class SceneTable:
    """Every scene by video and time; ids, starts and ranks are [N], the others have one element per video."""

    ids: Ids
    starts: Seconds
    ranks: Ids
    """Index of the video of each scene in `known`."""
    known: Ids
    """Ids of the videos, ascending."""
    first: Ids
    """Index of the first scene of each video."""

    @property
    def videos(self) -> Ids:
        return self.known[self.ranks]

    def of(self, videos: Ids) -> Ids:
        """Ascending ids of the scenes of these videos."""
        return np.sort(self.ids[np.isin(self.known, videos)[self.ranks]])

    def at(self, videos: Ids, times: Seconds) -> Ids:
        """The scene of each video at a time, as `scene_at` of matches.py: its id, or 0 if the video has no scenes."""
        if len(self.ids) == 0 or len(videos) == 0:
            return np.zeros(len(videos), dtype=np.int64)
        rank = np.minimum(np.searchsorted(self.known, videos), len(self.known) - 1)
        span = _span(self.starts, times)
        keys = self.ranks * span + self.starts
        index = np.searchsorted(keys, rank * span + times, side="right") - 1
        return np.where(self.known[rank] == videos, self.ids[np.maximum(index, self.first[rank])], 0)


def _span(*seconds: Seconds) -> float:
    """A distance in seconds between videos on one axis, so that their times never overlap. A whole number keeps sums
    exact."""
    return float(np.ceil(max(float(times.max(initial=0.0)) for times in seconds)) + 1e3)


def timeline(segments: SegmentTable) -> Seconds:
    """Start times [N] on one axis for all videos and channels: transcripts lie further apart than any window."""
    transcripts = segments.videos * 2 + segments.ocr
    rank = np.searchsorted(ascending(transcripts), transcripts)
    axis: Seconds = rank * _span(segments.starts) + segments.starts
    return axis


def positions(ids: Ids, wanted: Ids) -> Ids:
    """Indices in `ids`, which ascend, of those of `wanted` that are among them."""
    index = np.searchsorted(ids, wanted)
    index[index == len(ids)] = 0
    return index[ids[index] == wanted] if len(ids) else index[:0]


@dataclass(frozen=True, slots=True, eq=False)
class PassageTable:
    """Passages of a space by ascending id; each array is [N]."""

    ids: Ids
    scenes: Ids
    """Id of the scene in which each passage starts."""


class ColumnTables:
    """Builds and keeps the tables of one library. Thread-safe."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._guard = threading.Lock()
        self._change = -1
        self._segments: SegmentTable | None = None
        self._some_segments: tuple[Ids, SegmentTable] | None = None
        self._scenes: SceneTable | None = None
        self._passages: dict[int, PassageTable] = {}
        self._postings: dict[str, Ids] = {}

    @contextmanager
    def _current(self) -> Iterator[sqlite3.Connection]:
        """A read transaction, with exclusive access to the tables, without those of another change number."""
        with self._reader.transaction() as connection:
            change = self._reader.state().change
            with self._guard:
                if self._change != change:
                    self._change, self._segments, self._some_segments, self._scenes = change, None, None, None
                    self._passages, self._postings = {}, {}
                yield connection

    def postings(self, expression: str) -> Ids:
        """Ascending ids of the segments that match an FTS5 expression. They are kept, because a query is searched once
        for each channel and depth."""
        with self._current() as connection:
            if sum(map(len, self._postings.values())) > _CACHED_IDS:
                self._postings = {}
            if expression not in self._postings:
                source = "FROM segment_words WHERE segment_words MATCH ?"
                (ids,), _ = read_columns(connection, ("rowid",), (), source, (expression,))
                self._postings[expression] = np.sort(ids)
            return self._postings[expression]

    def segments(self, ids: Ids) -> SegmentTable:
        """The segments with these ids, which ascend. Missing ones are left out."""
        with self._current() as connection:
            if self._segments is None and len(ids) <= _LOOK_UP_LIMIT:
                if self._some_segments is None or not np.array_equal(self._some_segments[0], ids):
                    where = "WHERE id IN (SELECT value FROM json_each(?))"
                    self._some_segments = ids, _read_segments(connection, where, (json.dumps(ids.tolist()),))
                return self._some_segments[1]
            if self._segments is None:
                self._segments = _read_segments(connection)
            return self._segments[positions(self._segments.ids, ids)]

    def scenes(self) -> SceneTable:
        """Every scene of the library."""
        with self._current() as connection:
            return self._read_scenes(connection)

    def _read_scenes(self, connection: sqlite3.Connection) -> SceneTable:
        if self._scenes is None:
            source = "FROM scenes INDEXED BY scenes_start"
            (ids, videos), (starts,) = read_columns(connection, ("id", "video_id"), ("start_seconds",), source)
            order = np.lexsort((ids, starts, videos))
            known, first, ranks = np.unique(videos[order], return_index=True, return_inverse=True)
            self._scenes = SceneTable(ids[order], starts[order], ranks, known, first)
        return self._scenes

    def passages(self, space_id: int) -> PassageTable:
        """Every passage of a space."""
        with self._current() as connection:
            if space_id not in self._passages:
                source = "FROM passages WHERE space_id = ?"
                (ids, videos), (starts,) = read_columns(
                    connection, ("id", "video_id"), ("start_seconds",), source, (space_id,)
                )
                order = np.argsort(ids)
                scenes = self._read_scenes(connection).at(videos[order], starts[order])
                self._passages[space_id] = PassageTable(ids[order], scenes)
            return self._passages[space_id]


def _read_segments(connection: sqlite3.Connection, where: str = "", values: tuple[object, ...] = ()) -> SegmentTable:
    (ids, videos, ocr, lengths), (starts, ends) = read_columns(
        connection,
        ("id", "video_id", "channel = 'ocr'", "LENGTH(text)"),
        ("start_seconds", "end_seconds"),
        f"FROM segments {where}",
        values,
    )
    return SegmentTable(ids, videos, ocr > 0, starts, ends, lengths)[np.argsort(ids)]


def read_columns(
    connection: sqlite3.Connection,
    integers: tuple[str, ...],
    reals: tuple[str, ...],
    source: str,
    values: tuple[object, ...] = (),
) -> tuple[list[Ids], list[Seconds]]:
    """Read columns of integers and of reals, each [N], from a source in SQL: all in the same, unspecified order.

    SQLite joins each column into one text, which takes a fifth of the time of reading row by row.
    """
    joined = ", ".join(f"group_concat({name})" for name in (*integers, *reals))
    texts = cast("tuple[str | None, ...]", connection.execute(f"SELECT {joined} {source}", values).fetchone())
    return [_numbers(text, np.int64) for text in texts[: len(integers)]], [
        _numbers(text, np.float64) for text in texts[len(integers) :]
    ]


def _numbers(text: str | None, kind: type[_Number]) -> NDArray[_Number]:
    return np.fromstring(text, dtype=kind, sep=",") if text else np.empty(0, dtype=kind)
