"""Late interaction: re-ranking that compares the query with every frame of a scene, without learned parameters.

Recall compares the query with one embedding per scene, where a moment of few frames is averaged away. Here the frames
of a scene are weighted by softmax(s / T), where s are their inner products with the query, then summed, scaled to unit
length and compared with the query (query-scoring, Bain et al. 2022). T = inf is mean pooling; T -> 0 is the best frame.

A scene of one frame scores its inner product, so the scores keep the scale of recall and can be mixed with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Vectors


def late_scores(query: Vectors, scenes: Sequence[Vectors], *, temperature: float = 0.1) -> NDArray[np.float32]:
    """Scores float32 [S], higher is closer, of one query [D] and S scenes of frames [T_s, D], T_s >= 1.

    All are unit vectors, float32 or float16. The lengths T_s may differ; nothing is padded. Raises ValueError for a
    scene without frames or a temperature that is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    if not scenes:
        return np.empty(0, dtype=np.float32)
    lengths = np.array([len(frames) for frames in scenes])
    if not lengths.all():
        raise ValueError(f"scene {int(np.argmin(lengths))} has no frames")
    frames = np.concatenate(scenes).astype(np.float32, copy=False)  # [sum T_s, D]
    scores = frames @ query.astype(np.float32, copy=False)  # [sum T_s]
    starts = np.cumsum(lengths) - lengths  # [S]: first frame of each scene
    # Scores relative to the best of their scene: no exponential overflows.
    best = np.repeat(np.maximum.reduceat(scores, starts), lengths)  # [sum T_s]
    weights = np.exp((scores - best) / np.float32(temperature))  # [sum T_s]
    along = np.add.reduceat(weights * scores, starts)  # [S]: inner product of the query and the weighted sum of frames
    # One product per scene: reduceat over rows of D numbers takes forty times as long.
    sums = np.stack([weights[a:b] @ frames[a:b] for a, b in zip(starts, starts + lengths, strict=True)])  # [S, D]
    return _float32(along / np.maximum(np.linalg.norm(sums, axis=1), 1e-12))


def mix_scores(itc: NDArray[np.float32], late: NDArray[np.float32], weight: float = 0.5) -> NDArray[np.float32]:
    """Scores [S] between those of recall [S] (weight 0) and those of late interaction [S] (weight 1)."""
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must be from 0 to 1, not {weight}")
    return _float32(itc + weight * (late - itc))


def _float32(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    return scores.astype(np.float32)
