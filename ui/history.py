"""Earlier queries: the last ones, stored in the folder of the library."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

FILE = "queries.json"
KEPT = 50
"""Queries that are kept."""
LONGEST = 500
"""Characters of a query; the rest is cut off."""


class History:
    """The earlier queries, newest first. Thread-safe. Where the folder cannot be written to, in memory only."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._guard = threading.Lock()
        self._queries = _read(self._file)

    def queries(self, count: int = KEPT) -> list[str]:
        """Newest first."""
        with self._guard:
            return self._queries[:count]

    def add(self, query: str) -> None:
        """Add a query at the front; a repeated one moves there."""
        query = " ".join(query.split())[:LONGEST]
        with self._guard:
            if not query or self._queries[:1] == [query]:
                return
            self._queries = [query, *(other for other in self._queries if other != query)][:KEPT]
            self._write()

    def clear(self) -> None:
        with self._guard:
            self._queries = []
            self._write()

    def _write(self) -> None:
        unfinished = self._file.with_name(f".{FILE}.part")
        with contextlib.suppress(OSError):
            unfinished.write_text(json.dumps(self._queries), encoding="utf-8")
            unfinished.replace(self._file)


def _read(file: Path) -> list[str]:
    try:
        queries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(queries, list):
        return []
    return [query[:LONGEST] for query in queries if isinstance(query, str) and query.strip()][:KEPT]
