"""Where one shot ends and the next begins, and how shots become scenes.

The cut detector is PySceneDetect's AdaptiveDetector with its default values (Brandon Castellano, BSD-3-Clause). It is
written in NumPy here because the original needs OpenCV, 150 MB of a base installation for one conversion of colours;
a test compares the two on every colour and frame by frame.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Pixels, Scene

LONGEST_SCENE = 10.0
"""Seconds: a longer shot is cut into equal parts."""

SHORTEST_SCENE = 0.5
"""Seconds: a shorter shot joins its neighbour."""

LEAST_DIFFERENCE = 15.0
"""A cut needs at least this difference to the frame before: the mean over hue (0 to 179), saturation and value (0 to
255)."""

LEAST_RATIO = 3.0
"""A cut needs at least this many times the mean difference of the frames around it."""


class CutDetector:
    """Adaptive content detection, one frame after another.

    A frame begins a shot if its HSV difference to the frame before is at least LEAST_DIFFERENCE, and at least
    LEAST_RATIO times the mean difference of the two frames on either side, so that fast camera movement is no cut.
    """

    latency = 2
    """Frames that must follow before a frame is judged."""

    def __init__(self) -> None:
        self._previous: NDArray[np.float32] | None = None
        self._differences: deque[float] = deque(maxlen=2 * self.latency + 1)

    def push(self, picture: Pixels) -> bool:
        """uint8 BGR [h, w, 3], the next frame. True: the frame `latency` frames before it begins a new shot."""
        current = hue_saturation_value(picture)
        change = 0.0 if self._previous is None else float(np.abs(current - self._previous).mean())
        self._previous = current
        self._differences.append(change)
        if len(self._differences) <= 2 * self.latency:
            return False
        judged = self._differences[self.latency]
        around = (sum(self._differences) - judged) / (2 * self.latency)
        return judged >= LEAST_DIFFERENCE and (around < 1e-5 or judged / around >= LEAST_RATIO)


def hue_saturation_value(picture: Pixels) -> NDArray[np.float32]:
    """uint8 BGR [h, w, 3] as [3, h, w]: hue 0 to 179, saturation and value 0 to 255, rounded as OpenCV rounds them.

    OpenCV multiplies by a reciprocal in 12-bit fixed point. Each product fits the 24 bits of a float32 exactly.
    """
    blue, green, red = np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32)
    value = np.maximum(np.maximum(blue, green), red)
    span = value - np.minimum(np.minimum(blue, green), red)
    # Sums with masks, because np.where is three times as slow on pictures with noise.
    sector = red - green + 4 * span
    sector += (blue - red + 2 * span - sector) * (value == green)
    sector += (green - blue - sector) * (value == red)
    hue = _rounded(sector * np.rint(np.float32(180 * 4096 / 6) / np.maximum(span, 1)))
    hue += 180 * (hue < 0).astype(np.float32)
    saturation = _rounded(span * np.rint(np.float32(255 * 4096) / np.maximum(value, 1)))
    return np.stack((hue, saturation, value))


def _rounded(products: NDArray[np.float32]) -> NDArray[np.float32]:
    """12-bit fixed point to the nearest whole number, halves up."""
    rounded: NDArray[np.float32] = np.floor(products * np.float32(1 / 4096) + np.float32(0.5))
    return rounded


def split_shot(start: float, end: float, longest: float = LONGEST_SCENE) -> list[Scene]:
    """A shot [start, end) as one scene, or as equal parts that tile it, none longer than `longest` seconds."""
    parts = max(1, math.ceil((end - start) / longest - 1e-9))
    edges = [start + (end - start) * i / parts for i in range(parts)] + [end]
    return [Scene(edges[i], edges[i + 1]) for i in range(parts)]
