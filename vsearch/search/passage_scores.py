"""How much a passage says for its scene: from full-text search, how unlikely the match is a coincidence; from semantic
search, how similar the passage is to the query.

Each is recalled separately (library/fulltext.py, library/semantic_search.py). A passage that both found becomes one
candidate here. Its score is a noisy-or of the two.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vsearch.library import PassageHit


@dataclass(frozen=True, slots=True)
class PassageScoring:
    """Constants of passage scoring. All were tuned with eval/fusion.py on the validation split, so that queries in
    other words find their passages while captions keep finding scenes; docs/experiments.md has the tables."""

    chance_factor: float = 3.0
    """The words of a query are not independent: passages expected by chance count this many times."""
    even_cosine: float = 0.38
    """The cosine at which a passage is as likely an answer as not, if the best scene scores as usual for a match."""
    cosine_step: float = 0.005
    """The scale of the logistic function around `even_cosine`."""
    visual_sway: float = 0.05
    """How much `even_cosine` rises for each standard deviation by which the best scene scores above the usual score of
    a match, and falls below it: a query that no scene matches was probably spoken."""
    largest_deviation: float = 1.5
    """Standard deviations beyond which `visual_sway` has no further effect."""
    assumed_deviation: float = 0.8
    """Standard deviations assumed for a model whose usual score is not known: slightly in favour of scenes."""
    cosine_margin: float = 0.03
    """How far below the most similar passage another one may be to count as an answer, too."""
    unrelated_cosine: float = 0.2
    """Up to this cosine a passage is unrelated to the query."""
    equal_cosine: float = 0.7
    """From this cosine on a passage says the same as the query."""
    semantic_limit: float = 0.9
    """The largest score by similarity alone: below that of words that are no coincidence."""
    text_limit: float = 0.95
    """The score of words that are no coincidence but only a small part of the query."""
    second_place: float = 0.98
    """The score, relative to the best scene, of a passage that contains the whole query but may be a coincidence."""
    second_place_cosine: float = 0.36
    """The cosine from which the most similar passages get `second_place`, too."""


SCORING = PassageScoring()


def text_confidence(hit: PassageHit) -> float:
    """[0, 1]: how sure it is that a passage contains the words of the query for a reason; 0: likely a coincidence."""
    return max(0.0, 2 / (1 + SCORING.chance_factor * hit.expect_value) - 1) if hit.score > 0 else 0.0


def semantic_confidence(hit: PassageHit, nearest: float, deviation: float = SCORING.assumed_deviation) -> float:
    """[0, 1]: how sure it is that a passage means what the query says.

    nearest: the highest cosine of the passages of this query. deviation: by how many standard deviations the best scene
    scores above what is usual for a match.
    """
    limit = SCORING.largest_deviation
    even = SCORING.even_cosine + SCORING.visual_sway * min(limit, max(-limit, deviation))
    if hit.similarity < max(nearest - SCORING.cosine_margin, even - 5 * SCORING.cosine_step):
        return 0.0
    return 1 / (1 + math.exp((even - hit.similarity) / SCORING.cosine_step))


def semantic_score(hit: PassageHit) -> float:
    """[0, semantic_limit]: how similar a passage is to the query."""
    low, high = SCORING.unrelated_cosine, SCORING.equal_cosine
    return SCORING.semantic_limit * min(1.0, max(0.0, (hit.similarity - low) / (high - low)))


def passage_score(hit: PassageHit) -> float:
    """[0, 1]: what passages are ranked by; 1: the passage contains the whole query."""
    text = 1.0
    if hit.score < 1:
        limit = SCORING.text_limit
        text = max(hit.score / 2, text_confidence(hit) * (limit + (1 - limit) * hit.score))
    return 1 - (1 - text) * (1 - semantic_score(hit))


def join_passages(by_text: Sequence[PassageHit], by_meaning: Sequence[PassageHit]) -> list[PassageHit]:
    """Passages of full-text and of semantic search as one list, best first. Where both found a passage, it keeps the
    times and matches of full-text search."""
    text_overlaps, meaning_overlaps = _Overlaps(by_text), _Overlaps(by_meaning)
    joined = [
        replace(hit, similarity=max((other.similarity for other in meaning_overlaps.of(hit)), default=0.0))
        for hit in by_text
    ]
    joined += [hit for hit in by_meaning if next(text_overlaps.of(hit), None) is None]
    return sorted(joined, key=lambda hit: -passage_score(hit))  # stable: of equal scores, full-text search first


class _Overlaps:
    """Finds passages that overlap another one in time, by bisection."""

    def __init__(self, hits: Sequence[PassageHit]) -> None:
        self._hits: dict[tuple[int, str], list[PassageHit]] = {}
        for hit in sorted(hits, key=lambda hit: hit.start):
            self._hits.setdefault((hit.video_id, hit.channel), []).append(hit)
        self._longest = {key: max(hit.end - hit.start for hit in group) for key, group in self._hits.items()}

    def of(self, passage: PassageHit) -> Iterator[PassageHit]:
        """Passages of the same video and channel that overlap `passage`, by start."""
        key = (passage.video_id, passage.channel)
        group = self._hits.get(key, [])
        first = bisect_left(group, passage.start - self._longest.get(key, 0.0), key=lambda hit: hit.start)
        for hit in islice(group, first, None):
            if hit.start >= passage.end:
                return
            if hit.end > passage.start:
                yield hit
