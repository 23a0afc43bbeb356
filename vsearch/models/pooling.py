"""Frame vectors to a scene vector without any trained part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vsearch.media import Vectors


def unit(vectors: Vectors) -> Vectors:
    """Rows [..., D] scaled to length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return scaled


def mean_pool(frame_vectors: Sequence[Vectors], dim: int) -> Vectors:
    """meanP of CLIP4Clip: unit frames [T_s, D] -> mean over time -> unit [S, D]. Every scene has at least one frame."""
    if not frame_vectors:
        return np.empty((0, dim), dtype=np.float32)
    return unit(np.stack([unit(frames).mean(axis=0) for frames in frame_vectors]))
