"""Ranks, recall and accuracy, for the evaluation and for training.

A rank counts from 1. Ties count against the query: its target is placed after every other item with the same score.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import InputError

CUTOFFS = (1, 5, 10)
"""The k of R@k that is reported."""


def ranks(similarity: NDArray[Any], target: NDArray[np.int64]) -> NDArray[np.int64]:
    """similarity [Q, G], target [Q] column numbers -> the rank of each query's target, int64 [Q].

    -inf leaves an item out of a query's ranking. Raises InputError for other shapes, NaN or infinite targets.
    """
    if similarity.ndim != 2 or similarity.size == 0:
        raise InputError(f"a similarity matrix is [queries, gallery] and not empty, not of shape {similarity.shape}")
    if not np.issubdtype(similarity.dtype, np.floating):
        raise InputError(f"a similarity matrix holds floating point numbers, not {similarity.dtype}")
    if target.shape != similarity.shape[:1] or target.min() < 0 or target.max() >= similarity.shape[1]:
        raise InputError(
            f"one right item a query, among {similarity.shape[1]}: {target.shape = }, {similarity.shape = }"
        )
    result = np.empty(len(target), dtype=np.int64)
    rows = max(1, 2**24 // similarity.shape[1])  # bounds the temporary comparison to 16 MiB
    for start in range(0, len(target), rows):
        part = similarity[start : start + rows]
        score = np.take_along_axis(part, target[start : start + rows, None], axis=1)
        if np.isnan(part).any() or not np.isfinite(score).all():
            raise InputError("the similarity matrix holds NaN or infinite scores, which have no rank")
        result[start : start + rows] = (part >= score).sum(axis=1)
    return result


def recall_at(ranks: NDArray[np.int64], k: int) -> float:
    """Percent of ranks [Q] that are at most k."""
    return float((ranks <= k).mean() * 100)


def median_rank(ranks: NDArray[np.int64]) -> float:
    """Median of ranks [Q]."""
    return float(np.median(ranks))


def summarize(ranks: NDArray[np.int64]) -> dict[str, float]:
    """R@1, R@5, R@10 (percent), MdR and MnR (median and mean rank) of ranks [Q]."""
    recalls = {f"R@{k}": recall_at(ranks, k) for k in CUTOFFS}
    return {**recalls, "MdR": median_rank(ranks), "MnR": float(ranks.mean())}


def accuracy(scores: NDArray[Any], truth: NDArray[np.int64]) -> float:
    """scores [N, C] -> percent of rows whose best column is the true one, truth [N]."""
    return float((scores.argmax(1) == truth).mean() * 100)


def in_line(metrics: Mapping[str, float]) -> str:
    """All metrics on one line, for a log."""
    return "  ".join(f"{name} {value:.1f}" for name, value in metrics.items())
