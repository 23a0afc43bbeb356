"""Read-only connections to the catalog.

A connection sees what was committed before its transaction began; a writer in this or another process is not blocked
(WAL). Connections belong to transactions, not to threads: the number of open files follows the number of concurrent
transactions, not the number of threads.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote_from_bytes

from vsearch.errors import LibraryLocked
from vsearch.library.faults import EXHAUSTED, FULL, READ_ONLY, is_full, translated

_log = logging.getLogger(__name__)

_KEPT_IDLE = 8
_PATIENCE_SECONDS = 3.0
"""How long a transaction waits for a file descriptor."""


@dataclass(frozen=True, slots=True)
class CatalogState:
    """The row of `meta`."""

    library_id: str
    change: int
    pruned_through: int


def uri_of(path: PurePath) -> str:
    """The SQLite URI of an absolute path, without parameters.

    Every separator is escaped. `file://server/share` would name an authority, which SQLite refuses, and that is how
    `as_uri` spells a UNC path. The bytes are the file system's own, whatever their encoding.
    """
    return "file:" + quote_from_bytes(os.fsencode(path), safe="")


_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class CatalogConnection:
    """A connection, and what identifies the file that it reads."""

    sqlite: sqlite3.Connection
    database: Path
    file: tuple[int, int]
    """Device and inode: a repair replaces the file."""
    frozen: _Stamp | None
    """State of the catalog when it was opened as a plain file, where SQLite does not notice changes; None otherwise."""

    @staticmethod
    def open(database: Path) -> CatalogConnection:
        """Open a connection. Raises sqlite3.Error or OSError."""
        database = database.absolute()
        while True:
            file = identity(database)
            try:
                opened = CatalogConnection(_connected(f"{uri_of(database)}?mode=ro"), database, file, None)
            except sqlite3.OperationalError as error:
                _check_plain_file_is_safe(database, error)
                frozen = _stamp(database)
                plain = _connected(f"{uri_of(database)}?mode=ro&immutable=1")
                opened = CatalogConnection(plain, database, file, frozen)
            try:
                if opened.is_current():
                    return opened
            except BaseException:
                opened.sqlite.close()
                raise
            opened.sqlite.close()

    def is_current(self) -> bool:
        """Whether a new connection would read the same content. OSError if the catalog is gone."""
        return identity(self.database) == self.file and self.frozen in (None, _stamp(self.database))


def identity(database: Path) -> tuple[int, int]:
    """Device and inode of the catalog."""
    status = database.stat()
    return status.st_dev, status.st_ino


def _stamp(database: Path) -> _Stamp:
    """A value that changes when the catalog is written, or when a writer begins. A missing WAL has the size -1."""
    status = database.stat()
    try:
        wal = _wal(database).stat().st_size
    except FileNotFoundError:
        wal = -1
    return status.st_mtime_ns, status.st_size, wal


def _wal(database: Path) -> Path:
    return database.with_name(database.name + "-wal")


def _connected(uri: str) -> sqlite3.Connection:
    # check_same_thread: a connection is used by one thread at a time.
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA temp_store = MEMORY")  # sorting must not need a disk
        connection.execute("PRAGMA schema_version").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _check_plain_file_is_safe(database: Path, error: sqlite3.OperationalError) -> None:
    """Raise the cause of `error` unless the catalog may be read as a plain file, without WAL and locks.

    In WAL mode, SQLite creates files beside the catalog even to read it. If nothing can be written (a read-only medium,
    a folder of another user, a full disk) and there is no writer, the catalog file is complete. SQLite's error does not
    distinguish these cases from a lack of file descriptors, so a test file is created.
    """
    if not is_full(error) and error.sqlite_errorname not in (
        "SQLITE_CANTOPEN",
        "SQLITE_READONLY_DIRECTORY",
        "SQLITE_READONLY_CANTINIT",
    ):
        raise error
    obstacle = _obstacle(database.parent)
    if obstacle is not None and obstacle.errno in EXHAUSTED:
        raise obstacle from error
    full = is_full(error) or (obstacle is not None and obstacle.errno in FULL)
    if not full and (obstacle is None or obstacle.errno not in READ_ONLY):
        raise error
    wal = _wal(database)
    if wal.exists() and wal.stat().st_size:
        if full:
            raise error  # the last changes are in the WAL; the user can free space
        _log.warning("%s lies on a read-only medium: its last changes, still in %s, cannot be seen", database, wal.name)


def _obstacle(folder: Path) -> OSError | None:
    """The error of creating a file in a folder, if it fails."""
    probe = folder / f".probe-{secrets.token_hex(8)}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as error:
        return error
    return None


class _Held:
    """The connection of the transaction of a thread."""

    __slots__ = ("connection", "depth")

    def __init__(self, connection: CatalogConnection) -> None:
        self.connection = connection
        self.depth = 0


class CatalogConnections:
    """A connection for each running transaction. Thread-safe."""

    def __init__(self, folder: Path, database: Path) -> None:
        self._folder = folder
        self._database = database
        self._local = threading.local()
        self._guard = threading.Condition()
        self._idle: list[CatalogConnection] = []
        self._kept = _KEPT_IDLE

    def close(self) -> None:
        """Close idle connections. A running transaction closes its own when it ends."""
        with self._guard:
            idle, self._idle = self._idle, []
            self._kept = 0
        for connection in idle:
            connection.sqlite.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Read one state of the catalog with several statements. May be nested."""
        with translated(self._folder):
            held: _Held | None = getattr(self._local, "held", None)
            if held is None or held.depth == 0:
                held = self._local.held = _Held(self._take())
                held.connection.sqlite.execute("BEGIN")
            held.depth += 1
            try:
                yield held.connection.sqlite
            finally:
                # An abandoned generator may end its transaction late, and in another thread: only `held` is its own.
                held.depth -= 1
                if held.depth == 0:
                    self._give_back(held.connection)

    def _take(self) -> CatalogConnection:
        """An idle connection, or a new one. Waits up to _PATIENCE_SECONDS without a free file descriptor."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            while (idle := self._pop()) is not None:
                if idle.is_current():
                    return idle
                idle.sqlite.close()
            try:
                return CatalogConnection.open(self._database)
            except (sqlite3.OperationalError, OSError) as error:
                if not _may_pass(error, self._database) or time.monotonic() > until:
                    raise
            with self._guard:
                self._guard.wait_for(lambda: self._idle, timeout=0.1)

    def _pop(self) -> CatalogConnection | None:
        with self._guard:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: CatalogConnection) -> None:
        intact = False
        try:
            if connection.sqlite.in_transaction:  # SQLite ends it after some errors
                connection.sqlite.execute("ROLLBACK")  # nothing was written
            intact = True
            if connection.frozen is not None and not connection.is_current():
                intact = False
                raise LibraryLocked(f"the library {self._folder} was changed while it was read: try again")
        finally:
            with self._guard:
                keep = intact and len(self._idle) < self._kept
                if keep:
                    self._idle.append(connection)
                    self._guard.notify()
            if not keep:
                connection.sqlite.close()

    def state(self) -> CatalogState:
        with self.transaction() as connection:
            return CatalogState(*connection.execute("SELECT library_id, change, pruned_through FROM meta").fetchone())


def _may_pass(error: sqlite3.OperationalError | OSError, database: Path) -> bool:
    """Whether the error is a lack of file descriptors, which may be over soon. SQLite reports it as a
    file that cannot be opened."""
    if isinstance(error, OSError):
        return error.errno in EXHAUSTED
    return getattr(error, "sqlite_errorname", "") == "SQLITE_CANTOPEN" and os.access(database, os.R_OK)
