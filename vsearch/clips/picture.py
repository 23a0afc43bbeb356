"""A decoded frame prepared for an encoder: rotated and mirrored as in a player, of an even size, 4:2:0."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from vsearch.video.colour import limited_yuv
from vsearch.video.orientation import orientation_of, pixel_aspect, square_size

if TYPE_CHECKING:
    from av.filter.graph import Graph
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter


@dataclass(frozen=True, slots=True)
class ClipShape:
    """The shape that every frame of a clip is converted to."""

    width: int
    height: int
    scaled: bool
    """False: an odd size loses its last row or column, so that nothing is blurred."""
    aspect: Fraction
    """Width of a pixel divided by its height."""
    sdr: bool = True
    """Whether high dynamic range is tone-mapped."""
    pixels: str = "yuv420p"
    """FFmpeg's name of the pixel format: yuv420p or yuv420p10le."""


def shape_of(frame: VideoFrame, pixel: Fraction | None, most: int) -> ClipShape:
    """The shape of a clip with this first frame. pixel: the container's pixel aspect, before rotation. most: largest
    longer side in pixels, as a player shows it; 0: size and colour tags are kept."""
    orientation, pixel = orientation_of(frame), pixel_aspect(pixel)
    width, height = orientation.size(frame.width, frame.height)
    if orientation.transposed:
        pixel = 1 / pixel
    if not most:
        return ClipShape(max(2, width // 2 * 2), max(2, height // 2 * 2), width < 2 or height < 2, pixel, sdr=False)
    shown_width, shown_height = square_size(width, height, pixel)
    scale = min(1.0, most / max(shown_width, shown_height))
    even = [max(2, round(side * scale / 2) * 2) for side in (shown_width, shown_height)]
    cropped = pixel == 1 and scale == 1 and width >= 2 and height >= 2
    if cropped:
        even = [width // 2 * 2, height // 2 * 2]
    return ClipShape(even[0], even[1], not cropped, Fraction(1))


def encoder_picture(frame: VideoFrame, shape: ClipShape) -> VideoFrame:
    """The frame in the given shape, of limited range."""
    from av.video.frame import PictureType

    orientation = orientation_of(frame)
    size = orientation.size(frame.width, frame.height)
    even = size[0] // 2 * 2, size[1] // 2 * 2
    if shape.scaled or even != (shape.width, shape.height):  # or a stream that changes its size
        size = shape.width, shape.height
    stored = orientation.size(*size)
    made = limited_yuv(_reformatter(shape), frame, *stored, shape.pixels, "AREA", sdr=shape.sdr)
    filters = orientation.filters
    if size != (shape.width, shape.height):
        filters += (f"crop={shape.width}:{shape.height}:0:0",)
    if filters:
        graph = _graph(*stored, shape.pixels, filters)
        made.pts = None
        graph.push(made)
        made = cast("VideoFrame", graph.pull())
    made.pict_type = PictureType.NONE  # the encoder chooses its own key frames
    return made


@lru_cache(maxsize=2)
def _reformatter(shape: ClipShape) -> VideoReformatter:
    """A converter for each shape: it keeps its tables while nothing changes."""
    from av.video.reformatter import VideoReformatter

    return VideoReformatter()


@lru_cache(maxsize=2)
def _graph(width: int, height: int, pixels: str, filters: tuple[str, ...]) -> Graph:
    """A chain of filters that returns one frame per frame; created again where a stream changes its size."""
    from av.filter import Graph
    from av.video.format import VideoFormat

    graph = Graph()
    steps = [graph.add_buffer(width=width, height=height, format=VideoFormat(pixels), time_base=Fraction(1, 1000))]
    for name in filters:
        filter_name, _, arguments = name.partition("=")
        steps.append(graph.add(filter_name, arguments or None))
    steps.append(graph.add("buffersink"))
    for before, after in pairwise(steps):
        before.link_to(after)
    graph.configure()
    return graph
