"""The numbers that decide between recipes: retrieval ranks and zero-shot accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def retrieval(similarity: NDArray[np.float32]) -> dict[str, float]:
    """similarity [Q, V], the match of query i is column i -> R@1, R@5, R@10 (percent), MdR, MnR.

    One rank a query; a tie counts against the query.
    """
    own = np.diagonal(similarity)[:, None]
    ranks = (similarity >= own).sum(1)
    found = {f"R@{k}": float((ranks <= k).mean() * 100) for k in (1, 5, 10)}
    return {**found, "MdR": float(np.median(ranks)), "MnR": float(ranks.mean())}


def top1(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """scores [N, C] -> percent of rows whose best column is the truth."""
    return float((scores.argmax(1) == truth).mean() * 100)


def in_line(metrics: Mapping[str, float]) -> str:
    """All metrics on one line, for a log."""
    return "  ".join(f"{name} {value:.1f}" for name, value in metrics.items())
