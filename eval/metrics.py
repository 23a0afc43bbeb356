"""Figures of an evaluation: ranks of videos as queries, and bootstrap intervals. Ranks and R@k are in vsearch.metrics.

Ties are pessimistic everywhere: the right item ranks after every wrong item with the same score. A matrix of equal
scores therefore ranks everything last. Widely copied code counts one rank for each tied item instead, so that a
constant 4x4 matrix yields 16 ranks and a perfect R@1.

Identical captions are one text: where a video is the query, a caption of another video with the same words as one of
its own is neither right nor wrong, and is left out of that query's ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import InputError
from vsearch.metrics import CUTOFFS, recall_at

TIE_RULE = "pessimistic: the right item is placed after every wrong item that scores as high"
METRICS = ("R@1", "R@5", "R@10", "MdR", "MnR")

Scores = NDArray[np.float32]
Ranks = NDArray[np.int64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its bootstrap 95% interval."""

    value: float
    low: float
    high: float


def check_scores(scores: NDArray[Any]) -> None:
    """Raise InputError unless `scores` is a finite, non-empty matrix of real numbers."""
    if scores.ndim != 2 or scores.size == 0:
        raise InputError(f"a similarity matrix is [texts, videos] and not empty, this one has shape {scores.shape}")
    if not np.issubdtype(scores.dtype, np.floating):
        raise InputError(f"a similarity matrix holds floating point numbers, this one {scores.dtype}")
    if not np.isfinite(scores).all():
        raise InputError("the similarity matrix holds NaN or infinite scores, which have no rank")


def video_to_text_ranks(scores: Scores, video_of: Indices, texts: Sequence[str] | None = None) -> Ranks:
    """Every video is a query; the captions of a video are one item with the score of the best.

    scores [V, C] (rows are videos), video_of [C] the row of each caption's video, at least one for each row. With
    `texts` [C], captions of other videos that equal one of the query's own are left out. Ranks [V]. For one caption a
    video this is the rank in the transposed matrix; for several it is CLIP4Clip's multi-sentence rule.
    """
    check_scores(scores)
    videos = scores.shape[0]
    if video_of.shape != scores.shape[1:] or set(np.unique(video_of)) != set(range(videos)):
        raise InputError(f"every video has a caption and every caption a video: {scores.shape = }, {video_of.shape = }")
    order = np.argsort(video_of, kind="stable")
    starts = np.searchsorted(video_of[order], np.arange(videos))
    elsewhere = _same_text_elsewhere(texts, video_of) if texts is not None else {}
    ranks = np.empty(videos, dtype=np.int64)
    for video in range(videos):
        row = scores[video]
        if video in elsewhere:
            row = row.copy()
            row[elsewhere[video]] = -np.inf
        best = np.maximum.reduceat(row[order], starts)  # [V]
        ranks[video] = (best >= best[video]).sum()
    return ranks


def _same_text_elsewhere(texts: Sequence[str], video_of: Indices) -> dict[int, Indices]:
    """For each video, captions of other videos with the same text as one of its own; only videos that have some."""
    holders: dict[str, list[int]] = {}
    for caption, text in enumerate(texts):
        holders.setdefault(text, []).append(caption)
    found: dict[int, set[int]] = {}
    for captions in holders.values():
        owners = {int(video_of[c]) for c in captions}
        if len(owners) > 1:
            for owner in owners:
                found.setdefault(owner, set()).update(c for c in captions if video_of[c] != owner)
    return {video: np.array(sorted(captions), dtype=np.int64) for video, captions in found.items()}


def figures(
    ranks: Ranks, groups: Indices | None = None, *, replicates: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """R@1, R@5, R@10 (percent), MdR and MnR of `ranks` [Q], each with a bootstrap 95% interval.

    `groups` [Q] numbers what is drawn again: the captions of one video are not independent, so whole videos are drawn.
    None draws single queries. The percentile bootstrap (Efron 1979), the same for the same seed.
    """
    if len(ranks) == 0:
        raise InputError("there is no query to rank")
    order = np.argsort(ranks, kind="stable")
    ordered = ranks[order]
    plain = _weighted_figures(ordered, np.ones(len(ranks), dtype=np.int64))
    samples = np.array(
        [_weighted_figures(ordered, w[order]) for w in _draws(len(ranks), groups, replicates, seed)]
    )  # [replicates, 5]
    low, high = np.percentile(samples, (2.5, 97.5), axis=0)
    return {
        name: Estimate(float(v), float(a), float(b)) for name, v, a, b in zip(METRICS, plain, low, high, strict=True)
    }


def retrieval_figures(ranks: NDArray[Any]) -> dict[str, float]:
    """R@1 and R@5 in percent, and the mean reciprocal rank; zeros without ranks. inf: the item is not found."""
    if len(ranks) == 0:
        return {"R@1": 0.0, "R@5": 0.0, "MRR": 0.0}
    return {"R@1": recall_at(ranks, 1), "R@5": recall_at(ranks, 5), "MRR": float((1 / ranks).mean())}


def mean_estimate(
    values: NDArray[np.float64], groups: Indices | None = None, *, replicates: int = 1000, seed: int = 0
) -> Estimate:
    """Mean of `values` [N] with a bootstrap 95% interval; `groups` as in `figures`."""
    if len(values) == 0:
        raise InputError("there is nothing to average")
    samples = [float(np.average(values, weights=w)) for w in _draws(len(values), groups, replicates, seed)]
    low, high = np.percentile(samples, (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high))


def _draws(count: int, groups: Indices | None, replicates: int, seed: int) -> Iterator[Indices]:
    """For each replicate how often each of `count` queries is drawn."""
    random = np.random.default_rng(seed)
    names, number = np.unique(np.arange(count) if groups is None else groups, return_inverse=True)
    for _ in range(replicates):
        yield np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))[number]


def _weighted_figures(ordered: Ranks, weights: Indices) -> tuple[float, ...]:
    """METRICS of ascending ranks of which rank i counts weights[i] times."""
    drawn = np.cumsum(weights)
    total = int(drawn[-1])
    recalls = []
    for cutoff in CUTOFFS:
        within = int(np.searchsorted(ordered, cutoff, side="right"))
        recalls.append(100.0 * (int(drawn[within - 1]) if within else 0) / total)
    lower, upper = np.searchsorted(drawn, ((total - 1) // 2, total // 2), side="right")
    return (*recalls, (int(ordered[lower]) + int(ordered[upper])) / 2, float(weights @ ordered) / total)


def as_json(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """{"R@1": 48.0, ..., "ci95": {"R@1": [44.9, 51.0], ...}}, one decimal as papers print them."""
    return {
        **{name: round(e.value, 1) for name, e in estimates.items()},
        "ci95": {name: [round(e.low, 1), round(e.high, 1)] for name, e in estimates.items()},
    }
