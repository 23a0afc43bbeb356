"""Connections to the catalog with plain sqlite3: a query must not wait for SQLAlchemy to be imported.

They are read-only, one a thread, and see what was committed before their transaction began; a writer in this or
another process goes on meanwhile (WAL).
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vsearch.library import codec
from vsearch.library.faults import translated

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogState:
    """What the catalog says of itself."""

    library_id: str
    change: int
    pruned_through: int


def connect_read_only(database: Path) -> sqlite3.Connection:
    """A read-only connection in autocommit mode. sqlite3.Error where there is none to be had."""
    uri = database.absolute().as_uri() if _is_utf8(database) else _raw_uri(database)
    connection = _open(f"{uri}?mode=ro")
    try:
        connection.execute("PRAGMA schema_version").fetchone()
        return connection
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorname not in ("SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT"):
            raise
    # WAL needs to write beside the catalog, even to read. On a read-only medium nobody can write, so the catalog may
    # be read as a plain file; what a killed writer left in the WAL stays unseen.
    wal = database.with_name(database.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        _log.warning("%s lies on a read-only medium: its last changes, still in %s, cannot be seen", database, wal.name)
    connection = _open(f"{uri}?mode=ro&immutable=1")
    connection.execute("PRAGMA schema_version").fetchone()
    return connection


def _open(uri: str) -> sqlite3.Connection:
    # check_same_thread: a connection is used by one thread alone, but closed by whichever closes the library.
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False)


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _raw_uri(path: Path) -> str:
    from urllib.parse import quote_from_bytes

    return "file://" + quote_from_bytes(codec.path_to_bytes(path.absolute()))


class CatalogConnections:
    """One connection for each thread that asks. Thread-safe."""

    def __init__(self, folder: Path, database: Path) -> None:
        self._folder = folder
        self._database = database
        self._local = threading.local()
        self._guard = threading.Lock()
        self._connections: list[sqlite3.Connection] = []

    def close(self) -> None:
        with self._guard:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect_read_only(self._database)
            self._local.connection = connection
            with self._guard:
                self._connections.append(connection)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several questions about one state of the catalog. May be nested."""
        with translated(self._folder):
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")  # nothing was written

    def state(self) -> CatalogState:
        with self.transaction() as connection:
            return CatalogState(*connection.execute("SELECT library_id, change, pruned_through FROM meta").fetchone())
