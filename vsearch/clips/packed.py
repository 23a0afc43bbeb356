"""Packed B-frames: MPEG-4 in AVI as DivX and XviD wrote it, two frames in one chunk followed by an empty chunk.

Other containers have no such chunks, and players of these stop or show a wrong picture. FFmpeg's bitstream filter takes
the pictures apart; what is shown when follows from their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from vsearch.video.packed import FRAME_START, PACKED_MARK

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

_B = 2
"""Coding type of a B-frame, in the two bits after the start code of a frame."""
_NOTHING_NEW = FRAME_START + bytes.fromhex("501f")
"""A frame that is not coded: the previous one stays on screen."""


def without_mark(data: bytes) -> bytes:
    """The data with the packed flag cleared."""
    return PACKED_MARK.sub(lambda found: found[0][:-1] + b"n", data)


def unpacked(packets: Iterator[Packet[Any]], stream: Stream) -> Iterator[Packet[Any]]:
    """One frame per packet, with times from 0 at the file's first chunk: a chunk is shown when it is read, and a frame
    that others depend on when the next such frame is read."""
    from av.bitstream import BitStreamFilterContext

    taking_apart = BitStreamFilterContext("mpeg4_unpack_bframes", stream)
    waiting: list[Packet[Any]] = []  # from a picture that others are built on up to the next one
    for packet in _filtered(taking_apart, packets):
        place = cast(int, packet.dts)
        if not _is_b(packet) and waiting:
            yield from _timed(waiting, place)
            waiting = []
        waiting.append(packet)
    if waiting:
        yield from _timed(waiting, cast(int, waiting[-1].dts) + 1)


def _filtered(context: Any, packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    from av import Packet

    for packet in packets:
        if packet.size < len(_NOTHING_NEW):  # VirtualDub writes one byte, which the filter does not know
            empty = Packet(_NOTHING_NEW)
            empty.pts, empty.dts, empty.time_base = packet.pts, packet.dts, packet.time_base
            packet = empty
        yield from context.filter(packet)
    yield from context.filter(None)


def _timed(waiting: list[Packet[Any]], following: int) -> Iterator[Packet[Any]]:
    for packet in waiting:
        place = cast(int, packet.dts)
        packet.pts = place - 1 if _is_b(packet) else following - 1
        packet.dts = place - 1
        data = bytes(packet)
        if PACKED_MARK.search(data):
            packet.update(without_mark(data))
        yield packet


def _is_b(packet: Packet[Any]) -> bool:
    data = bytes(packet)
    at = data.find(FRAME_START)
    return at >= 0 and data[at + 4 : at + 5] != b"" and data[at + 4] >> 6 == _B
