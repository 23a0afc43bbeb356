"""Recall by inner product, then re-ranking of the best, both directions, with the product's own arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eval.metrics import Scores
from vsearch.errors import InputError
from vsearch.media import Vectors
from vsearch.models.protocols import Model, Reranker
from vsearch.search.query import RECALL, RERANKS, Rerank
from vsearch.search.rerank import behind, itm_rerank, late_rerank

__all__ = ["RECALL", "RERANKS", "Rerank", "rerank", "rerank_both"]

Rescore = Callable[[int, list[int], Scores], Scores]
"""(row, M items, their scores [M]) -> scores to rank those items by, [M]."""


def rerank(scores: Scores, rescore: Rescore, recall: int = RECALL) -> Scores:
    """The `recall` best items of each row by what `rescore` says; the others keep their order behind.

    scores [Q, N] to [Q, N].
    """
    if recall < 1:
        raise InputError(f"at least one item must be recalled: {recall = }")
    count = min(recall, scores.shape[1])
    result = np.empty_like(scores)
    for row, plain in enumerate(scores):
        best = np.argpartition(-plain, count - 1)[:count]
        rest = np.setdiff1d(np.arange(len(plain)), best)
        result[row, best] = rescore(row, best.tolist(), plain[best])
        result[row, rest] = behind(plain[rest], float(result[row, best].min()))
    return result


def rerank_both(
    model: Model,
    how: Rerank,
    texts: Sequence[str],
    vectors: Vectors,
    frames: Sequence[Vectors],
    t2v: Scores,
    recall: int,
) -> tuple[Scores, Scores]:
    """C texts with their vectors [C, D], V videos of frames [T_v, F], scores [C, V] -> t2v [C, V] and v2t [V, C]."""
    if how == "none":
        return t2v, t2v.T
    if how == "late":

        def match(text: int, videos: list[int], itc: Scores) -> Scores:
            return late_rerank(vectors[text], itc, [frames[video] for video in videos])[0]
    else:
        assert isinstance(model, Reranker)
        reranker = model
        words = [reranker.read_query(text)[1] for text in texts]

        def match(text: int, videos: list[int], itc: Scores) -> Scores:
            return itm_rerank(reranker, words[text], itc, [frames[video] for video in videos])[0]

    def match_texts(video: int, captions: list[int], itc: Scores) -> Scores:
        return np.concatenate([match(text, [video], itc[at : at + 1]) for at, text in enumerate(captions)])

    return rerank(t2v, match, recall), rerank(t2v.T, match_texts, recall)
