"""Re-ranking without a trained head: the query meets every frame of a scene, not only the scene's vector.

Recall compares the query with one vector a scene, where a moment of few frames is averaged away. Here the frames'
own inner products are pooled, in numpy alone:

    max         the best frame counts
    softmax     mean of the scores, weighted by their softmax (X-CLIP's attention over similarities, Ma et al. 2022)
    logmeanexp  T log mean exp(s / T): between mean and max, no frame without a say
    attention   frames weighted by softmax(s / T), summed, unit, against the query (Bain et al. 2022, query-scoring);
                T = inf is mean pooling exactly, T -> 0 the best frame

Each gives a scene of one frame its inner product, so scores keep the scale of recall (ITC) and mix with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Vectors

Pool = Literal["max", "softmax", "logmeanexp", "attention"]
POOLS: tuple[Pool, ...] = get_args(Pool)


def late_scores(
    query: Vectors, scenes: Sequence[Vectors], *, pool: Pool = "attention", temperature: float = 0.1
) -> NDArray[np.float32]:
    """One query [D] against S scenes of frames [T_s, D], T_s >= 1, all unit vectors: float32 [S], higher is closer.

    The lengths may differ; nothing is padded. Frames may be float16, as they are stored. Raises ValueError for a scene
    without frames, an unknown pool, or a temperature that is not positive.
    """
    if pool not in POOLS:
        raise ValueError(f"pool must be one of {', '.join(POOLS)}, not {pool!r}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    if not scenes:
        return np.empty(0, dtype=np.float32)
    lengths = np.array([len(frames) for frames in scenes])
    if not lengths.all():
        raise ValueError(f"scene {int(np.argmin(lengths))} has no frames")
    frames = np.concatenate(scenes).astype(np.float32, copy=False)  # [sum T_s, D]
    scores = frames @ query.astype(np.float32, copy=False)  # [sum T_s]
    starts = np.cumsum(lengths) - lengths  # [S]: where each scene begins
    best: NDArray[np.float32] = np.maximum.reduceat(scores, starts)  # [S]
    if pool == "max":
        return best
    # Scores relative to the best of their scene: no exponential overflows.
    weights = np.exp((scores - np.repeat(best, lengths)) / np.float32(temperature))  # [sum T_s]
    total = np.add.reduceat(weights, starts)  # [S], from 1 to T_s
    if pool == "logmeanexp":
        if np.isinf(temperature):
            return _float32(np.add.reduceat(scores, starts) / lengths)
        return _float32(best + temperature * np.log(total / lengths))
    along = np.add.reduceat(weights * scores, starts)  # [S]: the weighted frames' sum along the query
    if pool == "softmax":
        return _float32(along / total)
    # A product a scene: reduceat over rows of D numbers takes forty times as long.
    ends = starts + lengths
    sums = np.stack([weights[a:b] @ frames[a:b] for a, b in zip(starts, ends, strict=True)])  # [S, D]
    return _float32(along / np.maximum(np.linalg.norm(sums, axis=1), 1e-12))


def mix_scores(itc: NDArray[np.float32], late: NDArray[np.float32], weight: float = 0.5) -> NDArray[np.float32]:
    """[S], [S] -> [S]: recall's score moved by `weight` (0 to 1) towards the late one; where they agree, unmoved."""
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must be from 0 to 1, not {weight}")
    return _float32(itc + weight * (late - itc))


def _float32(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    return scores.astype(np.float32)
