"""Search for quoted phrases: passages that contain every phrase of a query word for word.

A phrase occurs in one segment, or continues into the segments that follow. Several phrases must occur within the
proximity window of one another. FTS5 finds the segments that contain a phrase by its stems, and those that start with
the rest of one; the words are compared here. A segment is part of one hit at most. The score says which of the terms
outside the quotations occur, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from vsearch.library.column_tables import SegmentTable, timeline
from vsearch.library.folding import match_phrase
from vsearch.library.ids import Ids, ascending
from vsearch.library.matches import (
    StoredSegment,
    TermMatcher,
    matches_start,
    phrase_matches,
    read_segments,
    read_tokens,
    scene_at,
)
from vsearch.library.query_terms import contains_phrase
from vsearch.library.rows import PassageHit
from vsearch.library.text_ranking import SCORING, ScoredPassage, TextSearch


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """A phrase, by its number, and the segments that contain it, in time order."""

    phrase: int
    segments: tuple[StoredSegment, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(segment.id for segment in self.segments)

    @property
    def order(self) -> tuple[int, str, float, int, int]:
        """Sorts by video, channel and time."""
        first = self.segments[0]
        return first.video_id, first.segment.channel, first.segment.start, first.id, self.phrase


def phrase_hits(search: TextSearch) -> Iterator[PassageHit]:
    """Yield the passages that contain every phrase, best first."""
    phrases = search.query.phrases
    if len(phrases) > 1:
        passages = {_ids(occurrences): occurrences for occurrences in _joint_occurrences(search)}
        ranked = iter(sorted(_scored(search, passages), key=_rank))
    else:
        passages = {across.ids: [across] for across in _across_segments(search, 0)}
        ranked = heapq.merge(_single_segments(search), sorted(_scored(search, passages), key=_rank), key=_rank)
    matcher = TermMatcher(search.query.unquoted)
    for passage in ranked:
        occurrences = passages.get(passage.ids)
        if occurrences is None:
            segments = read_segments(search.connection, passage.ids)
            if not segments or not contains_phrase(segments[0].tokens, phrases[0]):
                continue
            occurrences = [_Occurrence(0, tuple(segments))]
        hit = _hit(search, matcher, passage, occurrences)
        if hit is not None:
            yield hit


def _rank(passage: ScoredPassage) -> float:
    return -round(passage.score, 9)


def _ids(occurrences: Iterable[_Occurrence]) -> tuple[int, ...]:
    """Ids of the segments of occurrences, in time order, without repetition."""
    starts = {part.id: part.segment.start for occurrence in occurrences for part in occurrence.segments}
    return tuple(sorted(starts, key=lambda segment_id: (starts[segment_id], segment_id)))


def _hit(
    search: TextSearch, matcher: TermMatcher, passage: ScoredPassage, occurrences: Sequence[_Occurrence]
) -> PassageHit | None:
    segments = read_segments(search.connection, passage.ids)
    number = {segment.id: i for i, segment in enumerate(segments)}
    matches = [
        (number[occurrence.segments[i].id], first, last)
        for occurrence in occurrences
        for i, first, last in phrase_matches(search.query.phrases[occurrence.phrase], occurrence.segments)
    ]
    start = matches_start(segments, matches)
    scene = scene_at(search.connection, segments[0].video_id, start)
    if scene is None or not search.admits(scene):
        return None
    matcher.add(segments)
    expected = search.expect_value(reduce(or_, passage.masks), search.query.phrases)
    return search.hit(segments, matches + matcher.matches(segments), start, scene, passage.score, expected)


# -- scores


def _single_segments(search: TextSearch) -> Iterator[ScoredPassage]:
    """Yield the segments that contain the only phrase by its stems, best first."""
    segments = _stem_matches(search, 0)
    masks = search.masks(segments.ids)
    scores = _scores(search, segments.ids, segments.ids, masks)
    index = np.arange(len(segments.ids))
    for i in search.rank(scores, segments, index, index + 1):
        yield ScoredPassage(float(scores[i]), (int(segments.ids[i]),), (int(masks[i]),))


def _stem_matches(search: TextSearch, phrase: int) -> SegmentTable:
    """The segments in allowed scenes that contain a phrase by its stems."""
    ids = search.tables.postings(match_phrase(search.query.phrases[phrase]))
    return search.in_allowed_scenes(search.segments(ids))


def _scored(search: TextSearch, passages: Iterable[tuple[int, ...]]) -> list[ScoredPassage]:
    """Score passages, given as ids of segments."""
    parts = list(passages)
    if not parts:
        return []
    ids = ascending(*(np.array(part, dtype=np.int64) for part in parts))
    mask_of = dict(zip(ids.tolist(), search.masks(ids).tolist(), strict=True))
    masks = [tuple(mask_of[segment_id] for segment_id in part) for part in parts]
    together = np.array([reduce(or_, part) for part in masks], dtype=np.uint64)
    first, last = np.array([part[0] for part in parts]), np.array([part[-1] for part in parts])
    scores = _scores(search, first, last, together).tolist()
    return [ScoredPassage(*scored) for scored in zip(scores, parts, masks, strict=True)]


def _scores(search: TextSearch, first: Ids, last: Ids, masks: NDArray[np.uint64]) -> NDArray[np.float64]:
    """(0, 1]: 1 if every unquoted term occurs in the passage; less if a term occurs only near it, or not at all.

    first, last: the first and last segment of each passage. masks: the terms of each passage.
    """
    unquoted, weights = search.query.unquoted, search.weights
    if not unquoted or len(first) == 0:
        return np.ones(len(first))
    quoted = sum(search.run_information(phrase) for phrase in search.query.phrases)
    scores = np.full(len(first), quoted)
    segments = search.segments(ascending(*(search.postings[term] for term in unquoted), first, last))
    axis = timeline(segments)
    order = np.argsort(axis, kind="stable")
    nearby = search.masks(segments.ids)[order]
    earliest = axis[np.searchsorted(segments.ids, first)] - SCORING.window
    begins = np.searchsorted(axis[order], earliest, side="right")
    ends = np.searchsorted(axis[order], axis[np.searchsorted(segments.ids, last)] + SCORING.window)
    for bit, term in enumerate(search.query.terms):
        if term in unquoted:
            counts = np.append(0, np.cumsum((nearby >> np.uint64(bit)) & np.uint64(1)))
            inside = ((masks >> np.uint64(bit)) & np.uint64(1)).astype(bool)
            near = np.where(counts[ends] > counts[begins], SCORING.spread_weight, 0.0)
            scores += weights[term] * np.where(inside, 1.0, near)
    scores /= quoted + sum(weights[term] for term in unquoted)
    return scores


# -- phrases that continue into the next segments


def _across_segments(search: TextSearch, phrase: int) -> list[_Occurrence]:
    """Where a phrase starts in one segment and ends in another, in time order. None of the segments contains the whole
    phrase. Of occurrences that share a segment, the first is returned."""
    words = search.query.phrases[phrase]
    occurrences: dict[tuple[int, ...], _Occurrence] = {}
    for split in range(1, len(words)):
        before = search.tables.postings(match_phrase(words[split - 1 : split]))
        ids, previous = _starting_with(search, words[split:])
        if len(before) == 0:
            continue
        matching = before[np.minimum(np.searchsorted(before, previous), len(before) - 1)] == previous
        tokens = read_tokens(search.connection, previous[matching].tolist())
        for last, earlier in zip(ids[matching].tolist(), previous[matching].tolist(), strict=True):
            if tokens.get(earlier, [""])[-1:] != [words[split - 1]]:
                continue
            segments = _backwards(search, last, words, split)
            if segments and not any(contains_phrase(segment.tokens, words) for segment in segments):
                occurrence = _Occurrence(phrase, tuple(segments))
                if _starts_in_allowed_scene(search, occurrence):
                    occurrences[occurrence.ids] = occurrence
    used: set[int] = set()
    apart = []
    for occurrence in sorted(occurrences.values(), key=lambda one: (one.order, len(one.segments))):
        if used.isdisjoint(occurrence.ids):
            used.update(occurrence.ids)
            apart.append(occurrence)
    return apart


_PREVIOUS = (
    "(SELECT p.id FROM segments p WHERE p.video_id = segments.video_id AND p.channel = segments.channel "
    "AND (p.start_seconds, p.id) < (segments.start_seconds, segments.id) "
    "ORDER BY p.start_seconds DESC, p.id DESC LIMIT 1)"
)


def _starting_with(search: TextSearch, words: Sequence[str]) -> tuple[Ids, Ids]:
    """Ids of the segments that start with these words, by their stems, and of the segment before each."""
    rows = search.connection.execute(
        f"SELECT segments.id, {_PREVIOUS} FROM segment_words JOIN segments ON segments.id = segment_words.rowid "
        "WHERE segment_words MATCH ? AND segments.channel = COALESCE(?, segments.channel)",
        (f"^ {match_phrase(words)}", search.channel),
    ).fetchall()
    pairs = np.array([row for row in rows if row[1] is not None], dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _backwards(search: TextSearch, last: int, words: Sequence[str], split: int) -> list[StoredSegment]:
    """The consecutive segments that contain a phrase, of which the last starts with words[split:]; empty if none do."""
    segments = read_segments(search.connection, [last])
    rest = list(words[:split])
    if not segments or list(segments[0].tokens[: len(words) - split]) != list(words[split:]):
        return []
    while rest:
        (previous,) = search.connection.execute(
            f"SELECT {_PREVIOUS} FROM segments WHERE id = ?", (segments[0].id,)
        ).fetchone()
        if previous is None:
            return []
        (stored,) = read_segments(search.connection, [previous])
        size = min(len(stored.tokens), len(rest))
        ending = list(stored.tokens[len(stored.tokens) - size :])
        gap = segments[0].segment.start - stored.segment.end
        if size == 0 or ending != rest[len(rest) - size :] or gap > SCORING.window:
            return []
        rest = rest[: len(rest) - size]
        segments.insert(0, stored)
    return segments


def _starts_in_allowed_scene(search: TextSearch, occurrence: _Occurrence) -> bool:
    if search.allowed is None:
        return True
    segments = occurrence.segments
    start = matches_start(segments, phrase_matches(search.query.phrases[occurrence.phrase], segments))
    return search.admits(scene_at(search.connection, segments[0].video_id, start))


# -- several phrases


def _joint_occurrences(search: TextSearch) -> Iterator[list[_Occurrence]]:
    """Yield occurrences of every phrase within the window, as close together as possible. None shares a segment with
    another group."""
    numbers = range(len(search.query.phrases))
    single = [_stem_matches(search, number) for number in numbers]
    across = [_across_segments(search, number) for number in numbers]
    if not all(len(table.ids) or others for table, others in zip(single, across, strict=True)):
        return
    across_ids = [[i for occurrence in others for i in occurrence.ids] for others in across]
    segments = search.segments(
        ascending(*(table.ids for table in single), *(np.array(ids, dtype=np.int64) for ids in across_ids))
    )
    axis = timeline(segments)

    def times(ids: Ids) -> NDArray[np.float64]:
        return axis[np.searchsorted(segments.ids, ids)]

    rarest = min(numbers, key=lambda number: len(single[number].ids) + len(across[number]))
    anchors = np.sort(times(np.append(single[rarest].ids, np.array(across_ids[rarest], dtype=np.int64))))
    occurrences: list[_Occurrence] = []
    for number in numbers:
        phrase, ids = search.query.phrases[number], single[number].ids
        starts = times(ids)
        before = np.searchsorted(anchors, starts - SCORING.window, side="right")
        near = ids[np.searchsorted(anchors, starts + SCORING.window) > before]
        tokens = read_tokens(search.connection, near.tolist())
        matching = [segment_id for segment_id, words in tokens.items() if contains_phrase(words, phrase)]
        alone = [_Occurrence(number, (stored,)) for stored in read_segments(search.connection, matching)]
        occurrences += [occurrence for occurrence in alone if _starts_in_allowed_scene(search, occurrence)]
        occurrences += across[number]
    occurrences.sort(key=lambda occurrence: occurrence.order)
    yield from _covers(occurrences, len(numbers))


def _covers(occurrences: Sequence[_Occurrence], count: int) -> Iterator[list[_Occurrence]]:
    """Yield groups of occurrences, which are in order, that contain each of `count` phrases within the window."""
    used: set[int] = set()
    i = 0
    while i < len(occurrences):
        first = occurrences[i]
        chosen: dict[int, _Occurrence] = {}
        last, end = i, first.order[2] + SCORING.window
        for last, occurrence in enumerate(occurrences[i:], start=i):  # noqa: B007
            if occurrence.order[:2] != first.order[:2] or occurrence.order[2] >= end:
                break
            if occurrence.segments[-1].segment.start < end and used.isdisjoint(occurrence.ids):
                chosen[occurrence.phrase] = occurrence  # the last one of a phrase is the nearest to the others
            if len(chosen) == count:
                break
        if len(chosen) == count:
            used.update(_ids(chosen.values()))
            yield list(chosen.values())
            i = last + 1
        else:
            i += 1
