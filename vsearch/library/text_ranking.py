"""Score and rank the passages of a full-text search.

The score of a passage is the share of the query's terms that it contains, each weighted by its inverse document
frequency (Spärck Jones 1972), or the share of the query that it contains word for word, if that is higher. Equal scores
are ordered by BM25 (Robertson and Walker 1994). The expect value says whether a match may be a coincidence, as in
sequence search (Karlin and Altschul 1990): three rare words of a long query in one passage are none.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vsearch.library.column_tables import ColumnTables, SegmentTable, positions
from vsearch.library.folding import is_unspaced, match_term
from vsearch.library.ids import Ids
from vsearch.library.matches import Match, StoredSegment
from vsearch.library.query_terms import TextQuery
from vsearch.library.rows import PassageHit


@dataclass(frozen=True, slots=True)
class TextScoring:
    """Constants of full-text search. The first four were tuned with eval/speech.py and eval/fusion.py on validation
    splits (docs/experiments.md); the limits keep queries of common words fast (benchmarks/large_library.py)."""

    window: float = 15.0
    """Proximity window: seconds after the start of a segment within which others belong to its passage."""
    spread_weight: float = 0.5
    """Weight of a term in another segment of the passage, relative to one in the best segment."""
    prior_segments: int = 100
    """Segments without any term that are added to the library's, so that weights are sensible in a small one."""
    stop_word_nats: float = 2.0
    """Information of a stop word in a run: about one word in seven is the one expected."""
    bm25_limit: int = 20_000
    """Postings of the query beyond which BM25 is too slow, and shorter passages come first instead."""
    rare_ties: int = 2_000
    """Most passages of equal score that BM25 orders. More stay in the order of their ids."""
    common_ties: int = 200
    """Most passages of equal score that are ordered by length."""
    runs_read: int = 1_000
    """Passages, best first, whose tokens are read to find runs of the query."""
    late_segments: int = 500
    """Segments that start before an allowed scene and are read, to see whether their matches lie in it."""


SCORING = TextScoring()

Masks = NDArray[np.uint64]
"""The terms that each segment contains: bit i is term i of the query."""


@dataclass(frozen=True, slots=True)
class ScoredPassage:
    """A passage that may become a hit: ids of its segments in time order, with the mask of each."""

    score: float
    ids: tuple[int, ...]
    masks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TextSearch:
    """A full-text query on one state of the catalog."""

    connection: sqlite3.Connection
    tables: ColumnTables
    query: TextQuery
    total: int
    """Segments of the library."""
    allowed: Ids | None
    """Ascending ids of the scenes that may be returned; None for all."""
    channel: str | None

    @cached_property
    def postings(self) -> dict[str, Ids]:
        """Ascending ids of the segments of any channel that contain each term."""
        return {term: self.tables.postings(match_term(term)) for term in self.query.terms}

    @cached_property
    def weights(self) -> dict[str, float]:
        """Inverse document frequency of each term in nats, where a document is a segment."""
        total = self.total + SCORING.prior_segments
        return {term: math.log((total + 0.5) / (len(ids) + 0.5)) for term, ids in self.postings.items()}

    def segments(self, ids: Ids) -> SegmentTable:
        """The segments with these ids that belong to the channel."""
        segments = self.tables.segments(ids)
        return segments if self.channel is None else segments[segments.ocr == (self.channel == "ocr")]

    def admits(self, scene: int | None) -> bool:
        """Whether a scene exists and is allowed."""
        if scene is None or self.allowed is None:
            return scene is not None
        i = int(np.searchsorted(self.allowed, scene))
        return i < len(self.allowed) and int(self.allowed[i]) == scene

    def in_allowed_scenes(self, segments: SegmentTable) -> SegmentTable:
        """The segments that overlap allowed scenes."""
        if self.allowed is None:
            return segments
        scenes = self.tables.scenes()
        first = scenes.at(segments.videos, segments.starts)
        last = scenes.at(segments.videos, np.maximum(segments.starts, segments.ends))
        # The ids of the scenes of a video ascend with time.
        return segments[np.searchsorted(self.allowed, last, side="right") > np.searchsorted(self.allowed, first)]

    def masks(self, ids: Ids) -> Masks:
        """The terms that each segment contains. ids: ascending."""
        masks = np.zeros(len(ids), dtype=np.uint64)
        for bit, posting in enumerate(self.postings.values()):
            masks[positions(ids, posting)] |= np.uint64(1 << bit)
        return masks

    def hit(
        self,
        segments: Sequence[StoredSegment],
        matches: Sequence[Match],
        start: float,
        scene: int,
        score: float,
        expect_value: float,
    ) -> PassageHit:
        return PassageHit(
            scene_id=scene,
            video_id=segments[0].video_id,
            start=start,
            end=max(stored.segment.end for stored in segments),
            score=score,
            channel=segments[0].segment.channel,
            segments=tuple(stored.segment for stored in segments),
            matches=tuple(matches),
            expect_value=expect_value,
        )

    def expect_value(self, mask: int, runs: Sequence[Sequence[str]]) -> float:
        """See `PassageHit`: the number of segments, times the ways to choose as many terms or runs from the query,
        times the probability that a segment contains them."""
        terms = [term for bit, term in enumerate(self.query.terms) if mask >> bit & 1]
        ways = math.comb(len(self.query.terms), len(terms))
        of_terms = ways * math.exp(-sum(self._information(term) for term in terms))
        of_runs = len(self.query.tokens) * math.exp(-sum(self.run_information(run) for run in runs))
        return (self.total + SCORING.prior_segments) * min(of_terms, of_runs)

    def _information(self, term: str) -> float:
        """Nats. Adjacent bigrams share a character, so that each counts half."""
        weight = self.weights.get(term, SCORING.stop_word_nats)
        return weight / 2 if is_unspaced(term) and len(term) > 1 else weight

    def run_information(self, run: Sequence[str]) -> float:
        """Nats of consecutive tokens."""
        nats = 0.0
        for i, token in enumerate(run):
            if not is_unspaced(token):
                nats += self._information(token)
            elif i + 1 < len(run) and is_unspaced(run[i + 1]):
                nats += self._information(token + run[i + 1])
            elif i == 0 or not is_unspaced(run[i - 1]):
                nats += self._information(token)
        return nats

    def term_shares(self, masks: Masks, firsts: Ids) -> NDArray[np.float64]:
        """The weighted share of the query's terms that each passage contains: (0, 1]. firsts: where each begins."""
        weights = np.array(list(self.weights.values()))
        whole = _sum_weights(weights, np.array([(1 << len(weights)) - 1], dtype=np.uint64))[0]
        together = _sum_weights(weights, np.bitwise_or.reduceat(masks, firsts))
        best = np.maximum.reduceat(_sum_weights(weights, masks), firsts)
        shares = best * (1 - SCORING.spread_weight) + together * SCORING.spread_weight
        return np.minimum(1.0, shares / whole if whole > 0 else 0 * shares)

    def rank(self, scores: NDArray[np.float64], segments: SegmentTable, firsts: Ids, ends: Ids) -> Iterator[int]:
        """Yield the index of each passage, segments[first:end], best first; equal scores by BM25 (or by length where
        that is too slow), then by id."""
        rare = sum(map(len, self.postings.values())) <= SCORING.bm25_limit
        lengths = np.append(0, np.cumsum(segments.lengths))
        rounded = np.round(scores, 9)
        order = np.lexsort((segments.ids[firsts], -rounded))
        start = 0
        while start < len(order):
            end = start + int(np.searchsorted(-rounded[order[start:]], -rounded[order[start]], side="right"))
            tied = order[start:end]
            if 1 < len(tied) <= (SCORING.rare_ties if rare else SCORING.common_ties):
                if rare:
                    costs = self._bm25(segments.ids, firsts[tied], ends[tied])
                else:
                    costs = lengths[ends[tied]] - lengths[firsts[tied]]
                tied = tied[np.argsort(costs, kind="stable")]
            yield from tied.tolist()
            start = end

    def _bm25(self, ids: Ids, firsts: Ids, ends: Ids) -> NDArray[np.float64]:
        """The sum over the segments of each passage, ids[first:end]. Lower is better."""
        sizes = ends - firsts
        begins = np.cumsum(sizes) - sizes
        members = ids[np.arange(int(sizes.sum())) + np.repeat(firsts - begins, sizes)]
        expression = " OR ".join(match_term(term) for term in self.query.terms)
        rows = self.connection.execute(
            # + prevents a look-up for each segment, each of which would count the postings of every term again.
            "SELECT rowid, bm25(segment_words) FROM segment_words WHERE segment_words MATCH ? "
            "AND +rowid IN (SELECT value FROM json_each(?))",
            (expression, json.dumps(members.tolist())),
        )
        cost = dict(rows.fetchall())
        costs: NDArray[np.float64] = np.add.reduceat([cost.get(member, 0.0) for member in members.tolist()], begins)
        return costs


def _sum_weights(weights: NDArray[np.float64], masks: Masks) -> NDArray[np.float64]:
    sums = np.zeros(len(masks))
    for bit, weight in enumerate(weights):
        sums += ((masks >> np.uint64(bit)) & np.uint64(1)) * weight
    return sums
