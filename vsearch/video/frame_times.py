"""When each decoded frame is shown: one rule for the index and for clips.

times = FrameTimes(container, stream, origin)
start, end = times.span(frame)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vsearch.video.packed import Packing, declare_packed, packing_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

STEP = 0.04
"""Seconds a frame, where a container knows no rate."""
TOUCHING = 0.001
"""Seconds between two frames, at least: the library's times are rounded to a millisecond."""


class FrameTimes:
    """When each frame of a stream is shown. Say every frame to `span`, in the order in which they are decoded.

    AVI tells no times of display. What the demuxer makes up for them is wrong where pictures are reordered or packed
    into one another, but each picture leaves the decoder with the time of the packet that completed it.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, origin: float = 0.0) -> None:
        """Before the first frame is decoded: the decoder learns here whether frames are packed.

        origin: seconds of the file's clock at which the player's is 0.
        """
        self._origin = origin
        self._base = float(stream.time_base or 0)
        rate = stream.average_rate or stream.guessed_rate
        self._step = 1 / float(rate) if rate else STEP
        self._last: float | None = None
        self._avi = container.format.name == "avi"
        self._packing = packing_of(container, stream) or Packing()
        if not self._packing.declared:
            declare_packed(stream)
        self._hidden_before = hidden_before(container)

    def ticks(self, frame: VideoFrame) -> int | None:
        """When a frame is shown, in ticks of its stream; for AVI later than that by the decoder's delay."""
        if not self._avi or frame.dts is None:
            return None if self._avi else frame.pts
        return frame.dts - (self._packing.waited if frame.dts >= self._packing.begins else 0)

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
