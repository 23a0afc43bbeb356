"""When each decoded frame is shown: one rule for the index and for clips.

times = FrameTimes(container, stream, origin)
start, end = times.span(frame)
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.video.containers import open_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

STEP = 0.04
"""Seconds a frame, where a container knows no rate."""
TOUCHING = 0.001
"""Seconds between two frames, at least: the library's times are rounded to a millisecond."""


_PACKED_WITHIN = 300
"""Packets in which the first of two pictures is looked for."""
_PICTURE = b"\0\0\1\xb6"
"""How a picture begins in MPEG-4 Part 2."""


class FrameTimes:
    """When each frame of a stream is shown. Say every frame to `span`, in the order in which they are decoded.

    AVI tells no times of display. What the demuxer makes up for them is wrong where pictures are reordered or packed
    into one another, but each picture leaves the decoder with the time of the packet that completed it.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, origin: float = 0.0) -> None:
        """origin: seconds of the file's clock at which the player's is 0."""
        self._origin = origin
        self._base = float(stream.time_base or 0)
        rate = stream.average_rate or stream.guessed_rate
        self._step = 1 / float(rate) if rate else STEP
        self._last: float | None = None
        self._avi = container.format.name == "avi"
        packed = self._avi and stream.codec_context.name == "mpeg4"
        self._packed_from, self._waited = _packed(container, stream) if packed else (0, 0)
        self._hidden_before = hidden_before(container)

    def ticks(self, frame: VideoFrame) -> int | None:
        """When a frame is shown, in ticks of its stream; for AVI later than that by the decoder's delay."""
        if not self._avi or frame.dts is None:
            return None if self._avi else frame.pts
        return frame.dts - (self._waited if frame.dts >= self._packed_from else 0)

    def is_hidden(self, frame: VideoFrame) -> bool:
        """Whether an edit list hides it: it must not be indexed, and no clip may show it."""
        return self._hidden_before is not None and frame.pts is not None and frame.pts < self._hidden_before

    def span(self, frame: VideoFrame) -> tuple[float, float]:
        """Seconds at which it appears, later than the frame before; seconds at which the file says that it goes."""
        ticks, last = self.ticks(frame), self._last
        if ticks is not None:
            time = ticks * self._base - self._origin
            time = max(0.0, time) if last is None else max(time, last + TOUCHING)
        else:
            time = 0.0 if last is None else last + self._step
        self._last = time
        return time, time + ((frame.duration or 0) * self._base or self._step)


def hidden_before(container: InputContainer) -> int | None:
    """Ticks before which the edit list of a fragmented MP4 hides everything; FFmpeg does not say so of a packet. None:
    the container has no edit lists."""
    return 0 if "mov" in container.format.name.split(",") else None


def _packed(container: InputContainer, stream: VideoStream) -> tuple[int, int]:
    """(Time of the first packet of an AVI that holds two pictures, packets left out before it), in ticks.

    An encoder that packs a picture to the one that it is built on writes nothing while it waits for both.
    """
    import av

    before: int | None = None
    with suppress(av.error.FFmpegError), open_video(Path(container.name)) as again:
        for packet in islice(again.demux(again.streams[stream.index]), _PACKED_WITHIN):
            if packet.dts is None:
                break
            if bytes(packet).count(_PICTURE) > 1:
                return packet.dts, 0 if before is None else packet.dts - before - 1
            before = packet.dts
    return 0, 0
