"""Where in a scene, or in a run of neighbouring scenes, a description holds: from frame scores to one span."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Seconds


def best_span(
    scores: NDArray[np.floating], times: Seconds, within: tuple[float, float], *, baseline: float | None = None
) -> tuple[float, float]:
    """The contiguous span [start, end) in seconds whose frames stand out most.

    scores [T] and times [T] (seconds, rising) belong to the frames sampled in `within` = [start, end); T >= 1. Each
    frame stands for the time up to half-way to its neighbours, the first and the last up to the edges of `within`.
    The span maximises the integral of score - baseline (maximum-sum subarray, Kadane 1984); of equal spans the
    longest wins, then the earliest. It always holds at least one frame, not always the best one: a long moment
    outweighs a single frame.

    baseline: the score at which a frame begins to speak for the moment. By default half-way between the lowest and
    the highest score here; where all are equal, that is everything. Give the score of unrelated frames, where it is
    known: a scene that matches from end to end is then kept whole.

    Raises ValueError where shapes, order or bounds do not fit.
    """
    if scores.ndim != 1 or scores.shape != times.shape or len(scores) == 0:
        raise ValueError(f"one score a time, at least one: {scores.shape = }, {times.shape = }")
    if not (np.isfinite(scores).all() and np.isfinite(times).all()):
        raise ValueError("scores and times must be finite")
    start, end = within
    if (np.diff(times) <= 0).any() or not (start <= times[0] and times[-1] <= end and start < end):
        raise ValueError(f"times must rise and lie in [{start}, {end}]: {times}")
    edges = np.concatenate([[start], (times[1:] + times[:-1]) / 2, [end]])  # [T + 1]
    if baseline is None:
        baseline = (float(scores.min()) + float(scores.max())) / 2
    gains = (scores.astype(np.float64) - baseline) * np.diff(edges)  # [T]
    first, last = _best_run(gains)
    return float(edges[first]), float(edges[last + 1])


def _best_run(gains: NDArray[np.float64]) -> tuple[int, int]:
    """First and last index of the non-empty run with the largest sum; of equals the longest, then the earliest."""
    best = (-np.inf, 0)  # sum, length
    run = (0, 0)
    total, first = 0.0, 0
    for last, gain in enumerate(gains.tolist()):
        # A run that is worth nothing is kept: it makes the span longer at no loss.
        if last == 0 or total < 0:
            total, first = gain, last
        else:
            total += gain
        if (total, last - first + 1) > best:
            best, run = (total, last - first + 1), (first, last)
    return run
