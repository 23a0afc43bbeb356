"""Post-processing of a whole test: figures made with it are labelled and never mixed with plain ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics import Scores, check_scores
from vsearch.errors import InputError

DSL_SCALE = 100.0
"""Sharpness of the softmax over cosines: CLIP's largest logit scale."""
QB_NORM_BETA = 20.0


def dsl(scores: Scores, scale: float = DSL_SCALE) -> Scores:
    """Dual softmax (CAMoE, 2021): each score times its share among all queries for the same item.

    scores [Q, N], rows are queries; needs every query of the test at once, so no search engine can do it.
    """
    check_scores(scores)
    return (scores * _softmax(scores * np.float32(scale), axis=0)).astype(np.float32)


def qb_norm(scores: Scores, bank: Scores, beta: float = QB_NORM_BETA) -> Scores:
    """Querybank normalisation with the dynamic inverted softmax (Bogolin et al. 2022).

    scores [Q, N] of the test, bank [B, N] of other queries against the same items. A hub is an item that comes first
    for some query of the bank. A test query that a hub answers gets exp(beta s) / sum over the bank of
    exp(beta s_bank), item by item; every other query keeps its scores.
    """
    check_scores(scores)
    check_scores(bank)
    if bank.shape[1] != scores.shape[1]:
        raise InputError(f"the bank must rank the same items: {bank.shape = }, {scores.shape = }")
    hubs = np.unique(bank.argmax(axis=1))
    # One shift for both sides cancels in the quotient and keeps exp within range.
    peak = bank.max(axis=0)
    weight = np.log(np.exp(beta * (bank - peak)).sum(axis=0)) + beta * peak  # log of the bank's sum, [N]
    normalised = np.exp(np.clip(beta * scores - weight, -80, 80))
    answered_by_hub = np.isin(scores.argmax(axis=1), hubs)
    return np.where(answered_by_hub[:, None], normalised, scores).astype(np.float32)


def _softmax(logits: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), dtype=np.float32)
