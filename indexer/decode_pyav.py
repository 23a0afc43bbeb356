"""Decoding with PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vsearch.errors import MediaError
from vsearch.indexer.decode import DETECT_SIZE, DecodedFrame, DecodeRequest, large_size, thumbnail_size
from vsearch.indexer.probe import Probed, explain, open_video, pick_stream
from vsearch.media import Pixels
from vsearch.models.fitting import Fitting, fit_frame, scale_picture
from vsearch.models.protocols import FrameSize
from vsearch.video.clock import Clock, in_step
from vsearch.video.colour import rgb_of
from vsearch.video.decoding import decode_packets
from vsearch.video.frame_times import FrameTimes
from vsearch.video.orientation import Orientation

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter


@dataclass(frozen=True, slots=True)
class _Scaler:
    """Converts frames of one video. Each target size keeps a reformatter, which caches its tables."""

    fitting: Fitting
    size: FrameSize
    orientation: Orientation
    thumbnail_size: tuple[int, int]
    """Width, height as shown."""
    large_size: tuple[int, int]
    """Width and height of frames for OCR."""
    for_model: VideoReformatter
    for_cuts: VideoReformatter
    for_thumbnails: VideoReformatter
    for_readers: VideoReformatter

    def pixels(self, frame: VideoFrame) -> Pixels:
        if self.size.filter != "area":
            # FFmpeg's filters of that name are not Pillow's: of the whole picture it only converts the colours.
            whole = self._convert(self.for_model, frame, frame.width, frame.height, "rgb24", "BILINEAR")
            return scale_picture(self.orientation.apply(whole), self.size, self.fitting)
        picture = self._shown(self.for_model, frame, self.fitting.width, self.fitting.height)
        left, top = self.fitting.left, self.fitting.top
        return np.ascontiguousarray(picture[top : top + self.size.height, left : left + self.size.width])

    def small(self, frame: VideoFrame) -> Pixels:
        return self._convert(self.for_cuts, frame, *DETECT_SIZE, "bgr24")

    def thumbnail(self, frame: VideoFrame) -> Pixels:
        return np.ascontiguousarray(self._shown(self.for_thumbnails, frame, *self.thumbnail_size))

    def large(self, frame: VideoFrame) -> Pixels:
        return np.ascontiguousarray(self._shown(self.for_readers, frame, *self.large_size))

    def _shown(self, reformatter: VideoReformatter, frame: VideoFrame, width: int, height: int) -> Pixels:
        """RGB [height, width, 3], turned and mirrored as a player does it."""
        picture = self._convert(reformatter, frame, *self.orientation.size(width, height), "rgb24")
        return self.orientation.apply(picture)

    @staticmethod
    def _convert(
        reformatter: VideoReformatter,
        frame: VideoFrame,
        width: int,
        height: int,
        pixel_format: str,
        interpolation: str = "AREA",
    ) -> Pixels:
        # AREA averages every source pixel: no aliasing, and the cheapest filter of those that do not alias
        return rgb_of(reformatter, frame, width, height, interpolation, pixel_format)


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    time: float
    end: float
    frame: VideoFrame
    scaler: _Scaler
    moved: bool

    def small(self) -> Pixels:
        return self.scaler.small(self.frame)

    def pixels(self) -> Pixels:
        return self.scaler.pixels(self.frame)

    def thumbnail(self) -> Pixels:
        return self.scaler.thumbnail(self.frame)

    def large(self) -> Pixels:
        return self.scaler.large(self.frame)


def _scaler(probed: Probed, size: FrameSize) -> _Scaler:
    from av.video.reformatter import VideoReformatter

    return _Scaler(
        fitting=fit_frame(probed.info.width, probed.info.height, size),
        size=size,
        orientation=probed.orientation,
        thumbnail_size=thumbnail_size(probed.info.width, probed.info.height),
        large_size=large_size(probed.info.width, probed.info.height),
        for_model=VideoReformatter(),
        for_cuts=VideoReformatter(),
        for_thumbnails=VideoReformatter(),
        for_readers=VideoReformatter(),
    )


def thumbnail_of(frame: VideoFrame, probed: Probed) -> Pixels:
    """A single frame's thumbnail: see DecodedFrame."""
    return _scaler(probed, FrameSize(1, 1)).thumbnail(frame)


def decode(request: DecodeRequest) -> Iterator[DecodedFrame]:
    """Every frame that decodes; damaged packets are passed over. MediaError where there is none."""
    import av

    probed = request.probed
    scaler = _scaler(probed, request.frame_size)
    try:
        container = open_video(request.path)
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"it cannot be opened ({explain(error)})") from error
    with container:
        stream = pick_stream(container)
        if stream is None:
            raise MediaError("no video track")
        context = stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = request.threads
        # Frames that no other frame is built on skip deblocking: 5 to 10 % of the decoding time, while the model's
        # vectors keep a cosine of 0.9998. (Skipped for all: 20 %, but errors add up, to 0.96 on some videos.)
        context.options = {"skip_loop_filter": "noref"}
        clock, times = Clock.of(container), FrameTimes(container, stream, probed.origin)
        found = False
        for frame in decode_packets(in_step(container, stream, clock)):
            if times.is_hidden(frame):
                continue
            yield _Frame(*times.span(frame), frame, scaler, clock.moved)
            found = True
        if not found:
            raise MediaError("no frame can be decoded")
