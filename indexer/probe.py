"""What a file says of itself, and whether a first frame can be had from it. Runs in the worker: it trusts no byte."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.media import VideoInfo
from vsearch.video.clock import FROM_ZERO, duration_of
from vsearch.video.colour import is_hdr
from vsearch.video.containers import explain as explain
from vsearch.video.containers import open_video as open_video
from vsearch.video.containers import pick_stream as pick_stream
from vsearch.video.frame_times import STEP, FrameTimes
from vsearch.video.orientation import Orientation, orientation_of, pixel_aspect, square_size

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

NOT_VIDEO_FORMATS = ("image2", "hls", "dash", "concat", "lavfi", "tty", "ansi", "bin", "sbg", "subviewer")
"""Demuxers that open pictures, play lists that lead to other files, or text as if it were a film."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A video that gives at least one frame."""

    info: VideoInfo
    origin: float
    """Seconds: the container's start time, which a player shows as 0."""
    first: float
    """Seconds on the player's timeline: the first frame."""
    step: float
    """Seconds between frames on average, for frames without a timestamp of their own."""
    declared_end: float
    """Seconds on the player's timeline where the container says that the pictures end; 0.0: it does not say."""
    orientation: Orientation = Orientation()  # noqa: RUF009
    """How a player turns and mirrors the picture."""
    only_stream: bool = True
    """There is one stream of pictures to choose from."""
    hdr: bool = False
    """Of high dynamic range: it must be tone-mapped."""
    hides: bool = False
    """Its first frames decode, but an edit list hides them."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a file is not indexed."""

    cause: str
    is_video: bool
    """False: an ordinary file of another kind. True: a video, but not one that can be used."""
    sound: bool = False
    """It has no pictures, but sound."""


def probe_video(path: Path) -> Probed | Rejected:
    """Open the file, read its header, decode one frame. An OSError (missing, not permitted) passes through."""
    import av

    if path.stat().st_size == 0:
        return Rejected("the file is empty (zero bytes)", is_video=True)
    with path.open("rb"):  # a permission problem is the system's to tell, not the demuxer's
        pass
    try:
        with open_video(path) as container:
            return _probe(container)
    except (av.error.FFmpegError, ValueError) as error:
        return Rejected(f"not a video, or too damaged: it cannot be opened ({explain(error)})", is_video=False)


def _probe(container: InputContainer) -> Probed | Rejected:
    name = container.format.name
    if name.endswith("_pipe") or any(part in NOT_VIDEO_FORMATS for part in name.split(",")):
        return Rejected("a picture, a play list or text, not a video", is_video=False)
    stream = pick_stream(container)
    if stream is None:
        sound = bool(container.streams.audio)
        return Rejected(f"no video track ({'audio only' if sound else 'no streams'})", is_video=sound, sound=sound)
    times = FrameTimes(container, stream)
    first, hides = _first_frame(container, stream, times)
    if first is None:
        return Rejected("it has a header but no frame can be decoded", is_video=True)
    if name == "gif" and _is_still(container, stream):
        return Rejected("a still picture, not a video", is_video=False)

    pts = times.ticks(first)
    orientation = orientation_of(first)
    size = square_size(first.width, first.height, pixel_aspect(stream.sample_aspect_ratio))
    width, height = orientation.size(*size)
    base = float(stream.time_base or 0)
    origin = (container.start_time or 0) / 1_000_000
    if name == "avi" and pts is not None:
        origin = pts * base  # later than 0 by the decoder's delay
    rate = stream.average_rate or stream.guessed_rate
    declared = 0.0
    if stream.duration is not None and base:
        declared = (stream.duration + (stream.start_time or 0)) * base - origin
    duration = duration_of(container) or declared
    if name in FROM_ZERO:
        declared = 0.0
    if not declared and len(container.streams) == 1:
        declared = duration
    info = VideoInfo(
        duration=max(0.0, duration),
        width=width,
        height=height,
        codec=stream.codec_context.name,
        container=name,
        rotation=orientation.rotation,
        has_audio=bool(container.streams.audio),
        recorded_at=recorded_at(container.metadata.get("creation_time")),
    )
    return Probed(
        info=info,
        origin=origin,
        first=max(0.0, pts * base - origin) if pts is not None else 0.0,
        step=1 / float(rate) if rate else STEP,
        declared_end=max(0.0, declared),
        orientation=orientation,
        only_stream=len(container.streams.video) == 1,
        hdr=is_hdr(first),
        hides=hides,
    )


def _first_frame(container: InputContainer, stream: VideoStream, times: FrameTimes) -> tuple[VideoFrame | None, bool]:
    """The first frame that decodes and is shown, None where there is none; whether frames before it are hidden."""
    import av

    hides = False
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    if not times.is_hidden(frame):
                        return frame, hides
                    hides = True
            except av.error.InvalidDataError:
                continue
    except av.error.FFmpegError:
        pass
    return None, hides


def _is_still(container: InputContainer, stream: VideoStream) -> bool:
    container.seek(0)
    packets = (packet for packet in container.demux(stream) if packet.size)
    return len(list(islice(packets, 2))) < 2


def recorded_at(text: str | None) -> float | None:
    """Unix seconds of a container's creation_time; cameras that never had their clock set write 1904 or 1970."""
    if not text:
        return None
    try:
        when = dt.datetime.fromisoformat(text)
        seconds = when.replace(tzinfo=when.tzinfo or dt.UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 86_400 else None
