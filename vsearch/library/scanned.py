"""Finding the rows of a video in a broken catalog by reading whole tables, without an index.

A broken page of an index makes every look-up through it fail, although the rows themselves may be intact.
"""

from __future__ import annotations

import json
import sqlite3

import numpy as np
from numpy.typing import NDArray

_Ids = NDArray[np.int64]


class ScannedRows:
    """The rows of every table that can be read completely. A table is read when it is first needed."""

    def __init__(self, old: sqlite3.Connection) -> None:
        self._old = old
        self._tables: dict[str, tuple[_Ids, _Ids] | None] = {}

    def of_video(self, table: str, parent: str, video_id: int) -> str | None:
        """The rowids of a video's rows as JSON; None if the table cannot be read completely.

        parent: the column that refers to the parent, "video_id" or "scene_id".
        """
        if table not in self._tables:
            self._tables[table] = self._read(table, parent)
        known = self._tables[table]
        if known is None:
            return None
        videos, rows = known
        first, last = np.searchsorted(videos, [video_id, video_id + 1])
        return json.dumps(np.sort(rows[first:last]).tolist())

    def _read(self, table: str, parent: str) -> tuple[_Ids, _Ids] | None:
        """Ids of videos, ascending, and the rowid of each row."""
        try:
            pairs = np.fromiter(
                self._old.execute(f"SELECT rowid, {parent} FROM {table} NOT INDEXED"),
                dtype=np.dtype((np.int64, 2)),
            )
        except (sqlite3.DatabaseError, TypeError, ValueError, OverflowError):  # a page or a value that is broken
            return None
        rows: _Ids = pairs[:, 0].astype(np.int64)
        parents: _Ids = pairs[:, 1].astype(np.int64)
        if parent == "scene_id":
            if self.of_video("scenes", "video_id", 0) is None:
                return None
            scenes = self._tables["scenes"]
            assert scenes is not None
            order = np.argsort(scenes[1])
            ids, videos = scenes[1][order], scenes[0][order]
            places = np.minimum(np.searchsorted(ids, parents), max(0, len(ids) - 1))
            held = ids[places] == parents if len(ids) else np.zeros(len(parents), dtype=np.bool_)
            rows, parents = rows[held], videos[places[held]]
        order = np.argsort(parents, kind="stable")
        return parents[order], rows[order]
