"""A reference implementation of full-text search in plain Python that scans every segment."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from vsearch.library.query_terms import STOP_WORDS, longest_common_run
from vsearch.library.text_ranking import SCORING
from vsearch.media import Segment


@dataclass(frozen=True)
class Told:
    """A segment of a video. Its words are separated by spaces, and only those in STEMS are stemmed."""

    video: int
    number: int
    line: Segment
    scene: int

    @property
    def words(self) -> list[str]:
        return self.line.text.split()


@dataclass(frozen=True)
class Expected:
    """A passage: the numbers of its segments, and its score."""

    video: int
    channel: str
    numbers: tuple[int, ...]
    score: float


STEMS = {"running": "run", "runs": "run"}


def stem(word: str) -> str:
    return STEMS.get(word, word)


def weights(terms: Sequence[str], lines: Sequence[Told]) -> dict[str, float]:
    held = {term: sum(term in map(stem, told.words) for told in lines) for term in map(stem, terms)}
    return {term: math.log((len(lines) + SCORING.prior_segments + 0.5) / (count + 0.5)) for term, count in held.items()}


def talks(lines: Sequence[Told], channel: str | None) -> Iterator[list[Told]]:
    """Yield the segments of each transcript, in time order."""
    for video in sorted({told.video for told in lines}):
        for one in ("speech", "ocr"):
            if channel in (None, one):
                of_one = [told for told in lines if told.video == video and told.line.channel == one]
                yield sorted(of_one, key=lambda told: (told.line.start, told.number))


def by_words(
    query: Sequence[str], lines: Sequence[Told], channel: str | None, allowed: Collection[int] | None
) -> list[Expected]:
    """Passages that contain terms of a query without quotations, best first."""
    terms = list(dict.fromkeys(word for word in query if word not in STOP_WORDS))
    weight = weights(terms, lines)
    stems = set(map(stem, terms))
    found = []
    for talk in talks(lines, channel):
        matched = [t for t in talk if stems & set(map(stem, t.words)) and (allowed is None or t.scene in allowed)]
        while matched:
            group = [told for told in matched if told.line.start < matched[0].line.start + SCORING.window]
            matched = matched[len(group) :]
            held = [{term for term in terms if stem(term) in map(stem, told.words)} for told in group]
            together = sum(weight[stem(term)] for term in set[str]().union(*held))
            best = max(sum(weight[stem(term)] for term in one) for one in held)
            share = (best * (1 - SCORING.spread_weight) + together * SCORING.spread_weight) / sum(
                weight[stem(term)] for term in terms
            )
            run = _run(query, terms, group)
            found.append(_expected(group, max(share, run / len(query))))
    return sorted(found, key=lambda one: -one.score)


def _run(query: Sequence[str], terms: Sequence[str], group: Sequence[Told]) -> int:
    threes = [tuple(query[at : at + 3]) for at in range(len(query) - 2)]
    threes = [three for three in threes if set(three) & set(terms)]
    words = [word for told in group for word in told.words]
    if any(tuple(words[at : at + 3]) in threes for at in range(len(words) - 2)):
        return len(longest_common_run(words, query))
    return 0


def _expected(group: Sequence[Told], score: float) -> Expected:
    return Expected(
        group[0].video, group[0].line.channel, tuple(told.number for told in group), min(1.0, round(score, 6))
    )


def by_phrase(
    phrase: Sequence[str],
    beside: Sequence[str],
    lines: Sequence[Told],
    channel: str | None,
    allowed: Collection[int] | None,
) -> list[Expected]:
    """Passages that contain a quotation in one segment or across consecutive segments, best first."""
    weight = weights([*phrase, *beside], lines)
    found = []
    for talk in talks(lines, channel):
        for group in _holding(talk, phrase, allowed):
            near = [
                told
                for told in talk
                if group[0].line.start - SCORING.window < told.line.start < group[-1].line.start + SCORING.window
            ]
            found.append(_expected(group, _beside([phrase], beside, group, near, weight)))
    return sorted(found, key=lambda one: -one.score)


def _beside(
    phrases: Sequence[Sequence[str]],
    beside: Sequence[str],
    group: Sequence[Told],
    near: Sequence[Told],
    weight: Mapping[str, float],
) -> float:
    if not beside:
        return 1.0
    quoted = sum(
        SCORING.stop_word_nats if word in STOP_WORDS else weight[stem(word)] for phrase in phrases for word in phrase
    )
    here = {stem(word) for told in group for word in told.words}
    there = {stem(word) for told in near for word in told.words}
    extra = sum(
        weight[stem(w)] * (1 if stem(w) in here else SCORING.spread_weight if stem(w) in there else 0) for w in beside
    )
    return (quoted + extra) / (quoted + sum(weight[stem(word)] for word in beside))


def _within(words: Sequence[str], phrase: Sequence[str]) -> bool:
    return any(list(words[at : at + len(phrase)]) == list(phrase) for at in range(len(words)))


def _holding(talk: list[Told], phrase: Sequence[str], allowed: Collection[int] | None) -> list[list[Told]]:
    alone = [told for told in talk if _within(told.words, phrase)]
    found = [[told] for told in alone if allowed is None or told.scene in allowed]
    used: set[int] = set()
    for first in range(len(talk)):
        for last in range(first + 1, min(len(talk), first + len(phrase))):
            row = talk[first : last + 1]
            apart = any(b.line.start - a.line.end > SCORING.window for a, b in pairwise(row))
            if apart or any(told in alone for told in row) or used & {told.number for told in row}:
                continue
            words = [word for told in row for word in told.words]
            # The phrase starts in the first segment and ends in the last.
            if any(
                words[at : at + len(phrase)] == list(phrase)
                and at < len(row[0].words)
                and at + len(phrase) > len(words) - len(row[-1].words)
                for at in range(len(words))
            ) and (allowed is None or row[0].scene in allowed):
                used |= {told.number for told in row}
                found.append(row)
    return found


def by_phrases(
    phrases: Sequence[Sequence[str]], lines: Sequence[Told], channel: str | None, allowed: Collection[int] | None
) -> set[tuple[int, str]]:
    """(video, channel) with all quotations within the proximity window of one another."""
    found = set()
    for talk in talks(lines, channel):
        places = [_holding(talk, phrase, allowed) for phrase in phrases]
        starts = [place[0].line.start for of_one in places for place in of_one]
        for start in starts:
            if all(
                any(place[0].line.start >= start and place[-1].line.start < start + SCORING.window for place in of_one)
                for of_one in places
            ):
                found.add((talk[0].video, talk[0].line.channel))
    return found
