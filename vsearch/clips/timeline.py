"""Seeking in a file: where the container must be read from, and which frames are in a span.

Times are seconds on the player's timeline, as everywhere in the library; see indexer/decode.py for how it is defined.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vsearch.errors import MediaError
from vsearch.video.clock import StreamT, in_step, jumps
from vsearch.video.containers import open_video, pick_stream
from vsearch.video.decoding import decode_packets
from vsearch.video.frame_times import FrameTimes

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

EPSILON = 0.001
"""Seconds by which two times of the same frame may differ. The library's times are rounded to a millisecond."""
HELD = 0.25
"""Seconds that the first frame of a span may have been shown before; a frame held longer begins with the span."""
MOST_PIXELS = 8192 * 8192
"""Pixels of the largest frames; each larger one would take hundreds of megabytes."""
_EMPTY = 1
"""Bytes of an AVI chunk that repeats a frame; after a key frame the demuxer marks it as a key frame, too."""
_BACK = (0.0, 2.0, 10.0, 60.0)
"""Seconds by which a seek goes further back if the one before it arrived too late (MPEG has no index)."""
_SETTLING = 10.0
"""Seconds. An MPEG program stream has the times of some frames only; those after a seek are guessed, wrongly, until a
frame has its own."""


@dataclass(frozen=True, slots=True, eq=False)
class TimedFrame:
    """One decoded frame. [time, end) in seconds."""

    time: float
    end: float
    frame: VideoFrame


def base_of(stream: Stream) -> Fraction:
    """Seconds per tick of a stream's clock."""
    return stream.time_base or Fraction(1, 90_000)


def sound_origin(container: InputContainer) -> Fraction:
    """The container time, in seconds, at which a player's clock is 0."""
    return Fraction(container.start_time or 0, 1_000_000)


def video_origin(path: Path) -> Fraction:
    """The container time, in seconds, at which the first frame is shown. AVI stores no display times, and the demuxer
    guesses a time that is too late."""
    with open_video(path) as container:
        if container.format.name != "avi":
            return sound_origin(container)
        stream = video_stream(container)
        times = FrameTimes(container, stream)
        first = next(_decoded(container, stream, sought=False), None)
        ticks = None if first is None else times.ticks(first)
        return Fraction(0) if ticks is None else ticks * base_of(stream)


def video_stream(container: InputContainer) -> VideoStream:
    """The video stream that a player shows. Raises MediaError if there is none."""
    stream = pick_stream(container)
    if stream is None:
        raise MediaError("it has no pictures")
    return stream


def ways_to(path: Path, index: int, at: Fraction) -> Iterator[tuple[InputContainer, bool]]:
    """The file, opened and sought to a container time, further back each time, and finally from its beginning; with
    each, whether it was sought. The caller uses the first one that does not start too late. A file whose clock jumps is
    read from its beginning: the same timestamp may occur twice."""
    import av

    for back in () if _jumps(path, path.stat().st_mtime_ns) else _BACK:
        with open_video(path) as container:
            start = Fraction(container.start_time or 0, 1_000_000)
            if at - Fraction(back) <= start:
                break
            if container.format.name == "mpeg" and back < _SETTLING:
                continue
            stream = container.streams[index]
            with suppress(av.error.FFmpegError):  # a format that cannot be sought
                container.seek(int((at - Fraction(back)) / base_of(stream)), stream=stream)
                yield container, True
    with open_video(path) as container:
        yield container, False


@lru_cache(maxsize=16)
def _jumps(path: Path, mtime_ns: int) -> bool:
    return jumps(path)


def packets_of(container: InputContainer, stream: StreamT, sought: bool) -> Iterator[Packet[StreamT]]:
    """The packets of a track, on the joined clock of its file."""
    return cast("Iterator[Packet[StreamT]]", container.demux(stream)) if sought else in_step(container, stream)


def key_frame_before(path: Path, start: float) -> tuple[int, int]:
    """The last key frame at or before `start`, or else the first one: index of the stream, timestamp in its ticks.

    Raises MediaError where a packet has no timestamp, or no packet is a key frame.
    """
    origin = video_origin(path)
    with open_video(path) as container:
        index = video_stream(container).index
    at = Fraction(start + EPSILON) + origin
    for container, sought in ways_to(path, index, at):
        stream = container.streams[index]
        limit = at / base_of(stream)
        found: int | None = None
        for packet in packets_of(container, stream, sought):
            if not packet.size:
                continue
            if packet.pts is None:
                raise MediaError("its packets have no timestamps")
            key = packet.is_keyframe and packet.size > _EMPTY
            if key and (packet.pts <= limit or (found is None and not sought)):
                found = packet.pts
            if (packet.dts if packet.dts is not None else packet.pts) > limit:
                break
        if found is not None:
            return index, found
    raise MediaError("it has no key frame")


def pictures(path: Path, start: float, end: float, held: float = 0.0) -> Iterator[TimedFrame]:
    """The frames that a player shows in [start, end), from the one that is on screen at `start`. Raises MediaError if
    there is none.

    The first may have begun up to HELD seconds earlier; the last ends at `end` at the latest. held: seconds until which
    the last frame of the file is shown, because sound continues.
    """
    origin = video_origin(path)
    with open_video(path) as container:
        index = video_stream(container).index
    begun = False
    for container, sought in ways_to(path, index, Fraction(start + EPSILON) + origin):
        stream = cast("VideoStream", container.streams[index])
        waiting: TimedFrame | None = None
        for picture in _timed(container, stream, origin, sought):
            if waiting is None:
                if sought and picture.time > start + EPSILON:
                    break  # too late: from further back
            elif picture.time > start + EPSILON:
                yield _within(TimedFrame(waiting.time, picture.time, waiting.frame), start, end)
                begun = True
            waiting = picture
            if picture.time >= end - EPSILON:
                break
        else:
            if waiting is not None and max(waiting.end, held) > start + EPSILON:
                yield _within(TimedFrame(waiting.time, max(waiting.end, held), waiting.frame), start, end)
                begun = True
        if begun:
            return
    raise MediaError(f"no picture can be decoded between {start:.3f} and {end:.3f} s")


def _within(picture: TimedFrame, start: float, end: float) -> TimedFrame:
    time = picture.time if picture.time >= start - HELD else start
    return TimedFrame(time, max(min(picture.end, end), time + EPSILON), picture.frame)


def _timed(container: InputContainer, stream: VideoStream, origin: Fraction, sought: bool) -> Iterator[TimedFrame]:
    """Frames with the same times as in the index (indexer/decode_pyav.py)."""
    times, begun = FrameTimes(container, stream, float(origin)), False
    for frame in _decoded(container, stream, sought):
        if times.is_hidden(frame):
            continue
        if sought and not begun and times.ticks(frame) is None:
            continue
        begun = True
        yield TimedFrame(*times.span(frame), frame)


def _decoded(container: InputContainer, stream: VideoStream, sought: bool) -> Iterator[VideoFrame]:
    context = stream.codec_context
    context.thread_type = "AUTO"
    context.thread_count = 2
    context.options = {"max_pixels": str(MOST_PIXELS)}
    packets = packets_of(container, stream, sought)
    # After a seek, frames before the first key frame are built on frames that were not read.
    return decode_packets(dropwhile(lambda packet: not packet.is_keyframe, packets) if sought else packets)
