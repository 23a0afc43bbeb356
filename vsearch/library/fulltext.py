"""Full-text search: passages of the segments that contain terms of the query (FTS5, porter stemming), best first.

Every matching segment is scored, with array operations, before any limit: the order does not depend on how many hits
are requested, and filters come first. Rows are read only for the hits that are returned. text_ranking.py has the
scores, phrase_search.py the search for quotations.

No text of a query is interpreted by FTS5: terms are passed as quoted strings of letters, digits and marks.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cache, reduce
from itertools import islice
from operator import or_

import numpy as np
from numpy.typing import NDArray

from vsearch.library.column_tables import ColumnTables, SegmentTable, positions, timeline
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
from vsearch.library.phrase_search import phrase_hits
from vsearch.library.query_terms import TextQuery, contains_trigram, longest_common_run, parse_query
from vsearch.library.reader import Reader
from vsearch.library.rows import PassageHit
from vsearch.library.text_ranking import SCORING, Masks, ScoredPassage, TextSearch

_BATCH = 100
"""Passages whose segments are read together."""

ExpectValue = Callable[[int, tuple[Sequence[str], ...]], float]


def search_text(
    reader: Reader, tables: ColumnTables, text: str, k: int, allowed: Ids | None, channel: str | None
) -> list[PassageHit]:
    """See `Store.search_text`."""
    query = parse_query(text)
    if not query.terms or (allowed is not None and len(allowed) == 0):
        return []
    with reader.transaction() as connection:
        (total,) = connection.execute("SELECT COUNT(*) FROM segment_words_docsize").fetchone()
        scenes = None if allowed is None else ascending(allowed)
        search = TextSearch(connection, tables, query, total, scenes, channel)
        return list(islice(phrase_hits(search) if query.phrases else _term_hits(search), k))


def _term_hits(search: TextSearch) -> Iterator[PassageHit]:
    """Yield the passages that contain terms of a query without quotations, best first."""
    matcher = TermMatcher(search.query.terms)
    segments = search.in_allowed_scenes(search.segments(ascending(*search.postings.values())))
    segments = _spoken_in_allowed_scenes(search, matcher, segments)
    if len(segments.ids) == 0:
        return
    order = np.lexsort((segments.ids, segments.starts, segments.ocr, segments.videos))
    masks = search.masks(segments.ids)[order]
    segments = segments[order]
    firsts = _windows(timeline(segments))
    ends = np.append(firsts[1:], len(masks))
    scores = search.term_shares(masks, firsts)
    for i, share in _run_shares(search, segments, firsts, ends, masks, scores):
        scores[i] = max(scores[i], share)

    def passage(i: int) -> ScoredPassage:
        part = slice(firsts[i], ends[i])
        return ScoredPassage(float(scores[i]), tuple(segments.ids[part].tolist()), tuple(masks[part].tolist()))

    expect_value = cache(search.expect_value)  # many passages contain the same terms
    stored: dict[int, StoredSegment] = {}
    smaller: list[tuple[float, tuple[int, ...], ScoredPassage]] = []  # a heap of passages without their first segments

    def build(passage: ScoredPassage) -> Iterator[PassageHit]:
        parts = [stored[segment_id] for segment_id in passage.ids if segment_id in stored]
        result = _hit(search, matcher, passage, parts, expect_value)
        if isinstance(result, ScoredPassage):
            heapq.heappush(smaller, (-result.score, result.ids, result))
        elif result is not None:
            yield result

    passages = map(passage, search.rank(scores, segments, firsts, ends))
    while batch := list(islice(passages, _BATCH)):
        read = read_segments(search.connection, [segment_id for passage in batch for segment_id in passage.ids])
        matcher.add(read)
        stored.update((segment.id, segment) for segment in read)
        for next_passage in batch:
            while smaller and -smaller[0][0] > next_passage.score:
                yield from build(heapq.heappop(smaller)[-1])
            yield from build(next_passage)
    while smaller:
        yield from build(heapq.heappop(smaller)[-1])


def _spoken_in_allowed_scenes(search: TextSearch, matcher: TermMatcher, segments: SegmentTable) -> SegmentTable:
    """Of segments that overlap allowed scenes, those that start there or whose first match is spoken there. If too many
    start earlier, all are kept; `_hit` checks them again."""
    if search.allowed is None or len(segments.ids) == 0:
        return segments
    scenes = search.tables.scenes().at(segments.videos, segments.starts)
    inside = search.allowed[np.minimum(np.searchsorted(search.allowed, scenes), len(search.allowed) - 1)] == scenes
    late = segments.ids[~inside].tolist()
    if len(late) > SCORING.late_segments:
        return segments
    timed = [stored for stored in read_segments(search.connection, late) if stored.segment.words]
    matcher.add(timed)
    for stored in timed:
        start = matches_start([stored], matcher.matches([stored]))
        if search.admits(scene_at(search.connection, stored.video_id, start)):
            inside[np.searchsorted(segments.ids, stored.id)] = True
    return segments[inside]


def _windows(axis: NDArray[np.float64]) -> Ids:
    """The index of the first segment of each passage: the segments that start within the window after its first."""
    firsts, i, seconds = [], 0, axis.tolist()
    while i < len(seconds):
        firsts.append(i)
        i = bisect_left(seconds, seconds[i] + SCORING.window, i)
    return np.array(firsts, dtype=np.int64)


def _run_shares(
    search: TextSearch, segments: SegmentTable, firsts: Ids, ends: Ids, masks: Masks, scores: NDArray[np.float64]
) -> Iterator[tuple[int, float]]:
    """Yield the passages that contain a run of the query, and what share of the query the longest run is."""
    trigrams = sorted(search.query.trigrams)
    if not trigrams:
        return
    whole = search.tables.postings(" OR ".join(match_phrase(trigram) for trigram in trigrams))
    # A run may start in the segment before.
    endings = dict.fromkeys(trigram[i:] for trigram in trigrams for i in (1, 2))
    continued = search.tables.postings(" OR ".join(f"^ {match_phrase(ending)}" for ending in endings))
    order = np.argsort(segments.ids)
    candidates = np.zeros(len(segments.ids), dtype=bool)
    candidates[order[positions(segments.ids[order], continued)]] = True
    candidates[firsts] = False  # no segment precedes the first of a passage
    candidates[order[positions(segments.ids[order], whole)]] = True
    size = len(search.query.tokens)
    better = _longest_possible_runs(search.query, np.bitwise_or.reduceat(masks, firsts)) > scores * size
    passages = np.flatnonzero(np.logical_or.reduceat(candidates, firsts) & better).tolist()
    passages = sorted(passages, key=lambda i: -scores[i])[: SCORING.runs_read]
    ids = {i: segments.ids[firsts[i] : ends[i]].tolist() for i in passages}
    tokens = read_tokens(search.connection, [segment_id for part in ids.values() for segment_id in part])
    for i, part in ids.items():
        words = [token for segment_id in part for token in tokens.get(segment_id, ())]
        if contains_trigram(words, search.query.trigrams):
            yield i, len(longest_common_run(words, search.query.tokens)) / size


def _longest_possible_runs(query: TextQuery, masks: Masks) -> NDArray[np.int64]:
    """The most consecutive tokens of the query that a passage with these terms can contain."""
    bits = {term: np.uint64(bit) for bit, term in enumerate(query.terms)}
    longest, length = np.zeros(len(masks), dtype=np.int64), np.zeros(len(masks), dtype=np.int64)
    for token in query.tokens:
        length += 1
        if token in bits:
            length[(masks >> bits[token]) & np.uint64(1) == 0] = 0
        longest = np.maximum(longest, length)
    return longest


def _longest_run(search: TextSearch, segments: Sequence[StoredSegment]) -> tuple[str, ...]:
    """The longest run of the query in a passage; empty if it is shorter than three tokens or has only stop words."""
    words = [token for segment in segments for token in segment.tokens]
    return (
        tuple(longest_common_run(words, search.query.tokens)) if contains_trigram(words, search.query.trigrams) else ()
    )


def _hit(
    search: TextSearch,
    matcher: TermMatcher,
    passage: ScoredPassage,
    segments: Sequence[StoredSegment],
    expect_value: ExpectValue,
) -> PassageHit | ScoredPassage | None:
    """A passage as a hit. If it starts outside the allowed scenes: the rest without its first segment, if any."""
    # The hit shows the segments with the most terms: it does not start at a single common word before them.
    counts = [mask.bit_count() for mask in passage.masks]
    kept = [i for i, count in enumerate(counts) if 2 * count >= max(counts)]
    shown = [segments[i] for i in kept]
    matches = matcher.matches(shown)
    run = _longest_run(search, shown)
    start = matches_start(shown, phrase_matches(run, shown) if run else matches)
    scene = scene_at(search.connection, shown[0].video_id, start)
    if scene is None or not search.admits(scene):
        return _without(search, passage, kept[0], segments)
    whole_run = run if len(shown) == len(segments) else _longest_run(search, segments)
    expected = expect_value(reduce(or_, passage.masks), (whole_run,))
    return search.hit(shown, matches, start, scene, passage.score, expected)


def _without(
    search: TextSearch, passage: ScoredPassage, i: int, segments: Sequence[StoredSegment]
) -> ScoredPassage | None:
    """The passage without its segment i, scored again; None if nothing is left."""
    ids, masks = passage.ids[:i] + passage.ids[i + 1 :], passage.masks[:i] + passage.masks[i + 1 :]
    if not ids:
        return None
    share = search.term_shares(np.array(masks, dtype=np.uint64), np.zeros(1, dtype=np.int64))[0]
    run = _longest_run(search, [*segments[:i], *segments[i + 1 :]])
    return ScoredPassage(max(float(share), len(run) / len(search.query.tokens)), ids, masks)
