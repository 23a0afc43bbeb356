"""The lock of the one writer. The operating system releases it when the process ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vsearch.errors import LibraryLocked
from vsearch.library.faults import translated


class WriterLock:
    """The lock of one library folder: re-entrant in a thread, exclusive between threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = threading.RLock()
        self._depth = 0

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the lock; yields True where this is the outermost hold. LibraryLocked, LibraryReadOnly."""
        with self._threads:
            if self._depth:
                self._depth += 1
                try:
                    yield False
                finally:
                    self._depth -= 1
                return
            from filelock import FileLock, Timeout

            lock = FileLock(self._folder / "writer.lock", blocking=False)
            with translated(self._folder):
                try:
                    lock.acquire()
                except Timeout as error:  # an OSError itself
                    raise LibraryLocked(
                        f"another process is writing to the library {self._folder}: wait until it is done, or stop it"
                    ) from error
            self._depth = 1
            try:
                yield True
            finally:
                self._depth = 0
                lock.release()
