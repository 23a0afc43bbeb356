"""Finding passages by their words: every line that holds one (FTS5, porter stemming), then a score to compare them by.

The score is the share of the query's words that stand in the passage, each weighted by how rare it is (inverse document
frequency, Spärck Jones 1972), or the share of the query that stands there word for word, if that is more. Words that
lie a few lines apart count, but less than those of one line. BM25 orders passages with equal scores.
`chance` says whether it could be a coincidence, as the expect value of sequence search does (Karlin and Altschul
1990): three rare words of a long query in one passage are none.

All lines that match are scored, as arrays: how many hits are asked for changes nothing in their order, and filters
come before any limit. Reading lines, which is slow, is left to the hits that are returned. Quotations: quoted.py.

No word of a query ever reaches FTS5's own query language: each goes in as a string of letters and digits in quotes.
"""

from __future__ import annotations

import heapq
import json
import math
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial, reduce
from itertools import islice
from operator import or_

import numpy as np
from numpy.typing import NDArray

from vsearch.library.folding import is_unspaced, match_units, match_word
from vsearch.library.ids import Ids, ascending
from vsearch.library.places import Lines, Places, Scenes, among, timeline
from vsearch.library.reader import Reader
from vsearch.library.rows import PassageHit
from vsearch.library.terms import WordQuery, has_run, longest_run, parse
from vsearch.library.word_hits import (
    Place,
    StoredLine,
    Terms,
    begin,
    line_words,
    phrase_places,
    read_lines,
    scene_at,
)

WINDOW = 15.0
"""Seconds after a line within which other lines belong to its passage."""
SPREAD = 0.5
"""What a word is worth that stands in another line of the passage."""
PRIOR = 100
"""Lines of others, without the words that are asked for, that a small library is thought to be a part of."""
STOP_WORD = 2.0
"""Nats that a stop word tells within a run: the next word is this one in seven times."""
_TIES = 2_000
"""Up to so many passages of one score are ordered by what else tells them apart; more by their age in the library."""
_COMMON_TIES = 200
"""How many passages of one score are ordered by what tells them apart where words are common."""
_READ = 1_000
"""Passages at most that are read to see how much of the query stands there word for word: the best by their terms."""
_COMMON = 20_000
"""Lines that hold words of the query, beyond which BM25 takes long."""
_AT_ONCE = 100
"""Passages whose lines are read together."""
_LATE = 500
"""Up to so many lines that begin before an allowed scene are read, to see whether their words are said in it."""

Run = tuple[str, ...]
"""Words of the query in a row."""
Masks = NDArray[np.uint64]
"""A bit for each term of the query that a line holds."""


@dataclass(frozen=True, slots=True)
class Group:
    """A passage that may become a hit: ids of lines in time order, with a mask each."""

    score: float
    ids: tuple[int, ...]
    masks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class WordSearch:
    """A query over one state of the catalog."""

    connection: sqlite3.Connection
    asked: WordQuery
    rows: Mapping[str, Ids]
    """Of each term: the lines that hold it, ascending, whatever their channel."""
    total: int
    """Lines of the library."""
    allowed: Ids | None
    channel: str | None
    places: Places
    change: int

    @cached_property
    def weights(self) -> dict[str, float]:
        """Inverse document frequency of each term, a line being a document."""
        return {term: math.log((self.total + PRIOR + 0.5) / (len(ids) + 0.5)) for term, ids in self.rows.items()}

    @cached_property
    def found(self) -> Terms:
        """Where the terms stand in lines."""
        return Terms(self.asked.terms)

    def lines(self, ids: Ids) -> Lines:
        """The lines with these ids, as far as they are of the channel that is asked."""
        lines = self.places.lines(self.connection, self.change, ids)
        return lines if self.channel is None else lines[lines.read == (self.channel == "ocr")]

    def rowids(self, match: str) -> Ids:
        """Ascending ids of the lines that an FTS5 expression matches."""
        return self.places.rowids(self.connection, self.change, match)

    def scenes(self) -> Scenes:
        return self.places.scenes(self.connection, self.change)

    def admits(self, scene: int | None) -> bool:
        if scene is None or self.allowed is None:
            return scene is not None
        at = int(np.searchsorted(self.allowed, scene))
        return at < len(self.allowed) and int(self.allowed[at]) == scene

    def touching(self, lines: Lines) -> Lines:
        """Lines that lie, at least in part, in scenes that are allowed."""
        if self.allowed is None:
            return lines
        first = self.scenes().at(lines.videos, lines.starts)
        last = self.scenes().at(lines.videos, np.maximum(lines.starts, lines.ends))
        # Ids of a video's scenes rise with the time.
        return lines[np.searchsorted(self.allowed, last, side="right") > np.searchsorted(self.allowed, first)]

    def masks(self, ids: Ids) -> Masks:
        """The terms of the query that each line holds, as bits. ids: of lines, ascending."""
        found = np.zeros(len(ids), dtype=np.uint64)
        for bit, rows in enumerate(self.rows.values()):
            found[among(ids, rows)] |= np.uint64(1 << bit)
        return found

    def terms(self, mask: int) -> list[str]:
        return [term for bit, term in enumerate(self.asked.terms) if mask >> bit & 1]


def search_text(
    reader: Reader, places: Places, query: str, k: int, allowed: Ids | None, channel: str | None
) -> list[PassageHit]:
    """See SqliteStore.search_text."""
    from vsearch.library.quoted import quoted_hits

    asked = parse(query)
    if not asked.terms or (allowed is not None and len(allowed) == 0):
        return []
    with reader.transaction() as connection:
        if connection.execute("SELECT 1 FROM segments LIMIT 1").fetchone() is None:
            return []
        change = reader.state().change
        rows = {term: places.rowids(connection, change, match_word(term)) for term in asked.terms}
        (total,) = connection.execute("SELECT COUNT(*) FROM segment_words_docsize").fetchone()
        admitted = None if allowed is None else ascending(allowed)
        search = WordSearch(connection, asked, rows, total, admitted, channel, places, change)
        return list(islice(quoted_hits(search) if asked.exact else _passage_hits(search), k))


def _passage_hits(search: WordSearch) -> Iterator[PassageHit]:
    weights = np.array(list(search.weights.values()))
    matched = ascending(*search.rows.values())
    lines = _said_inside(search, search.touching(search.lines(matched)))
    if len(lines.ids) == 0:
        return
    order = np.lexsort((lines.ids, lines.starts, lines.read, lines.videos))
    masks = search.masks(lines.ids)[order]
    lines = lines[order]
    firsts = _windows(timeline(lines))
    scores = _shares(weights, masks, firsts)
    ends = np.append(firsts[1:], len(masks))
    for at, verbatim in _verbatim(search, lines, firsts, ends, masks, scores):
        scores[at] = max(scores[at], verbatim)

    def group(at: int) -> Group:
        part = slice(firsts[at], ends[at])
        return Group(float(scores[at]), tuple(lines.ids[part].tolist()), tuple(masks[part].tolist()))

    known: dict[int, StoredLine] = {}
    likely = cache(partial(chance, search))  # many passages hold the same words

    def hit(group: Group) -> PassageHit | Group | None:
        return _hit(search, group, [known[one] for one in group.ids if one in known], likely)

    def read() -> Iterator[Group]:
        groups = map(group, ranked(search, scores, lines, firsts, ends))
        while some := list(islice(groups, _AT_ONCE)):
            found = read_lines(search.connection, [one for part in some for one in part.ids])
            search.found.meet(found)
            known.update((line.id, line) for line in found)
            yield from some

    yield from in_order(read(), hit)


def _said_inside(search: WordSearch, lines: Lines) -> Lines:
    """Of lines that lie, at least in part, in allowed scenes: those that begin there, or whose first word that matches
    is said there. Too many of the latter are all kept: `_hit` looks at them again."""
    if search.allowed is None or len(lines.ids) == 0:
        return lines
    begun = search.scenes().at(lines.videos, lines.starts)
    place = np.minimum(np.searchsorted(search.allowed, begun), len(search.allowed) - 1)
    inside = search.allowed[place] == begun
    late = lines.ids[~inside].tolist()
    if len(late) > _LATE:
        return lines
    timed = [line for line in read_lines(search.connection, late) if line.line.words]
    search.found.meet(timed)
    for line in timed:
        start = begin([line], search.found.places([line]))
        if search.admits(scene_at(search.connection, line.video_id, start)):
            inside[np.searchsorted(lines.ids, line.id)] = True
    return lines[inside]


def _windows(axis: NDArray[np.float64]) -> Ids:
    """Where passages begin: lines of one video and channel that begin within WINDOW of the first; each line once."""
    firsts, at, seconds = [], 0, axis.tolist()
    while at < len(seconds):
        firsts.append(at)
        at = bisect_left(seconds, seconds[at] + WINDOW, at)
    return np.array(firsts, dtype=np.int64)


def weigh(weights: NDArray[np.float64], masks: Masks) -> NDArray[np.float64]:
    """The sum of the weights of each mask's terms."""
    sums = np.zeros(len(masks))
    for bit, weight in enumerate(weights):
        sums += ((masks >> np.uint64(bit)) & np.uint64(1)) * weight
    return sums


def _shares(weights: NDArray[np.float64], masks: Masks, firsts: Ids) -> NDArray[np.float64]:
    """How much of the query each passage holds, by its terms: (0, 1]."""
    whole = weigh(weights, np.array([(1 << len(weights)) - 1], dtype=np.uint64))[0]
    together = weigh(weights, np.bitwise_or.reduceat(masks, firsts))
    best = np.maximum.reduceat(weigh(weights, masks), firsts) * (1 - SPREAD) + together * SPREAD
    return np.minimum(1.0, best / whole if whole > 0 else 0 * best)


def _verbatim(
    search: WordSearch, lines: Lines, firsts: Ids, ends: Ids, masks: Masks, scores: NDArray[np.float64]
) -> Iterator[tuple[int, float]]:
    """Passages that hold a run of the query's words, and what share of the query the run is."""
    runs = sorted(search.asked.runs)
    if not runs:
        return
    held = search.rowids(" OR ".join(match_units(run) for run in runs))
    # A run may begin in the line before.
    endings = dict.fromkeys(run[at:] for run in runs for at in range(1, len(run)))
    begun = search.rowids(" OR ".join(f"^ {match_units(ending)}" for ending in endings))
    order = np.argsort(lines.ids)
    starts = np.zeros(len(lines.ids), dtype=bool)
    starts[order[among(lines.ids[order], begun)]] = True
    starts[firsts] = False  # nothing stands before these
    starts[order[among(lines.ids[order], held)]] = True
    together = np.bitwise_or.reduceat(masks, firsts)
    size = len(search.asked.tokens)
    better = _longest_possible(search.asked, together) > scores * size
    passages = np.flatnonzero(np.logical_or.reduceat(starts, firsts) & better).tolist()
    passages = sorted(passages, key=lambda at: -scores[at])[:_READ]
    words = line_words(search.connection, [one for at in passages for one in lines.ids[firsts[at] : ends[at]].tolist()])
    for at in passages:
        told_there = [word for one in lines.ids[firsts[at] : ends[at]].tolist() for word in words.get(one, ())]
        if has_run(told_there, search.asked.runs):
            yield at, len(longest_run(told_there, search.asked.tokens)) / size


def _longest_possible(asked: WordQuery, masks: Masks) -> NDArray[np.int64]:
    """Of the query's words in a row, how many a passage can hold that holds these terms."""
    bits = {term: np.uint64(bit) for bit, term in enumerate(asked.terms)}
    longest, size = np.zeros(len(masks), dtype=np.int64), np.zeros(len(masks), dtype=np.int64)
    for word in asked.tokens:
        size += 1
        if word in bits:
            size[(masks >> bits[word]) & np.uint64(1) == 0] = 0
        longest = np.maximum(longest, size)
    return longest


def _run(search: WordSearch, lines: Sequence[StoredLine]) -> Run:
    """The longest run of the query's words that stand in a passage word for word; empty where none is long enough and
    says something."""
    words = [word for line in lines for word in line.words]
    return tuple(longest_run(words, search.asked.tokens)) if has_run(words, search.asked.runs) else ()


def ranked(search: WordSearch, scores: NDArray[np.float64], lines: Lines, firsts: Ids, ends: Ids) -> Iterator[int]:
    """Passages, best first: of equal scores by BM25 (where words are so common that this takes long: the shorter one
    first), then the older. A passage is lines[first:end]."""
    rare = sum(len(rows) for rows in search.rows.values()) <= _COMMON
    until = np.append(0, np.cumsum(lines.lengths))
    rounded = np.round(scores, 9)
    order = np.lexsort((lines.ids[firsts], -rounded))
    at = 0
    while at < len(order):
        end = at + int(np.searchsorted(-rounded[order[at:]], -rounded[order[at]], side="right"))
        same = order[at:end]
        if 1 < len(same) <= (_TIES if rare else _COMMON_TIES):
            if rare:
                costs = _bm25(search, lines.ids, firsts[same], ends[same])
            else:
                costs = until[ends[same]] - until[firsts[same]]
            same = same[np.argsort(costs, kind="stable")]
        yield from same.tolist()
        at = end


def _bm25(search: WordSearch, ids: Ids, firsts: Ids, ends: Ids) -> NDArray[np.float64]:
    """Of each passage ids[first:end] the sum over its lines; lower is better."""
    sizes = ends - firsts
    begins = np.cumsum(sizes) - sizes
    members = ids[np.arange(int(sizes.sum())) + np.repeat(firsts - begins, sizes)]
    rows = search.connection.execute(
        # + keeps SQLite from a look-up for each line: every one counts how common the words are again.
        "SELECT rowid, bm25(segment_words) FROM segment_words WHERE segment_words MATCH ? "
        "AND +rowid IN (SELECT value FROM json_each(?))",
        (
            " OR ".join(match_word(term) for term in search.rows),
            json.dumps(members.tolist()),
        ),
    )
    cost = dict(rows.fetchall())
    costs: NDArray[np.float64] = np.add.reduceat([cost.get(one, 0.0) for one in members.tolist()], begins)
    return costs


def in_order(groups: Iterator[Group], build: Callable[[Group], PassageHit | Group | None]) -> Iterator[PassageHit]:
    """Hits of passages that come best first. A passage may turn out to be smaller than it seemed: it is put back."""
    late: list[tuple[float, int, Group]] = []
    count = 0

    def build_late() -> Iterator[PassageHit]:
        yield from put(build(heapq.heappop(late)[2]))

    def put(result: PassageHit | Group | None) -> Iterator[PassageHit]:
        nonlocal count
        if isinstance(result, Group):
            count += 1
            heapq.heappush(late, (-result.score, count, result))
        elif result is not None:
            yield result

    for group in groups:
        while late and -late[0][0] > group.score:
            yield from build_late()
        yield from put(build(group))
    while late:
        yield from build_late()


def _hit(
    search: WordSearch, group: Group, lines: Sequence[StoredLine], likely: Callable[[int, tuple[Run, ...]], float]
) -> PassageHit | Group | None:
    """A passage as a hit; where it begins outside of the allowed scenes, what is left without its first line."""
    # The lines that bring the most tell where the passage begins: a lone common word before them does not.
    counts = [mask.bit_count() for mask in group.masks]
    kept = [at for at, count in enumerate(counts) if 2 * count >= max(counts)]
    telling = [lines[at] for at in kept]
    places = search.found.places(telling)
    run = _run(search, telling)
    start = begin(telling, phrase_places(run, telling) if run else places)
    scene = scene_at(search.connection, telling[0].video_id, start)
    if not search.admits(scene):
        return _without(search, group, kept[0], lines)
    together = reduce(or_, group.masks)
    whole = run if len(telling) == len(lines) else _run(search, lines)
    return word_hit(telling, places, start, scene, group.score, likely(together, (whole,)))


def _without(search: WordSearch, group: Group, left_out: int, lines: Sequence[StoredLine]) -> Group | None:
    ids = group.ids[:left_out] + group.ids[left_out + 1 :]
    masks = group.masks[:left_out] + group.masks[left_out + 1 :]
    if not ids:
        return None
    weights = np.array(list(search.weights.values()))
    share = _shares(weights, np.array(masks, dtype=np.uint64), np.zeros(1, dtype=np.int64))[0]
    run = _run(search, [*lines[:left_out], *lines[left_out + 1 :]])
    return Group(max(float(share), len(run) / len(search.asked.tokens)), ids, masks)


def word_hit(
    lines: Sequence[StoredLine],
    places: Sequence[Place],
    start: float,
    scene: int | None,
    score: float,
    by_chance: float,
) -> PassageHit:
    assert scene is not None
    return PassageHit(
        scene_id=scene,
        video_id=lines[0].video_id,
        start=start,
        end=max(line.line.end for line in lines),
        score=score,
        channel=lines[0].line.channel,
        segments=tuple(line.line for line in lines),
        places=tuple(places),
        chance=by_chance,
    )


def chance(search: WordSearch, mask: int, runs: Sequence[Sequence[str]]) -> float:
    """See PassageHit.chance: lines, times the ways to choose so many words, times how rarely these are said."""
    weights = search.weights
    held = search.terms(mask)
    apart = math.comb(len(search.asked.terms), len(held)) * math.exp(-sum(_nats(weights, term) for term in held))
    in_a_row = len(search.asked.tokens) * math.exp(-sum(told(weights, run) for run in runs))
    return (search.total + PRIOR) * min(apart, in_a_row)


def _nats(weights: Mapping[str, float], term: str) -> float:
    """What a term tells. Neighbours among characters share one: each pair tells the half."""
    weight = weights.get(term, STOP_WORD)
    return weight / 2 if is_unspaced(term) and len(term) > 1 else weight


def told(weights: Mapping[str, float], run: Sequence[str]) -> float:
    """Nats that words in a row tell."""
    nats = 0.0
    for at, word in enumerate(run):
        if not is_unspaced(word):
            nats += _nats(weights, word)
        elif at + 1 < len(run) and is_unspaced(run[at + 1]):
            nats += _nats(weights, word + run[at + 1])
        elif at == 0 or not is_unspaced(run[at - 1]):
            nats += _nats(weights, word)
    return nats
