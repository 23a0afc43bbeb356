"""AVI tells no times of display: pictures that are packed two to a packet, as XviD and DivX write them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.clips.numbered import draw_number, read_numbers

PICTURE = bytes.fromhex("000001b6")
PACKS = bytes.fromhex("000001b2") + b"DivX503b1393p"
"""How an encoder says that it packs."""
NOTHING_NEW = PICTURE + bytes([0x50, 0x00, 0x7F])


def make_packed(path: Path, count: int = 60, mark: bytes = PACKS) -> Path:
    """Pictures with their numbers, as XviD packs them: the packet of a picture holds the one before it, too, which is
    built on it; the next packet says that there is nothing new."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        context = stream.codec_context
        context.max_b_frames, context.gop_size = 1, 600
        stream.options = {"b_strategy": "0"}
        packets = []
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(draw_number(number, (160, 96)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        _write(container, stream, [bytes(packet) for packet in packets], mark)
    return path


def _kind(data: bytes) -> int:
    """0: built on nothing, 1: on pictures before, 2: on those after it, too."""
    return data[data.index(PICTURE) + 4] >> 6


def _write(container: av.container.OutputContainer, stream: av.VideoStream, pictures: list[bytes], mark: bytes) -> None:
    chunk = 0

    def put(data: bytes, key: bool = False) -> None:
        nonlocal chunk
        begin = data.index(PICTURE)
        packet = av.Packet(data[:begin] + mark + data[begin:] if key else data)
        packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), key
        packet.pts = packet.dts = chunk
        container.mux(packet)
        chunk += 1

    at, packed = 0, False  # of the pictures in their order of decoding
    while at < len(pictures):
        if at + 1 < len(pictures) and _kind(pictures[at + 1]) == 2:
            if not packed:
                chunk += 1  # the encoder waited for both
                packed = True
            put(pictures[at] + pictures[at + 1])
            put(NOTHING_NEW)
            at += 2
        else:
            put(pictures[at], key=_kind(pictures[at]) == 0)
            at += 1


@pytest.mark.parametrize("mark", [PACKS, b""])
def test_packed_pictures_come_in_order_and_in_time(tmp_path: Path, mark: bytes) -> None:
    numbers, times = read_numbers(make_packed(tmp_path / "v.avi", mark=mark))
    assert numbers == list(range(len(numbers))) and len(numbers) > 50
    assert times == pytest.approx([number / 25 for number in numbers], abs=1e-3)
