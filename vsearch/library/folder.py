"""The folder that holds a catalog and its snapshots: how it is opened, read, and written by one at a time."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vsearch.errors import LibraryError, LibraryMissing, PathError
from vsearch.library import snapshots
from vsearch.library.column_tables import ColumnTables
from vsearch.library.faults import translated, unreadable
from vsearch.library.lock import WriterLock
from vsearch.library.reader import Reader
from vsearch.library.rows import SpaceRow
from vsearch.media import Space

if TYPE_CHECKING:
    from vsearch.library.space_index import SpaceIndex
    from vsearch.library.writer import Writer

CATALOG = "catalog.db"
SNAPSHOTS = "snapshots"


class LibraryFolder:
    """An open library, and what reading and writing it share. Also a context manager that closes itself."""

    def __init__(self, path: Path) -> None:
        """Use `SqliteStore.open`."""
        self.path = path
        self._snapshots = path / SNAPSHOTS
        self._lock = WriterLock(path)
        self._reader = Reader(path, path / CATALOG)
        self._guard = threading.Lock()
        self._writer: Writer | None = None
        self._indexes: dict[int, SpaceIndex] = {}
        self._spaces: tuple[int, list[SpaceRow]] | None = None
        self._tables = ColumnTables(self._reader)

    @classmethod
    def open(cls, path: Path, *, create: bool = False, upgrade: bool = True) -> Self:
        """Open the library at `path`; with `create`, make it if there is none.

        Raises LibraryMissing, LibraryTooNew, LibraryDamaged, and while creating LibraryReadOnly, LibraryFull or
        LibraryLocked. A library of an older schema is brought up to date, which takes the writer's lock;
        without `upgrade` nothing is written and it is a LibraryError.
        """
        path = path.absolute()
        with contextlib.suppress(OSError):  # what cannot be looked at is told below
            if not stat.S_ISDIR(path.stat().st_mode):
                raise PathError(f"{path} is a file: a library is a folder")
        library = cls(path)
        try:
            if library._version() == 0 and not create:
                raise LibraryMissing(f"no library at {path}: make one with `vsearch index FOLDER`")
            library._migrate(upgrade=upgrade or create)
            library._reader.state()
        except BaseException:
            library.close()
            raise
        return library

    def _version(self) -> int:
        """The catalog's schema version, 0 where there is none."""
        from vsearch.library.migrations import version_of

        with translated(self.path):
            database = self.path / CATALOG
            try:
                database.stat()
            except (FileNotFoundError, NotADirectoryError):
                return 0
            except PermissionError as error:
                raise unreadable(self.path) from error
            # Not by opening it: closing it again would drop the locks that SQLite holds on it in this process.
            if not os.access(database, os.R_OK):
                raise unreadable(self.path)
            with self._reader.transaction() as connection:
                return version_of(connection, self.path)

    def _migrate(self, *, upgrade: bool) -> None:
        from vsearch.library.migrations import VERSION, migrate

        if self._version() == VERSION:
            return
        if not upgrade:
            raise LibraryError(f"the library {self.path} is of an older version: `vsearch status` brings it up to date")
        import sqlite3

        with translated(self.path):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except FileNotFoundError as error:  # a file system that takes no folders, such as /proc
                raise LibraryError(f"no library can be made at {self.path}: choose another folder") from error
            with self._lock.held():
                connection = sqlite3.connect(self.path / CATALOG, isolation_level=None, timeout=5.0)
                try:
                    migrate(connection, self.path)
                finally:
                    connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and memory. Threads must be done with the library."""
        self._reader.close()
        with self._guard:
            self._indexes.clear()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer, here and now: LibraryLocked if another is, LibraryReadOnly if nobody can.

        Every method that writes takes the lock by itself; hold it over many writes so that nobody comes in between.
        """
        with self._lock.held() as outermost:
            if outermost:
                snapshots.drop_ahead(self._snapshots, self._reader.state().change)
            yield

    @contextmanager
    def _writing(self) -> Iterator[Writer]:
        with self.writing():
            if self._writer is not None and not self._writer.is_current():
                self._writer.close()  # another process has repaired the catalog since
                self._writer = None
            if self._writer is None:
                from vsearch.library.writer import Writer

                self._writer = Writer(self.path, self.path / CATALOG)
            yield self._writer

    def _index(self, space_id: int, space: Space) -> SpaceIndex:
        from vsearch.library.space_index import SpaceIndex

        with self._guard:
            if space_id not in self._indexes:
                self._indexes[space_id] = SpaceIndex(self._snapshots, space_id, space, self._reader)
            return self._indexes[space_id]

    def _bytes(self) -> tuple[int, int]:
        """Of the catalog, of its snapshots."""
        names = (CATALOG, f"{CATALOG}-wal")
        held = sum(file.stat().st_size for name in names if (file := self.path / name).exists())
        return held, snapshots.total_bytes(self._snapshots)
