"""Packed B-frames: MPEG-4 Part 2 in AVI, as DivX and XviD wrote it. A packet holds two frames, the next one is empty.

packing_of(container, stream) -> Packing, or None where every packet holds one frame
declare_packed(stream)           before the first packet is decoded

One rule for the index, which corrects the times of such frames, and for clips, which separate them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.video.containers import open_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

FRAME_START = b"\x00\x00\x01\xb6"
"""Start code of a frame (VOP). The two highest bits of the byte after it are its coding type."""
PACKED_MARK = re.compile(rb"\x00\x00\x01\xb2DivX\d+(?:Build|b)\d+p", re.IGNORECASE)
"""User data, with its start code, by which an encoder declares that it packs frames. The last byte is the flag."""
_DECLARED = b"\x00\x00\x01\xb2DivX503b1393p"
"""The mark as most files contain it."""
_MARK_WITHIN = 3
"""Packets at the beginning in which the mark is searched."""
_PAIR_WITHIN = 300
"""Packets at the beginning in which the first packet with two frames is searched."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How the frames of an AVI are packed. Times are in ticks of the stream."""

    declared: bool = True
    """The encoder declares it by a mark, which FFmpeg's decoder obeys."""
    begins: int = 0
    """Decoding time of the first packet with two frames; 0 where none was found."""
    waited: int = 0
    """Length of the gap before that packet: an encoder may write nothing while it waits for the second frame."""


def packing_of(container: InputContainer, stream: Stream) -> Packing | None:
    """Read the beginning of the file again. Frames are packed where a packet holds two, or where the encoder declares
    it."""
    import av

    context = stream.codec_context
    if container.format.name != "avi" or context.name != "mpeg4":
        return None
    marked = PACKED_MARK.search(bytes(context.extradata or b"")) is not None
    before: int | None = None
    with suppress(av.error.FFmpegError), open_video(Path(container.name)) as again:
        for number, packet in enumerate(islice(again.demux(again.streams[stream.index]), _PAIR_WITHIN)):
            if packet.dts is None:
                break
            data = bytes(packet)
            marked = marked or (number < _MARK_WITHIN and PACKED_MARK.search(data) is not None)
            if data.count(FRAME_START) > 1:
                return Packing(marked, packet.dts, 0 if before is None else packet.dts - before - 1)
            before = packet.dts
    return Packing() if marked else None


def declare_packed(stream: VideoStream) -> None:
    """Make FFmpeg's decoder return both frames of a packet; without a mark it drops the second one."""
    context = stream.codec_context
    context.extradata = _DECLARED + bytes(context.extradata or b"")
