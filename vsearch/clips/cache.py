"""Clips that browsers play, made once and kept until the space is needed for newer ones."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vsearch.clips.cut import PART, cut
from vsearch.errors import PathError

_RECIPE = "2"
"""Changes with whatever shapes a clip: what was made by another recipe is not found again."""
_SUFFIXES = (".mp4", ".webm", ".m4a")
_LOCKS = 64
_ABANDONED = 3600.0
"""Seconds after which an unfinished file belongs to a process that was killed."""


class ClipCache:
    """A folder of clips. Threads and processes may share it: a clip is made by one of them, the others wait for it."""

    def __init__(self, folder: Path, limit_bytes: int, *, grace: float = 10.0) -> None:
        """limit_bytes: the least recently used go where there are more. grace: seconds in which a clip that was handed
        out stays, even if it does not fit, so that its reader can open it."""
        if limit_bytes <= 0:
            raise ValueError(f"limit_bytes must be positive: {limit_bytes = }")
        self._folder = folder.absolute()
        self._limit = limit_bytes
        self._grace = grace

    def playable(self, source: Path, start: float, end: float) -> Path:
        """A file that every browser plays from its beginning: [start, end) of `source`, seconds on its timeline.

        A source that has changed (path, size or modification time) is cut anew. Raises MediaError, PathError.
        """
        try:
            status = source.stat()
        except OSError as error:
            raise PathError(f"{source} cannot be read: {error.strerror}.") from error
        identity = f"{_RECIPE}\0{source.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\0{start:.3f}\0{end:.3f}"
        name = hashlib.sha256(os.fsencode(identity)).hexdigest()[:32]
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise PathError(f"No clips can be kept in {self._folder}: {error.strerror}.") from error
        with self._locked(f"clip-{int(name, 16) % _LOCKS:02d}"):
            found = self._find(name)
            if found is not None:
                return found
            made = cut(source, self._folder / name, start, end, "browser", overwrite=True).path
        self._make_room()
        return made

    def _find(self, name: str) -> Path | None:
        for suffix in _SUFFIXES:
            path = self._folder / (name + suffix)
            with suppress(FileNotFoundError):
                os.utime(path)  # used now
                return path
        return None

    def _make_room(self) -> None:
        """Take the least recently used away until the rest fits."""
        with self._locked("room"):
            clips, now = [], time.time()
            for path in self._folder.iterdir():
                with suppress(OSError):  # another process may have taken it away
                    status = path.stat()
                    if path.suffix in _SUFFIXES:
                        clips.append((status.st_mtime, status.st_size, path))
                    elif path.name.startswith(PART) and now - status.st_mtime > _ABANDONED:
                        path.unlink()
            total = sum(size for _, size, _ in clips)
            for used, size, path in sorted(clips):
                if total <= self._limit or now - used < self._grace:
                    return
                with suppress(OSError):  # Windows keeps what is being read
                    path.unlink()
                    total -= size

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        from filelock import FileLock

        try:
            lock = FileLock(self._folder / f"{name}.lock").acquire()
        except OSError as error:
            raise PathError(f"No clips can be kept in {self._folder}: {error.strerror}.") from error
        with lock:
            yield
