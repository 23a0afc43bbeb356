"""Recall by inner product, then re-ranking of the best: the sum of both scores, as BLIP does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from eval.metrics import Scores
from vsearch.errors import InputError

Rerank = Literal["none", "late", "itm"]
RERANKS: tuple[Rerank, ...] = get_args(Rerank)
RECALL = 128
"""BLIP's k_test."""


def rerank(scores: Scores, match: Callable[[int, int], float], recall: int = RECALL) -> Scores:
    """The `recall` best items of each row get their score plus `match(row, item)`; the others keep their order behind.

    scores [Q, N] to [Q, N].
    """
    if recall < 1:
        raise InputError(f"at least one item must be recalled: {recall = }")
    count = min(recall, scores.shape[1])
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    result = np.empty_like(scores)
    for row, items in enumerate(best):
        matched = scores[row, items] + np.array([match(row, int(item)) for item in items], dtype=np.float32)
        result[row] = scores[row] - (scores[row].max() - matched.min() + 1)
        result[row, items] = matched
    return result
