"""How a picture of any size becomes the frame that a model wants, be it a decoded one or one that is asked with."""

from __future__ import annotations

from dataclasses import dataclass

from vsearch.models.base import FrameSize


@dataclass(frozen=True, slots=True)
class Fitting:
    """Scale the source to (width, height), then cut out the FrameSize at (left, top)."""

    width: int
    height: int
    left: int = 0
    top: int = 0


def fit_frame(source_width: int, source_height: int, size: FrameSize) -> Fitting:
    """How a picture of that size, in pixels as shown, becomes a frame of `size`."""
    if size.fit == "squash":
        return Fitting(size.width, size.height)
    scale = max(size.width / source_width, size.height / source_height)
    width = max(size.width, round(source_width * scale))
    height = max(size.height, round(source_height * scale))
    return Fitting(width, height, (width - size.width) // 2, (height - size.height) // 2)
