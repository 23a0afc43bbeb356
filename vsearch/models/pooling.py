"""Mean pooling: aggregation without learned parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vsearch.media import Vectors


def unit(vectors: Vectors) -> Vectors:
    """Scale rows float32 [..., D] to length 1; rows of zeros stay zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return scaled


def mean_pool(frame_vectors: Sequence[Vectors], dim: int) -> Vectors:
    """S scenes float32 [T_s, D], T_s >= 1 -> mean of unit frames, float32 [S, D], unit length (CLIP4Clip's meanP)."""
    if not frame_vectors:
        return np.empty((0, dim), dtype=np.float32)
    return unit(np.stack([unit(frames).mean(axis=0) for frames in frame_vectors]))
