"""Reading file paths from the pages of a catalog that SQLite cannot read.

Format: https://www.sqlite.org/fileformat2.html, section 1.6 (pages of a b-tree) and 2.1 (records).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from vsearch.library import codec

_PAGE_BYTES = 8192  # page_size of schema.py
_LEAF_OF_A_TABLE = 0x0D
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # serial type -> bytes


def file_paths(database: Path) -> list[Path]:
    """The paths of the table `files` on pages that are intact, sorted. Raises OSError."""
    found: set[bytes] = set()
    with database.open("rb") as stream:
        if not stream.seek(0, 2):
            return []
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for start in range(0, len(content), _PAGE_BYTES):
                if content[start] == _LEAF_OF_A_TABLE:
                    found.update(_paths(content[start : start + _PAGE_BYTES]))
    return sorted(path for path in map(codec.path_from_bytes, found) if path.is_absolute())


def _paths(page: bytes) -> Iterator[bytes]:
    count = int.from_bytes(page[3:5], "big")
    for position in range(8, min(8 + 2 * count, len(page) - 1), 2):
        try:
            path = _path(page, int.from_bytes(page[position : position + 2], "big"))
        except IndexError:  # a pointer or a length that leaves the page
            continue
        if path:
            yield path


def _path(page: bytes, at: int) -> bytes | None:
    """The path in a cell that is a row of `files`: no other has rows of (NULL for the rowid, blob, 3 integers)."""
    size, at = _varint(page, at)
    _, at = _varint(page, at)  # rowid
    record = at
    header_bytes, at = _varint(page, at)
    kinds: list[int] = []
    while at < record + header_bytes and len(kinds) < 6:
        kind, at = _varint(page, at)
        kinds.append(kind)
    if len(kinds) != 5 or kinds[0] != 0 or kinds[1] < 12 or kinds[1] % 2 or not _INTEGERS.keys() >= set(kinds[2:]):
        return None
    length = (kinds[1] - 12) // 2
    if size != header_bytes + length + sum(_INTEGERS[kind] for kind in kinds[2:]) or at + length > len(page):
        return None
    path = page[at : at + length]
    return None if b"\0" in path else path


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """The value of a varint, and the offset after it."""
    value = 0
    for count in range(9):
        byte = page[at + count]
        if count == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    raise AssertionError("a varint has at most nine bytes")
