"""The figures of the table before and after training: captions against clips of the validation split, both ways.

One rank a query: that of its best match. A tie counts against the query. A sentence that is said of several clips is
right for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Vectors
from vsearch.training.own.gather import Clip


def plain(text: str) -> str:
    """How a sentence is compared with another."""
    return " ".join(text.lower().split())


def sentences(clips: Sequence[Clip]) -> list[str]:
    """Every different caption, in the order of the clips."""
    found: dict[str, str] = {}
    for clip in clips:
        for text in clip.captions:
            found.setdefault(plain(text), text)
    return list(found.values())


def matches(texts: Sequence[str], clips: Sequence[Clip]) -> NDArray[np.bool_]:
    """[Q, V]: whether a clip has that caption."""
    own = [{plain(text) for text in clip.captions} for clip in clips]
    return np.array([[plain(text) in captions for captions in own] for text in texts])


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one direction."""

    queries: int
    gallery: int
    recall: tuple[float, float, float]
    """Percent of queries with a match among the first 1, 5 and 10."""
    median: float
    mean: float
    reciprocal: float
    """Mean reciprocal rank, 0 to 1: what early stopping looks at."""


def score(similarity: Vectors, right: NDArray[np.bool_]) -> Scores:
    """similarity [Q, V], right [Q, V] with a match in every row."""
    best = np.where(right, similarity, -np.inf).max(1, keepdims=True)
    ranks = 1 + ((similarity >= best) & ~right).sum(1)
    first, fifth, tenth = (float((ranks <= k).mean() * 100) for k in (1, 5, 10))
    return Scores(
        queries=len(ranks),
        gallery=similarity.shape[1],
        recall=(first, fifth, tenth),
        median=float(np.median(ranks)),
        mean=float(ranks.mean()),
        reciprocal=float((1 / ranks).mean()),
    )


@dataclass(frozen=True, slots=True)
class BothWays:
    text_to_video: Scores
    video_to_text: Scores

    @property
    def merit(self) -> float:
        """Mean reciprocal rank of both directions."""
        return (self.text_to_video.reciprocal + self.video_to_text.reciprocal) / 2


def both_ways(texts: Vectors, videos: Vectors, right: NDArray[np.bool_]) -> BothWays:
    """Unit vectors texts [Q, D] and videos [V, D]; right [Q, V]."""
    similarity = texts @ videos.T
    return BothWays(score(similarity, right), score(similarity.T, right.T))
