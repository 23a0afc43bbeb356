"""Boxes of MP4 and QuickTime (ISO/IEC 14496-12) for which FFmpeg has no option: where the edit list of a clip ends, and
the rate of a time code track."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_MOST_BOXES = 10_000


class Mp4Box(NamedTuple):
    """A box; its content is the bytes [start, end) of the file."""

    name: bytes
    start: int
    end: int


def end_pictures_at(path: Path, seconds: float) -> None:
    """End the edit list of a clip's video after a number of seconds: players that support it show nothing after that.
    The file was written by FFmpeg, with an edit list for each track."""
    with path.open("r+b") as file:
        movie = _find(file, _whole(file), b"moov")
        header = _find(file, movie, b"mvhd")
        if movie is None or header is None:
            return
        place, form = _time_field(file, header, 12, 20)
        (scale,) = _read(file, place, ">I")
        longest = 0
        for track in (box for box in _boxes(file, movie) if box.name == b"trak"):
            length = _find(file, track, b"tkhd")
            if length is None:
                continue
            place, form = _time_field(file, length, 20, 28)
            if _handler(file, track) == b"vide" and _shorten(file, track, int(seconds * scale)):
                _write(file, place, form, int(seconds * scale))
            longest = max(longest, *_read(file, place, form))
        place, form = _time_field(file, header, 16, 24)
        _write(file, place, form, longest)


def _shorten(file: BinaryIO, track: Mp4Box, ticks: int) -> bool:
    """End the last edit of a track at `ticks`, if it ends later."""
    edits = _find(file, track, b"edts", b"elst")
    if edits is None:
        return False
    version, count = _read(file, edits.start, ">B3xI")
    form, size = (">Q", 20) if version == 1 else (">I", 12)
    places = [edits.start + 8 + size * number for number in range(count)]
    lengths = [_read(file, place, form)[0] for place in places]
    last = ticks - sum(lengths[:-1])
    if not lengths or not 0 < last < lengths[-1]:
        return False
    _write(file, places[-1], form, last)
    return True


def time_code_rate(path: Path) -> Fraction | None:
    """Frames per second of a file's time code track; None if it has none.

    Raises OSError. A file that is no MP4 or QuickTime has none.
    """
    with path.open("rb") as file:
        movie = _find(file, _whole(file), b"moov")
        for track in _boxes(file, movie):
            described = _find(file, track, b"mdia", b"minf", b"stbl", b"stsd") if track.name == b"trak" else None
            if described is None or described.end - described.start < 42:
                continue
            name, scale, length = _read(file, described.start + 12, ">4s16xII")
            if name == b"tmcd" and scale and length:
                return Fraction(scale, length)
    return None


def _whole(file: BinaryIO) -> Mp4Box:
    return Mp4Box(b"", 0, file.seek(0, 2))


def _boxes(file: BinaryIO, parent: Mp4Box | None) -> Iterator[Mp4Box]:
    if parent is None:
        return
    at = parent.start
    for _ in range(_MOST_BOXES):
        if at + 8 > parent.end:
            return
        size, name = _read(file, at, ">I4s")
        head = 8
        if size == 1 and at + 16 <= parent.end:
            (size,), head = _read(file, at + 8, ">Q"), 16
        elif size == 0:
            size = parent.end - at
        if size < head or at + size > parent.end:
            return
        yield Mp4Box(name, at + head, at + size)
        at += size


def _find(file: BinaryIO, parent: Mp4Box | None, *names: bytes) -> Mp4Box | None:
    """The first box of these names, each within the one before."""
    found = parent
    for name in names:
        found = next((box for box in _boxes(file, found) if box.name == name), None)
    return found


def _handler(file: BinaryIO, track: Mp4Box) -> bytes:
    box = _find(file, track, b"mdia", b"hdlr")
    return b"" if box is None else bytes(_read(file, box.start + 8, ">4s")[0])


def _time_field(file: BinaryIO, box: Mp4Box, short: int, long: int) -> tuple[int, str]:
    """(place, form) of a field in a header whose times have 32 bits (version 0) or 64."""
    return (box.start + long, ">Q") if _read(file, box.start, ">B")[0] == 1 else (box.start + short, ">I")


def _read(file: BinaryIO, at: int, form: str) -> tuple[Any, ...]:
    file.seek(at)
    size = struct.calcsize(form)
    return struct.unpack(form, file.read(size).ljust(size, b"\0"))


def _write(file: BinaryIO, at: int, form: str, value: int) -> None:
    file.seek(at)
    file.write(struct.pack(form, value))
