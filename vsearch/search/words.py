"""Passages by their words and by their meaning, as one list: exact words win, meaning finds what they miss.

Both are recalled apart (library/texts.py, library/passages.py). A passage that both found is one hit. What a hit is
worth is a noisy or of two doubts: that the words stand there by coincidence, and that the vectors are near by chance.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vsearch.library import PassageHit

DOUBT = 3.0
"""Passages that were expected by chance count so many times: words of a query are not independent of one another."""
EVEN, STEP = 0.38, 0.005
"""A cosine that is as likely to be an answer as not where the best picture scores as is usual for the right one, and
how fast that changes."""
SWAY, FARTHEST = 0.05, 1.5
"""How much higher that cosine is for each standard deviation by which the best picture scores more than usual, and
lower where it scores less: a query that no picture answers was probably said. Never further than FARTHEST of them.
Chosen with eval/fusion.py so that queries in other words are answered while captions keep their pictures."""
UNKNOWN = 0.8
"""Standard deviations that are assumed of a model that does not know what its scores mean: somewhat in favour of
pictures."""
NEAR = 0.03
"""How much further off than the nearest passage another one may be to be meant, too."""
UNLIKE, ALIKE = 0.2, 0.7
"""Cosines: below, passages have nothing to do with the query; from there on they say the same."""
MEANING = 0.9
"""What meaning alone is worth at most: less than words that are no coincidence, which are worth WORDS."""
WORDS = 0.95


def told(hit: PassageHit) -> float:
    """[0, 1]: how sure it is that a passage holds these words for a reason; 0 where coincidence is as likely."""
    return max(0.0, 2 / (1 + DOUBT * hit.chance) - 1) if hit.score > 0 else 0.0


def meant(hit: PassageHit, nearest: float, shown: float = UNKNOWN) -> float:
    """[0, 1]: how sure it is that a passage means the query. nearest: the highest cosine of the query's passages; what
    lies further off than NEAR is not meant. shown: by how many standard deviations the best picture scores more than is
    usual for the right one."""
    even = EVEN + SWAY * min(FARTHEST, max(-FARTHEST, shown))
    if hit.similarity < max(nearest - NEAR, even - 5 * STEP):
        return 0.0
    return 1 / (1 + math.exp((even - hit.similarity) / STEP))


def meaning(hit: PassageHit) -> float:
    """[0, MEANING]: how near a passage is in meaning."""
    return MEANING * min(1.0, max(0.0, (hit.similarity - UNLIKE) / (ALIKE - UNLIKE)))


def strength(hit: PassageHit) -> float:
    """[0, 1]: what a hit among words is worth; 1 where the whole query is there."""
    words = max(hit.score / 2, told(hit) * (WORDS + (1 - WORDS) * hit.score)) if hit.score < 1 else 1.0
    return 1 - (1 - words) * (1 - meaning(hit))


def join_words(said: Sequence[PassageHit], meant: Sequence[PassageHit]) -> list[PassageHit]:
    """Hits by words and hits by meaning, best first: those of one passage become one, with the words' own times."""
    by_words, by_meaning = _Overlaps(said), _Overlaps(meant)
    joined = [
        replace(hit, similarity=max((other.similarity for other in by_meaning.of(hit)), default=0.0)) for hit in said
    ]
    joined += [other for other in meant if next(by_words.of(other), None) is None]
    return sorted(joined, key=lambda hit: -strength(hit))  # stable: of equals, words first


class _Overlaps:
    """Finds the passages that share time with another one, without a look at all of them."""

    def __init__(self, hits: Sequence[PassageHit]) -> None:
        self._hits: dict[tuple[int, str], list[PassageHit]] = {}
        for hit in sorted(hits, key=lambda hit: hit.start):
            self._hits.setdefault((hit.video_id, hit.channel), []).append(hit)
        self._longest = {key: max(hit.end - hit.start for hit in group) for key, group in self._hits.items()}

    def of(self, one: PassageHit) -> Iterator[PassageHit]:
        """Passages of the same video and channel that share time with `one`, by start."""
        key = (one.video_id, one.channel)
        group = self._hits.get(key, [])
        first = bisect_left(group, one.start - self._longest.get(key, 0.0), key=lambda hit: hit.start)
        for hit in islice(group, first, None):
            if hit.start >= one.end:
                return
            if hit.end > one.start:
                yield hit
