"""AVI with packed B-frames, as XviD wrote it: a chunk holds a picture and the one that is shown before it, and the
chunk after it is empty."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av

from tests.clips.numbered import draw_number

NOTHING_NEW = bytes.fromhex("000001b6501f")
"""A picture that is not coded (vop_coded 0): the one before it stays."""


def make_packed(path: Path, count: int, *, b_frames: int = 1, empty: bytes = NOTHING_NEW, marked: bool = True) -> Path:
    """`count` numbered pictures, 25 a second, a key frame at each 24th. empty: what an empty chunk holds. marked: the
    user data declares that frames are packed."""
    size = (160, 96)
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.max_b_frames, encoder.gop_size, encoder.bit_rate = b_frames, 24, 2_000_000
    encoder.options = {"b_strategy": "0", "sc_threshold": "1000000000"}
    coded: list[bytes] = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(draw_number(number, size), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    coded += [bytes(packet) for packet in encoder.encode(None)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.codec_tag = "XVID"
        for place, chunk in enumerate(_chunks(coded)):
            name = b"DivX503b1393p" if marked else b"XviD0041"
            data = re.sub(rb"\x00\x00\x01\xb2Lavc[^\x00]*", b"\x00\x00\x01\xb2" + name, chunk)
            packet = av.Packet(data or empty)
            packet.pts = packet.dts = place
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 25), stream, _kind(chunk) == "I"
            container.mux(packet)
    return path


def _chunks(coded: list[bytes]) -> list[bytes]:
    made: list[bytes] = []
    for data in coded:
        if _kind(data) != "B":
            made.append(data)
        elif made[-1] and _kind(made[-1]) != "B":
            made[-1] += data
            made.append(b"")
        else:
            made[-1:] = [data, b""]
    return made


def _kind(data: bytes) -> str:
    return "IPBS"[data[data.index(b"\x00\x00\x01\xb6") + 4] >> 6] if data else "P"
