"""How a picture of any size becomes the frame that a model wants, be it a decoded one or one that is asked with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vsearch.media import Pixels
from vsearch.models.protocols import FrameSize


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
    # Rounded as torchvision does it, and open_clip where the frame is no square.
    if size.width == size.height:
        short = min(source_width, source_height)
        width, height = (int(size.width * side / short) for side in (source_width, source_height))
    else:
        ratio = min(source_width / size.width, source_height / size.height)
        width, height = max(size.width, round(source_width / ratio)), max(size.height, round(source_height / ratio))
    return Fitting(width, height, round((width - size.width) / 2), round((height - size.height) / 2))


def scale_picture(pixels: Pixels, size: FrameSize, fitting: Fitting | None = None) -> Pixels:
    """[H, W, 3] of any size to a frame of `size`, with Pillow. fitting: where the pixels are not squares."""
    from PIL import Image

    fitting = fitting or fit_frame(pixels.shape[1], pixels.shape[0], size)
    filters = {
        "area": Image.Resampling.BOX,
        "bicubic": Image.Resampling.BICUBIC,
        "bilinear": Image.Resampling.BILINEAR,
    }
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    scaled = np.asarray(picture.resize((fitting.width, fitting.height), filters[size.filter]), dtype=np.uint8)
    return np.ascontiguousarray(
        scaled[fitting.top : fitting.top + size.height, fitting.left : fitting.left + size.width]
    )
