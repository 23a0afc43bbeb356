"""A decoded picture as an encoder wants it: turned as a player turns it, of an even size, 8 bit 4:2:0."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from av.filter.graph import Graph
    from av.video.frame import VideoFrame

_TURNS = {90: ("transpose=clock",), 180: ("hflip", "vflip"), 270: ("transpose=cclock",)}


@dataclass(frozen=True, slots=True)
class Shape:
    """What every picture of a clip becomes."""

    width: int
    height: int
    scaled: bool
    """False: an odd size loses its last row or column, and nothing is blurred."""
    aspect: Fraction
    """Width of a pixel over its height."""


def shape_of(frame: VideoFrame, pixel: Fraction, most: int) -> Shape:
    """The shape of a clip by its first picture. pixel: width over height of one, before the picture is turned. most:
    pixels of the longer side, as a player shows it; 0: no limit."""
    width, height = frame.width, frame.height
    if _turned(frame) in (90, 270):
        width, height, pixel = height, width, 1 / pixel
    if not most:
        return Shape(max(2, width // 2 * 2), max(2, height // 2 * 2), width < 2 or height < 2, pixel)
    shown_width, shown_height = float(width * pixel), float(height)
    scale = min(1.0, most / max(shown_width, shown_height))
    even = [max(2, round(side * scale / 2) * 2) for side in (shown_width, shown_height)]
    cropped = pixel == 1 and scale == 1 and width >= 2 and height >= 2
    if cropped:
        even = [width // 2 * 2, height // 2 * 2]
    return Shape(even[0], even[1], not cropped, Fraction(1))


def _turned(frame: VideoFrame) -> int:
    """Degrees clockwise; FFmpeg counts counterclockwise."""
    return round(-frame.rotation / 90) * 90 % 360


def encoder_picture(frame: VideoFrame, shape: Shape) -> VideoFrame:
    """yuv420p of that shape."""
    from av.video.frame import PictureType

    graph = _graph(frame.width, frame.height, frame.format.name, _turned(frame), shape)
    frame.pts = None
    graph.push(frame)
    made = cast("VideoFrame", graph.pull())
    made.pict_type = PictureType.NONE  # the encoder chooses its own key frames
    return made


@lru_cache(maxsize=2)
def _graph(width: int, height: int, pixels: str, turned: int, shape: Shape) -> Graph:
    """A chain of filters that gives one picture for one; it is made anew where a stream changes its size."""
    from av.filter import Graph
    from av.video.format import VideoFormat

    graph = Graph()
    steps = [graph.add_buffer(width=width, height=height, format=VideoFormat(pixels), time_base=Fraction(1, 1000))]
    names = list(_TURNS.get(turned, ()))
    side = (height, width) if turned in (90, 270) else (width, height)
    if shape.scaled or (side[0] // 2 * 2, side[1] // 2 * 2) != (shape.width, shape.height):
        names.append(f"scale={shape.width}:{shape.height}:flags=area")
    elif side != (shape.width, shape.height):
        names.append(f"crop={shape.width}:{shape.height}:0:0")
    names.append("format=yuv420p")
    for name in names:
        filter_name, _, arguments = name.partition("=")
        steps.append(graph.add(filter_name, arguments or None))
    steps.append(graph.add("buffersink"))
    for before, after in pairwise(steps):
        before.link_to(after)
    graph.configure()
    return graph
