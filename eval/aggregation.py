"""Frame vectors of a video to the vectors that a text is compared with: training-free ways that fit any model.

The three of "A straightforward framework for video retrieval using CLIP" (Portillo-Quintero et al. 2021), and the
model's own. A video is [C, D]: one vector, or several centres of which the closest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from eval.metrics import Scores
from vsearch.errors import ModelError
from vsearch.media import Vectors
from vsearch.models.pooling import mean_pool, unit
from vsearch.models.protocols import VideoEncoder

Aggregation = Literal["model", "single", "mean", "kmeans"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)
CENTRES = 3


def aggregate(how: Aggregation, model: VideoEncoder, videos: Sequence[Vectors]) -> list[Vectors]:
    """V videos of frame vectors [T_v, F] in time order to V arrays [C_v, D] of unit vectors."""
    if how == "model":
        return list(model.aggregate(videos)[:, None, :])
    if any(video.shape[1] != model.space.dim for video in videos):
        raise ModelError(
            f"model {model.space.model} keeps frame vectors that texts cannot be compared with: use --aggregation model"
        )
    if how == "single":
        return [unit(video[len(video) // 2][None]) for video in videos]
    if how == "mean":
        return list(mean_pool(videos, model.space.dim)[:, None, :])
    return [kmeans(unit(video), min(CENTRES, len(video))) for video in videos]


def similarity(texts: Vectors, videos: Sequence[Vectors]) -> Scores:
    """Texts [Q, D] against videos [C_v, D]: [Q, V], the score of the closest centre."""
    starts = np.cumsum([0, *(len(video) for video in videos)])[:-1]
    every = texts @ np.concatenate(videos).T  # [Q, sum C_v]
    return np.asarray(np.maximum.reduceat(every, starts, axis=1), dtype=np.float32)


def kmeans(vectors: Vectors, centres: int, steps: int = 20) -> Vectors:
    """Spherical k-means of unit vectors [T, D] to at most `centres` unit vectors.

    Starts from the first vector and then from the one farthest from all chosen (Gonzalez 1985), so it needs no seed.
    """
    chosen = [0]
    while len(chosen) < centres:
        nearest = (vectors @ vectors[chosen].T).max(axis=1)
        farthest = int(nearest.argmin())
        if nearest[farthest] > 1 - 1e-6:  # only copies are left
            break
        chosen.append(farthest)
    means = vectors[chosen]
    for _ in range(steps):
        owner = (vectors @ means.T).argmax(axis=1)
        # A centre that lost all its vectors stays where it was.
        moved = np.stack(
            [vectors[owner == i].mean(axis=0) if (owner == i).any() else means[i] for i in range(len(means))]
        )
        moved = unit(moved)
        if np.allclose(moved, means):
            break
        means = moved
    return means
