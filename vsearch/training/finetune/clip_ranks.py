"""Retrieval metrics of clips and captions in both directions, before and after training.

A query has one rank, that of its best match. A sentence that several clips have as a caption matches each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Vectors
from vsearch.metrics import ranks, summarize
from vsearch.training.finetune.clip_frames import CaptionedClip


def normalized(text: str) -> str:
    """A sentence in the form in which sentences are compared."""
    return " ".join(text.lower().split())


def distinct_captions(clips: Sequence[CaptionedClip]) -> list[str]:
    """Every different caption, in the order of the clips."""
    captions: dict[str, str] = {}
    for clip in clips:
        for text in clip.captions:
            captions.setdefault(normalized(text), text)
    return list(captions.values())


def matches(texts: Sequence[str], clips: Sequence[CaptionedClip]) -> NDArray[np.bool_]:
    """[Q, V]: whether a clip has that caption."""
    captions = [{normalized(text) for text in clip.captions} for clip in clips]
    return np.array([[normalized(text) in known for known in captions] for text in texts])


@dataclass(frozen=True, slots=True)
class RankSummary:
    """Retrieval metrics of one direction."""

    queries: int
    gallery: int
    metrics: dict[str, float]
    """R@1, R@5, R@10 (percent), MdR, MnR."""
    reciprocal: float
    """Mean reciprocal rank, 0 to 1, by which early stopping compares checks."""


def score(similarity: Vectors, right: NDArray[np.bool_]) -> RankSummary:
    """similarity [Q, V], right [Q, V] with a match in every row."""
    best = np.where(right, similarity, -np.inf).argmax(1)
    others = right.copy()
    others[np.arange(len(best)), best] = False
    result = ranks(np.where(others, -np.inf, similarity), best)  # a query's other matches do not compete
    return RankSummary(len(result), similarity.shape[1], summarize(result), float((1 / result).mean()))


@dataclass(frozen=True, slots=True)
class ClipRanks:
    """Retrieval metrics in both directions."""

    text_to_video: RankSummary
    video_to_text: RankSummary

    @property
    def reciprocal(self) -> float:
        """Mean reciprocal rank of both directions, rounded: sums in another order are no gain."""
        return round((self.text_to_video.reciprocal + self.video_to_text.reciprocal) / 2, 6)


def rank_both_ways(texts: Vectors, videos: Vectors, right: NDArray[np.bool_]) -> ClipRanks:
    """Unit vectors texts [Q, D] and videos [V, D]; right [Q, V]."""
    similarity = texts @ videos.T
    return ClipRanks(score(similarity, right), score(similarity.T, right.T))
