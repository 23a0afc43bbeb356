"""Key frames that wait for the OCR stage: a temporary file for each video, so memory does not grow with its length.

Nothing here outlives a run: key frames that are lost are decoded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

LIMIT = 1_000_000_000
"""Bytes on disk, some eight thousand frames. A video that does not fit is decoded a second time."""


@dataclass(slots=True)
class _Kept:
    """The key frames of one video."""

    path: Path
    places: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds, offset and length of each frame; a length of 0: it looks like the one before."""
    complete: bool = False

    @property
    def size(self) -> int:
        return sum(length for _, _, length in self.places)


class Spool:
    """Key frames of videos by content key. The folder is made when it is first needed."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._folder: TemporaryDirectory[str] | None = None
        self._kept: dict[str, _Kept] = {}
        self._free = limit
        self._count = 0

    def begin(self, key: str) -> None:
        """Expect the key frames of a video, from the first on."""
        self.drop(key)
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="vsearch-", ignore_cleanup_errors=True)
        self._count += 1
        self._kept[key] = _Kept(Path(self._folder.name) / f"{self._count}.jpegs")

    def add(self, key: str, time: float, jpeg: bytes) -> None:
        """Add a frame; an empty JPEG: it looks like the one before. A video that does not fit is dropped."""
        kept = self._kept.get(key)
        if kept is None:
            return
        if len(jpeg) > self._free:
            self.drop(key)
            return
        try:
            with kept.path.open("ab") as file:
                offset = file.tell()
                file.write(jpeg)
        except OSError:  # a full disk: the video will be decoded again
            self.drop(key)
            return
        self._free -= len(jpeg)
        kept.places.append((time, offset, len(jpeg)))

    def complete(self, key: str) -> None:
        """All key frames of a video have been added."""
        if key in self._kept:
            self._kept[key].complete = True

    def frames(self, key: str) -> Iterator[tuple[float, bytes]] | None:
        """Seconds and JPEG in time order; None where not all of them are here."""
        kept = self._kept.get(key)
        if kept is None or not kept.complete or not kept.places:
            return None
        return _read(kept)

    def drop(self, key: str) -> None:
        """Delete the key frames of a video."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._free += kept.size
            kept.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete everything."""
        self._kept.clear()
        self._free = self._limit
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _read(kept: _Kept) -> Iterator[tuple[float, bytes]]:
    with kept.path.open("rb") as file:
        for time, offset, length in kept.places:
            file.seek(offset)
            yield time, file.read(length)
