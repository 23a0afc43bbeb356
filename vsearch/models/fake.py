"""A deterministic model for tests and examples, which needs no weights.

The embedding of a frame is the share of pixels closest to each of eight colours; that of a sentence counts its colour
words. "red" finds red scenes, "red and blue" finds scenes that are half red and half blue.
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
    """Model of eight dimensions, the colours in the order of COLOURS."""

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
        """Frames uint8 RGB [N, H, W, 3] of any size -> share of each colour, float32 [N, 8], unit length."""
        palette = np.array(list(COLOURS.values()), dtype=np.float32)  # [8, 3]
        distance = np.square(pixels[..., None, :].astype(np.float32) - palette).sum(-1)  # [N, H, W, 8]
        nearest = distance.argmin(-1)  # [N, H, W]
        counts = [(nearest == colour).sum((1, 2)) for colour in range(len(COLOURS))]  # 8 x [N]
        return unit(np.stack(counts, axis=-1).astype(np.float32))

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        return mean_pool(frame_vectors, len(COLOURS))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """N sentences -> float32 [N, 8]; without a colour word, equally close to all colours."""
        rows = np.zeros((len(texts), len(COLOURS)), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            words = re.findall(r"[a-z]+", text.lower())
            row[:] = [words.count(colour) for colour in COLOURS]
            if not row.any():
                row[:] = 1.0
        return unit(rows)

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        return frame_vectors @ text_vector
