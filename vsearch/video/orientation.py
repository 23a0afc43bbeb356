"""How a player lays out a stored picture: its orientation, one of eight, and the shape of its pixels.

The display matrix of a file maps a stored pixel (x, y) to (a x + c y, b x + d y), shifted. Players apply the nearest of
the eight matrices that map a rectangle to an upright one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import numpy as np

from vsearch.media import Pixels

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

MOST_STRETCHED = 10
"""Pixels that are more than ten times as wide as they are high, or as high as wide, are taken for squares: no camera
has them, and a picture that was stretched so far would not fit into memory."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """What is done to a stored picture, in this order."""

    transposed: bool = False
    """Rows become columns."""
    flip_x: bool = False
    """Left and right are swapped."""
    flip_y: bool = False
    """Top and bottom are swapped."""

    @property
    def mirrored(self) -> bool:
        """Whether a reflection is needed besides a rotation."""
        return self.transposed ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Degrees clockwise: 0, 90, 180 or 270. A mirrored picture is mirrored left to right before it is rotated."""
        return (90 if self.flip_y == self.mirrored else 270) if self.transposed else (180 if self.flip_y else 0)

    @property
    def filters(self) -> tuple[str, ...]:
        """FFmpeg's filters that do what this orientation does."""
        steps = ("transpose=cclock_flip", self.transposed), ("hflip", self.flip_x), ("vflip", self.flip_y)
        return tuple(name for name, wanted in steps if wanted)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a picture after it; it is its own inverse."""
        return (height, width) if self.transposed else (width, height)

    def apply(self, picture: Pixels) -> Pixels:
        """[H, W, C] as stored to [H', W', C] as shown; a view."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


def orientation_of(frame: VideoFrame) -> Orientation:
    """By the display matrix that the container or the codec gave to a decoded frame."""
    matrix = cast("SideData | None", frame.side_data.get("DISPLAYMATRIX"))
    if matrix is None:
        return Orientation()
    values = np.frombuffer(bytes(matrix), np.int32)
    return orientation_by(*(int(value) for value in values[[0, 1, 3, 4]])) if values.size == 9 else Orientation()


def orientation_by(a: int, b: int, c: int, d: int) -> Orientation:
    """The orientation nearest to a display matrix."""
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, flip_x=c < 0, flip_y=b < 0)
    return Orientation(False, flip_x=a < 0, flip_y=d < 0)


def pixel_aspect(ratio: Fraction | None) -> Fraction:
    """Width over height of a stored pixel by what a container says; 1 where that is nothing or cannot be meant."""
    if not ratio or not Fraction(1, MOST_STRETCHED) <= ratio <= MOST_STRETCHED:
        return Fraction(1)
    return ratio


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Width and height of a picture whose pixels become squares. It is enlarged, so that no detail is lost."""
    if aspect >= 1:
        return max(1, round(width * aspect)), height
    return width, max(1, round(height / aspect))
