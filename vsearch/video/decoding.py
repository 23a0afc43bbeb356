"""Decoding packets of video: damage costs the frames that it concerns, never the rest of the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


def decode_packets(packets: Iterator[Packet[VideoStream]]) -> Iterator[VideoFrame]:
    """Every frame that decodes, up to the place where the container cannot be read any more."""
    import av

    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue
