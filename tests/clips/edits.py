"""Edit lists (ISO/IEC 14496-12, 8.6.6) written into MP4 and MOV files whose table of contents is at the end."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import av

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def set_edits(path: Path, edits: Sequence[tuple[float, float]], kind: bytes = b"vide") -> None:
    """Replace the edit list of the track of a kind (vide, soun). edits: (seconds, seconds of the media where it
    begins; below 0: nothing is shown)."""
    data = path.read_bytes()
    moov = next((start, size) for name, start, size in _boxes(data, 0, len(data)) if name == b"moov")
    assert moov[0] + moov[1] == len(data), "the table of contents must come last, or all offsets would change"
    path.write_bytes(data[: moov[0]] + _rebuilt(data, *moov, edits, kind))


def fragmented(whole: Path, path: Path, seconds: float) -> Path:
    """The first track of a file as a fragmented MP4 whose edit list hides its first seconds."""
    options = {"movflags": "frag_keyframe+delay_moov", "frag_duration": "200000"}
    with av.open(str(whole)) as container, av.open(str(path), "w", format="mp4", options=options) as output:
        source = container.streams[0]
        track = output.add_stream_from_template(source)
        assert source.time_base is not None
        trimmed = round(seconds / source.time_base)
        for packet in container.demux(source):
            if packet.size and packet.pts is not None and packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - trimmed, packet.dts - trimmed, track
                output.mux(packet)
    return path


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, place, size) of each box in [at, end)."""
    while at + 8 <= end:
        size, name = struct.unpack(">I4s", data[at : at + 8])
        size = struct.unpack(">Q", data[at + 8 : at + 16])[0] if size == 1 else size
        yield name, at, size
        at += size


def _rebuilt(data: bytes, at: int, size: int, edits: Sequence[tuple[float, float]], kind: bytes) -> bytes:
    name, parts = data[at + 4 : at + 8], []
    ours = name == b"trak" and b"hdlr" in data[at : at + size] and _handler(data[at : at + size]) == kind
    scale = struct.unpack(">I", data[data.index(b"mvhd") + 16 :][:4])[0]
    for inner, place, length in _boxes(data, at + 8, at + size):
        if inner == b"edts" and ours:
            continue
        if inner == b"mdia" and ours:
            own = struct.unpack(">I", data[data.index(b"mdhd", place) + 16 :][:4])[0]
            entries = b"".join(
                struct.pack(">IiI", round(length * scale), round(start * own) if start >= 0 else -1, 0x10000)
                for length, start in edits
            )
            parts.append(_box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)) + entries)))
        if inner in _CONTAINERS:
            parts.append(_rebuilt(data, place, length, edits, kind))
        else:
            parts.append(data[place : place + length])
    return _box(name, b"".join(parts))


def _handler(trak: bytes) -> bytes:
    at = trak.index(b"hdlr")
    return trak[at + 12 : at + 16]


def _box(name: bytes, inside: bytes) -> bytes:
    return struct.pack(">I4s", len(inside) + 8, name) + inside
