"""Passages that hold what a query puts in quotes, word for word.

A phrase stands in one line, or runs over into the lines that follow. Several phrases must all stand within WINDOW of
one another. FTS5 finds the lines that hold a phrase by its stems, and the lines that begin with a part of it; the
words are compared here. A line is part of one hit at most. The score says how much of the words beside the quotes
stands there, too.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from vsearch.library.folding import match_units
from vsearch.library.ids import Ids, ascending
from vsearch.library.places import Lines, timeline
from vsearch.library.rows import PassageHit
from vsearch.library.terms import holds
from vsearch.library.texts import (
    SPREAD,
    WINDOW,
    Group,
    WordSearch,
    chance,
    in_order,
    ranked,
    told,
    word_hit,
)
from vsearch.library.word_hits import StoredLine, Terms, begin, line_words, phrase_places, read_lines, scene_at


@dataclass(frozen=True, slots=True)
class _Place:
    """A phrase and the lines that hold it, in time order."""

    phrase: int
    lines: tuple[StoredLine, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(line.id for line in self.lines)

    @property
    def order(self) -> tuple[int, str, float, int, int]:
        first = self.lines[0]
        return first.video_id, first.line.channel, first.line.start, first.id, self.phrase


def quoted_hits(search: WordSearch) -> Iterator[PassageHit]:
    """Best first."""
    phrases = search.asked.phrases
    if len(phrases) > 1:
        parts = {_ids(together): together for together in _together(search)}
        groups = iter(sorted(_groups(search, parts), key=_rank))
        return in_order(groups, lambda group: _hit(search, group, parts[group.ids]))
    chains = {chain.ids: [chain] for chain in _chains(search, 0)}
    merged = heapq.merge(_lines(search), sorted(_groups(search, chains), key=_rank), key=_rank)

    def hit(group: Group) -> PassageHit | None:
        if group.ids in chains:
            return _hit(search, group, chains[group.ids])
        lines = read_lines(search.connection, group.ids)
        found = bool(lines) and holds(lines[0].words, phrases[0])
        return _hit(search, group, [_Place(0, tuple(lines))]) if found else None

    return in_order(merged, hit)


def _rank(group: Group) -> float:
    return -round(group.score, 9)


def _ids(places: Iterable[_Place]) -> tuple[int, ...]:
    """Lines of places in time order, each once."""
    lines = {line.id: line for place in places for line in place.lines}
    return tuple(sorted(lines, key=lambda one: (lines[one].line.start, one)))


# -- one phrase


def _holders(search: WordSearch, phrase: int) -> Lines:
    """Lines that hold a phrase by its stems, in the scenes that are allowed."""
    return search.touching(search.lines(search.rowids(match_units(search.asked.phrases[phrase]))))


def _lines(search: WordSearch) -> Iterator[Group]:
    """Lines that seem to hold the phrase, best first."""
    lines = _holders(search, 0)
    ids = lines.ids
    masks = search.masks(ids)
    scores = _scores(search, ids, ids, masks)
    at = np.arange(len(ids))
    for one in ranked(search, scores, lines, at, at + 1):
        yield Group(float(scores[one]), (int(ids[one]),), (int(masks[one]),))


def _groups(search: WordSearch, passages: Iterable[tuple[int, ...]]) -> list[Group]:
    """Passages of several lines with their scores, in the order given."""
    known = list(passages)
    if not known:
        return []
    ids = ascending(*(np.array(one, dtype=np.int64) for one in known))
    of_line = dict(zip(ids.tolist(), search.masks(ids).tolist(), strict=True))
    masks = [tuple(of_line[one] for one in passage) for passage in known]
    together = np.array([reduce(or_, one) for one in masks], dtype=np.uint64)
    first, last = np.array([one[0] for one in known]), np.array([one[-1] for one in known])
    scores = _scores(search, first, last, together)
    return [Group(float(s), passage, mask) for s, passage, mask in zip(scores, known, masks, strict=True)]


def _scores(search: WordSearch, first: Ids, last: Ids, masks: NDArray[np.uint64]) -> NDArray[np.float64]:
    """(0, 1]: 1 where every word beside the quotes stands in the passage, less where it stands near or is missing.

    first, last: the first and last line of each passage; masks: of its lines together.
    """
    weights = search.weights
    quoted = sum(told(weights, phrase) for phrase in search.asked.phrases)
    scores = np.full(len(first), quoted)
    if not search.asked.beside or len(first) == 0:
        return np.ones(len(first))
    rows = [search.rows[term] for term in search.asked.beside]
    lines = search.lines(ascending(*rows, first, last))
    axis = timeline(lines)
    order = np.argsort(axis, kind="stable")
    near = search.masks(lines.ids)[order]
    begins = np.searchsorted(axis[order], axis[np.searchsorted(lines.ids, first)] - WINDOW, side="right")
    ends = np.searchsorted(axis[order], axis[np.searchsorted(lines.ids, last)] + WINDOW)
    for bit, term in enumerate(search.asked.terms):
        if term in search.asked.beside:
            counts = np.append(0, np.cumsum((near >> np.uint64(bit)) & np.uint64(1)))
            inside = ((masks >> np.uint64(bit)) & np.uint64(1)).astype(bool)
            scores += weights[term] * np.where(inside, 1.0, np.where(counts[ends] > counts[begins], SPREAD, 0.0))
    scores /= quoted + sum(weights[term] for term in search.asked.beside)
    return scores


def _hit(search: WordSearch, group: Group, parts: Sequence[_Place]) -> PassageHit | None:
    lines = read_lines(search.connection, group.ids)
    number = {line.id: at for at, line in enumerate(lines)}
    places = []
    for part in parts:
        found = phrase_places(search.asked.phrases[part.phrase], part.lines)
        places += [(number[part.lines[one].id], first, last) for one, first, last in found]
    start = begin(lines, places)
    scene = scene_at(search.connection, lines[0].video_id, start)
    if not search.admits(scene):
        return None
    beside = Terms(search.asked.beside)
    beside.meet(lines)
    places += beside.places(lines)
    by_chance = chance(search, reduce(or_, group.masks), search.asked.phrases)
    return word_hit(lines, places, start, scene, group.score, by_chance)


# -- over several lines


def _chains(search: WordSearch, phrase: int) -> list[_Place]:
    """Where a phrase begins in one line and ends in another one, in time order. No line of it holds the phrase alone,
    and of chains that share a line the first counts."""
    words = search.asked.phrases[phrase]
    found: dict[tuple[int, ...], _Place] = {}
    for at in range(1, len(words)):
        before = search.rowids(match_units(words[at - 1 : at]))
        ids, previous = _beginning(search, words[at:])
        if len(before) == 0:
            continue
        held = before[np.minimum(np.searchsorted(before, previous), len(before) - 1)] == previous
        said = line_words(search.connection, previous[held].tolist())
        for last, earlier in zip(ids[held].tolist(), previous[held].tolist(), strict=True):
            if said.get(earlier, [""])[-1:] != [words[at - 1]]:
                continue
            lines = _back(search, last, words, at)
            if lines and not any(holds(line.words, words) for line in lines):
                place = _Place(phrase, tuple(lines))
                if _allowed(search, place):
                    found[place.ids] = place
    used: set[int] = set()
    chains = []
    for place in sorted(found.values(), key=lambda one: (one.order, len(one.lines))):
        if used.isdisjoint(place.ids):
            used.update(place.ids)
            chains.append(place)
    return chains


def _beginning(search: WordSearch, words: Sequence[str]) -> tuple[Ids, Ids]:
    """Lines that begin with these words, by their stems, and the line before each."""
    rows = search.connection.execute(
        f"SELECT segments.id, {_PREVIOUS} FROM segment_words JOIN segments ON segments.id = segment_words.rowid "
        "WHERE segment_words MATCH ? AND segments.channel = COALESCE(?, segments.channel)",
        (f"^ {match_units(words)}", search.channel),
    ).fetchall()
    known = [row for row in rows if row[1] is not None]
    return np.array([row[0] for row in known], dtype=np.int64), np.array([row[1] for row in known], dtype=np.int64)


_PREVIOUS = (
    "(SELECT p.id FROM segments p WHERE p.video_id = segments.video_id AND p.channel = segments.channel "
    "AND (p.start_seconds, p.id) < (segments.start_seconds, segments.id) "
    "ORDER BY p.start_seconds DESC, p.id DESC LIMIT 1)"
)


def _back(search: WordSearch, last: int, words: Sequence[str], at: int) -> list[StoredLine]:
    """Lines, the last of which begins with words[at:], that hold all of them; none where there are no such lines."""
    lines = read_lines(search.connection, [last])
    need = list(words[:at])
    if not lines or list(lines[0].words[: len(words) - at]) != list(words[at:]):
        return []
    while need:
        row = search.connection.execute(f"SELECT {_PREVIOUS} FROM segments WHERE id = ?", (lines[0].id,)).fetchone()
        if row[0] is None:
            return []
        (line,) = read_lines(search.connection, [row[0]])
        size = min(len(line.words), len(need))
        told_there = list(line.words[len(line.words) - size :])
        if size == 0 or told_there != need[len(need) - size :] or lines[0].line.start - line.line.end > WINDOW:
            return []
        need = need[: len(need) - size]
        lines.insert(0, line)
    return lines


def _allowed(search: WordSearch, place: _Place) -> bool:
    """Whether a phrase begins in an allowed scene."""
    if search.allowed is None:
        return True
    start = begin(place.lines, phrase_places(search.asked.phrases[place.phrase], place.lines))
    return search.admits(scene_at(search.connection, place.lines[0].video_id, start))


# -- several phrases


def _together(search: WordSearch) -> Iterator[list[_Place]]:
    """Places of every phrase that lie within WINDOW of one another, as near as can be; each line in one of them."""
    numbers = range(len(search.asked.phrases))
    alone = [_holders(search, number) for number in numbers]
    chains = [_chains(search, number) for number in numbers]
    if not all(len(lines.ids) or chain for lines, chain in zip(alone, chains, strict=True)):
        return
    chained = [one for chain in chains for place in chain for one in place.ids]
    lines = search.lines(ascending(*(one.ids for one in alone), np.array(chained, dtype=np.int64)))
    axis = timeline(lines)

    def when(ids: Sequence[int] | Ids) -> NDArray[np.float64]:
        return np.sort(axis[np.searchsorted(lines.ids, np.array(ids, dtype=np.int64))])

    rarest = min(numbers, key=lambda number: len(alone[number].ids) + len(chains[number]))
    anchors = when([*alone[rarest].ids.tolist(), *(one for place in chains[rarest] for one in place.ids)])
    places: list[_Place] = []
    for number in numbers:
        at = axis[np.searchsorted(lines.ids, alone[number].ids)]
        near = np.searchsorted(anchors, at + WINDOW) > np.searchsorted(anchors, at - WINDOW, side="right")
        said = line_words(search.connection, alone[number].ids[near].tolist())
        for line in read_lines(
            search.connection, [one for one, words in said.items() if holds(words, search.asked.phrases[number])]
        ):
            place = _Place(number, (line,))
            if _allowed(search, place):
                places.append(place)
        places += chains[number]
    places.sort(key=lambda place: place.order)
    yield from _covers(places, len(numbers))


def _covers(places: Sequence[_Place], count: int) -> Iterator[list[_Place]]:
    """Runs of places, in their order, that hold every one of `count` phrases within WINDOW."""
    used: set[int] = set()
    at = 0
    while at < len(places):
        first = places[at]
        chosen: dict[int, _Place] = {}
        last = at
        for last, place in enumerate(places[at:], start=at):  # noqa: B007
            if place.order[:2] != first.order[:2] or place.order[2] >= first.order[2] + WINDOW:
                break
            if place.lines[-1].line.start < first.order[2] + WINDOW and used.isdisjoint(place.ids):
                chosen[place.phrase] = place  # the last one of a phrase is the nearest to the others
            if len(chosen) == count:
                break
        if len(chosen) == count:
            used.update(_ids(chosen.values()))
            yield list(chosen.values())
            at = last + 1
        else:
            at += 1
