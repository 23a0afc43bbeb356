"""Pictures that wait to be read: in a temporary file a video, so that memory does not grow with its length.

Nothing here must outlive a run: what is lost is taken from the video again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

LIMIT = 1_000_000_000
"""Bytes on disk, some eight thousand pictures. A video that does not fit is decoded a second time."""


@dataclass(slots=True)
class _Kept:
    path: Path
    places: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds, offset and length of each picture; a length of 0: it looks like the one before."""
    complete: bool = False

    @property
    def size(self) -> int:
        return sum(length for _, _, length in self.places)


class Spool:
    """Videos by their content keys. The folder is made when it is first needed."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._folder: TemporaryDirectory[str] | None = None
        self._kept: dict[str, _Kept] = {}
        self._room = limit
        self._count = 0

    def begin(self, key: str) -> None:
        """A video's pictures will come, from the first on."""
        self.drop(key)
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="vsearch-", ignore_cleanup_errors=True)
        self._count += 1
        self._kept[key] = _Kept(Path(self._folder.name) / f"{self._count}.jpegs")

    def add(self, key: str, time: float, jpeg: bytes) -> None:
        """One more; nothing: it looks like the one before. Passed over where there is no room."""
        kept = self._kept.get(key)
        if kept is None:
            return
        if len(jpeg) > self._room:
            self.drop(key)
            return
        try:
            with kept.path.open("ab") as file:
                offset = file.tell()
                file.write(jpeg)
        except OSError:  # a full disk: then this video has to be decoded again
            self.drop(key)
            return
        self._room -= len(jpeg)
        kept.places.append((time, offset, len(jpeg)))

    def complete(self, key: str) -> None:
        """All have come."""
        if key in self._kept:
            self._kept[key].complete = True

    def pictures(self, key: str) -> Iterator[tuple[float, bytes]] | None:
        """Seconds and JPEG, in the order of arrival; None where they have not all been kept."""
        kept = self._kept.get(key)
        if kept is None or not kept.complete or not kept.places:
            return None
        return _read(kept)

    def drop(self, key: str) -> None:
        """Forget a video's pictures."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._room += kept.size
            kept.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._room = self._limit
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _read(kept: _Kept) -> Iterator[tuple[float, bytes]]:
    with kept.path.open("rb") as file:
        for time, offset, length in kept.places:
            file.seek(offset)
            yield time, file.read(length)
