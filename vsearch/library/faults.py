"""Translation of errors of SQLite and of the system into LibraryError: one line with the action to take."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vsearch.errors import LibraryDamaged, LibraryError, LibraryFull, LibraryLocked, LibraryMissing, LibraryReadOnly

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
"""The process or the system has no file descriptor left."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the system inside as LibraryError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error | OSError, path: Path) -> LibraryError:
    """The LibraryError for an error at the library `path`."""
    if isinstance(error, OSError):
        return _from_system(error, path)
    # Errors that Python itself raises (a closed connection, a wrong binding) carry no code.
    name = getattr(error, "sqlite_errorname", "")
    if is_full(error):
        return full(path)
    if name.startswith("SQLITE_READONLY") or name == "SQLITE_PERM":
        return read_only(path)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name == "SQLITE_IOERR_SHORT_READ":
        return damaged(path, str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryLocked(f"another process is using the library {path}: try again when it is done")
    return LibraryError(f"the catalog of {path} cannot be used: {error}")


def _from_system(error: OSError, path: Path) -> LibraryError:
    if error.errno in FULL:
        return full(path)
    if error.errno in READ_ONLY:
        return read_only(path)
    if error.errno in EXHAUSTED:
        return LibraryError(
            f"the library {path} cannot be read: too many files are open; close some, or raise the limit (`ulimit -n`)"
        )
    if error.errno == errno.ENOENT and not (path / "catalog.db").exists():
        return LibraryMissing(f"no library at {path}: make one with `vsearch index FOLDER`")
    return LibraryError(f"the library {path} cannot be used: {error.strerror or error}")


def raise_if_exhausted(error: Exception) -> None:
    """Raise a lack of file descriptors, where any other error means that a file is missing or damaged."""
    if isinstance(error, OSError) and error.errno in EXHAUSTED:
        raise error


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk is full."""
    names = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_TRUNCATE", "SQLITE_IOERR_SHMSIZE")
    return getattr(error, "sqlite_errorname", "") in names


def full(path: Path) -> LibraryFull:
    return LibraryFull(f"no space left to write to the library {path}: free some; what was indexed before is kept")


def read_only(path: Path) -> LibraryReadOnly:
    return LibraryReadOnly(f"the library {path} cannot be written to: it can be searched, but not changed")


def unreadable(path: Path) -> LibraryError:
    return LibraryError(f"the library {path} cannot be read: permission is missing")


def damaged(path: Path, detail: str) -> LibraryDamaged:
    return LibraryDamaged(f"the catalog of {path} is damaged ({detail}): run `vsearch verify --repair`")
