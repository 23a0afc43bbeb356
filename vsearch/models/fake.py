"""A model whose vectors can be worked out in the head: it ships, so that tests and examples need no patching.

A frame's vector counts which of eight colours its pixels are nearest to; a sentence's vector counts which colour words
it holds. So "red" finds red scenes, "red and blue" finds those that are half red and half blue.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from vsearch.media import Pixels, Space, Vectors
from vsearch.models.pooling import mean_pool, unit
from vsearch.models.protocols import FrameSize

COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
}


class FakeModel:
    """Eight dimensions, one a colour, in the order of COLOURS."""

    def __init__(self, name: str = "fake", size: int = 32) -> None:
        self._space = Space(model=name, fingerprint=f"fake-colours-1-{name}", dim=len(COLOURS))
        self._frame_size = FrameSize(size, size)

    @property
    def space(self) -> Space:
        return self._space

    @property
    def frame_size(self) -> FrameSize:
        return self._frame_size

    def encode_frames(self, pixels: Pixels) -> Vectors:
        """uint8 RGB [N, H, W, 3] of any size to [N, 8]: the share of each colour, unit length."""
        palette = np.array(list(COLOURS.values()), dtype=np.float32)  # [8, 3]
        distance = np.square(pixels[..., None, :].astype(np.float32) - palette).sum(-1)  # [N, H, W, 8]
        nearest = distance.argmin(-1)  # [N, H, W]
        counts = [(nearest == colour).sum((1, 2)) for colour in range(len(COLOURS))]  # 8 x [N]
        return unit(np.stack(counts, axis=-1).astype(np.float32))

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        return mean_pool(frame_vectors, len(COLOURS))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Colour words to [Q, 8]; a sentence without one lies at the same distance from every colour."""
        rows = np.zeros((len(texts), len(COLOURS)), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            words = re.findall(r"[a-z]+", text.lower())
            row[:] = [words.count(colour) for colour in COLOURS]
            if not row.any():
                row[:] = 1.0
        return unit(rows)

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        return frame_vectors @ text_vector
