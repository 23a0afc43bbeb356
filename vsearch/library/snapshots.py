"""Snapshots on disk: a FAISS file, and a header that identifies the catalog and its change number.

`space-ID-CHANGE.faiss` is written first, `space-ID-CHANGE.json` last; each is written under a temporary name, synced
and renamed. A FAISS file without a header is ignored. Files are never changed in place, so a process can keep an older
snapshot memory-mapped.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vsearch.errors import LibraryError
from vsearch.library.faults import raise_if_exhausted
from vsearch.library.untyped import load_faiss
from vsearch.media import Space

_log = logging.getLogger(__name__)

_FORMAT = 1
_EDGE = 65536


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """The contents of the JSON file."""

    format: int
    library_id: str
    fingerprint: str
    channel: str
    dim: int
    metric: str
    change: int
    """Change number of the catalog: the snapshot contains all changes up to this one."""
    count: int
    kind: str
    """Index type: see vectors.py."""
    lists: int
    """IVF lists, 0 for a flat index."""
    bytes: int
    structure_bytes: int
    """Bytes at the front that `edge_crc` covers, besides the last 64 KiB: all that FAISS relies on while it opens."""
    edge_crc: int
    """CRC-32 of these parts, checked whenever the snapshot is opened."""
    crc: int
    """CRC-32 of the whole file, checked by `verify`."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot with a valid header and a file of the right length and `edge_crc`."""

    header: SnapshotHeader
    file: Path

    def whole(self) -> bool:
        """Whether the checksum of the whole file is right."""
        crc = 0
        with self.file.open("rb") as file:
            while block := file.read(1 << 20):
                crc = zlib.crc32(block, crc)
        return crc == self.header.crc


def in_the_way(folder: Path) -> str | None:
    """A message if snapshots cannot be saved because a file has the name of their folder."""
    if folder.is_dir() or not folder.exists():
        return None
    return f"{folder} is a file, but snapshots belong into a folder of that name: move it away"


def find(folder: Path, space_id: int, space: Space, library_id: str) -> Iterator[Snapshot]:
    """The usable snapshots of a space, newest first. Others are skipped with a warning."""
    for name in sorted(headers(folder, space_id), key=change_of, reverse=True):
        snapshot, reason = inspect(name, space, library_id)
        if snapshot is None:
            _log.warning("ignoring the snapshot %s: %s", name.name, reason)
        else:
            yield snapshot


def headers(folder: Path, space_id: int) -> list[Path]:
    """The paths of the headers of a space's snapshots."""
    prefix = f"space-{space_id}-"
    try:
        return [file for file in folder.iterdir() if file.name.startswith(prefix) and file.name.endswith(".json")]
    except OSError as error:
        raise_if_exhausted(error)
        return []


def changes(folder: Path, space_id: int) -> list[int]:
    """The change numbers in the names of a space's snapshots."""
    return [change_of(name) for name in headers(folder, space_id)]


def inspect(name: Path, space: Space, library_id: str) -> tuple[Snapshot | None, str]:
    """Read a header and check it against its file and the library: the snapshot, or None and the reason."""
    try:
        header = _parse(name.read_bytes())
        file = name.with_suffix(".faiss")
        size = file.stat().st_size
        if header.library_id != library_id:
            return None, "it belongs to another library"
        if (header.fingerprint, header.channel, header.dim, header.metric) != (
            space.fingerprint,
            space.channel,
            space.dim,
            space.metric,
        ):
            return None, "it belongs to another model"
        if size != header.bytes:
            return None, f"it has {size} bytes instead of {header.bytes}"
        if _edge_crc(file, header.structure_bytes) != header.edge_crc:
            return None, "its checksum is wrong"
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise_if_exhausted(error)
        return None, f"it cannot be read ({error})"
    return Snapshot(header, file), ""


def save(
    folder: Path,
    space_id: int,
    space: Space,
    *,
    library_id: str,
    change: int,
    count: int,
    kind: str,
    lists: int,
    code_bytes: int,
    index: Any,
) -> Snapshot:
    """Write a FAISS index as the snapshot of a change number. Raises OSError, LibraryError."""
    if (obstacle := in_the_way(folder)) is not None:
        raise LibraryError(obstacle)
    folder.mkdir(exist_ok=True)
    file = folder / f"space-{space_id}-{change}.faiss"
    size, crc = _write_index(file, index)
    structure = max(0, size - count * (code_bytes + 8)) + _EDGE
    header = SnapshotHeader(
        format=_FORMAT,
        library_id=library_id,
        fingerprint=space.fingerprint,
        channel=space.channel,
        dim=space.dim,
        metric=space.metric,
        change=change,
        count=count,
        kind=kind,
        lists=lists,
        bytes=size,
        structure_bytes=structure,
        edge_crc=_edge_crc(file, structure),
        crc=crc,
    )
    _write_atomically(file.with_suffix(".json"), json.dumps(asdict(header), indent=1).encode())
    return Snapshot(header, file)


def sweep(folder: Path, space_id: int, keep: Path | None) -> None:
    """Remove all snapshots of a space but one. On Windows, files that another process has mapped stay."""
    for file in _headers_first(folder.glob(f"space-{space_id}-*")):
        if keep is None or file.stem != keep.stem or file.suffix not in (".faiss", ".json"):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                _log.debug("%s stays for now: %s", file.name, error)


def _headers_first(files: Iterable[Path]) -> list[Path]:
    """Files in the order of removal: a kill may leave an index without a header, which is ignored, but never a header
    without its index."""
    return sorted(files, key=lambda file: file.suffix != ".json")


def sweep_unknown(folder: Path, known: Collection[int]) -> None:
    """Remove the snapshots of spaces that no longer exist."""
    for file in folder.glob("space-*-*.*"):
        number = file.name.split("-")[1]
        if number.isascii() and number.isdigit() and int(number) not in known:
            sweep(folder, int(number), None)


def drop_ahead(folder: Path, change: int) -> None:
    """Remove snapshots that are newer than the catalog, which was restored from an older copy."""
    for file in _headers_first(folder.glob("space-*-*.*")):
        if change_of(file) > change:
            _log.warning("removing the snapshot %s: it is ahead of the catalog (%d)", file.name, change)
            file.unlink(missing_ok=True)


def total_bytes(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    except OSError:
        return 0


def change_of(file: Path) -> int:
    """The change number in the name of a snapshot's file; -1 without one."""
    tail = file.name.split(".")[0].rpartition("-")[2]
    return int(tail) if tail.isascii() and tail.isdigit() else -1


def _parse(text: bytes) -> SnapshotHeader:
    values = json.loads(text)
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        raise ValueError("unknown header")
    header = SnapshotHeader(**values)
    for field in fields(header):
        expected = int if field.type == "int" else str
        if type(getattr(header, field.name)) is not expected:
            raise ValueError(f"bad {field.name}")
    return header


def _edge_crc(file: Path, structure: int) -> int:
    with file.open("rb") as stream:
        crc = zlib.crc32(stream.read(structure))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _EDGE))
        return zlib.crc32(stream.read(_EDGE), crc)


def _write_index(target: Path, index: Any) -> tuple[int, int]:
    """Write the index; returns the size of the file and its CRC-32."""
    faiss = load_faiss()

    temporary = target.with_suffix(".faiss.tmp")
    size = crc = 0
    failure: OSError | None = None
    with temporary.open("wb", buffering=0) as stream:

        def write(block: bytes) -> None:
            # Never raises: FAISS also writes in a destructor, where Python could only print the error.
            nonlocal size, crc, failure
            if failure is None:
                try:
                    view = memoryview(block)
                    while view:
                        view = view[stream.write(view) :]
                except OSError as error:
                    failure = error
            size += len(block)
            crc = zlib.crc32(block, crc)

        try:
            writer = faiss.PyCallbackIOWriter(write)
            buffered = faiss.BufferedIOWriter(writer, 1 << 20)
            faiss.write_index(index, buffered)
            del buffered  # its destructor writes the rest
            if failure is not None:
                raise failure
            os.fsync(stream.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    temporary.replace(target)
    return size, crc


def _write_atomically(target: Path, content: bytes) -> None:
    temporary = target.with_suffix(".json.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(target)
    sync_folder(target.parent)


def sync_folder(path: Path) -> None:
    """Make renames in a folder durable. Only POSIX systems can open a folder, and only they need it."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
