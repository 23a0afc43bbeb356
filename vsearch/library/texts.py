"""Finding passages by their words: recall by SQLite's FTS5 (porter stemming, BM25), then a score that can be compared.

BM25 orders the lines of one query but says nothing of how well the best one fits. The score does: it is the share
of the query's words that stand in the passage, each weighted by how rare it is (inverse document frequency, Spärck
Jones 1972), or the share of the query that stands there word for word, if that is more. Words that lie a few lines
apart count, but less than those of one line. `chance` says whether it could be a coincidence, as the expect value
of sequence search does (Karlin and Altschul 1990): three rare words of a long query in one passage are none.

No word of a query ever reaches FTS5's own query language: each goes in as a string of letters and digits in quotes.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.library import codec
from vsearch.library.reader import Reader
from vsearch.library.rows import WordHit
from vsearch.library.terms import WordQuery, holds, longest_run, parse, tokens
from vsearch.media import TranscriptLine

WINDOW = 15.0
"""Seconds after a line within which other lines belong to its passage."""
RECALL = 200
"""Lines that are scored at least."""
SPREAD = 0.5
"""What a word is worth that stands in another line of the passage."""
PRIOR = 100
"""Lines of others, without the words that are asked for, that a small library is thought to be a part of."""
STOP_WORD = 2.0
"""Nats that a stop word tells within a run: the next word is this one in seven times."""
SHORTEST_RUN = 3
"""Words in a row from which word for word counts: fewer stand together by chance."""

_OPEN, _CLOSE = "\ue000", "\ue001"


@dataclass(slots=True)
class _Line:
    """A line that matched."""

    id: int
    video_id: int
    line: TranscriptLine
    bm25: float
    spans: tuple[tuple[int, int], ...]
    terms: set[str] = field(default_factory=set)


def search_words(
    reader: Reader, query: str, k: int, allowed: NDArray[np.int64] | None, channel: str | None
) -> list[WordHit]:
    """See Library.search_words."""
    asked = parse(query)
    if not asked.terms or (allowed is not None and len(allowed) == 0):
        return []
    with reader.transaction() as connection:
        if connection.execute("SELECT 1 FROM lines LIMIT 1").fetchone() is None:
            return []
        where, values = _conditions(connection, allowed, channel)
        wanted = max(RECALL, 4 * k)
        if asked.exact:
            groups = _quoted(connection, asked, where, values, wanted)
        else:
            groups = list(_passages(_recall(connection, _any(asked.terms), where, values, wanted)))
        _mark_terms(connection, asked.terms, [line for group in groups for line in group])
        weights, total = _weights(connection, asked.terms)
        found = []
        for group in groups:
            score = 1.0 if asked.exact else _score(asked, weights, group)
            found.append((score, sum(line.bm25 for line in group), group))
        found.sort(key=lambda entry: (-entry[0], -entry[1], entry[2][0].id))
        hits = (
            _hit(connection, asked, score, _chance(asked, weights, total, group), group) for score, _, group in found
        )
        admitted = None if allowed is None else set(allowed.tolist())
        chosen = [hit for hit in hits if hit is not None and (admitted is None or hit.scene_id in admitted)]
    return chosen[:k]


def _conditions(
    connection: sqlite3.Connection, allowed: NDArray[np.int64] | None, channel: str | None
) -> tuple[str, list[object]]:
    where, values = "", list[object]()
    if channel is not None:
        where += " AND lines.channel = ?"
        values.append(channel)
    if allowed is not None:
        videos = connection.execute(
            "SELECT DISTINCT video_id FROM scenes WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(allowed.tolist()),),
        ).fetchall()
        where += " AND lines.video_id IN (SELECT value FROM json_each(?))"
        values.append(json.dumps([video for (video,) in videos]))
    return where, values


def _quote(term: str) -> str:
    """A term in FTS5's language; it holds letters and digits, and perhaps a * at its end."""
    return f'"{term[:-1]}" *' if term.endswith("*") else f'"{term}"'


def _any(terms: Iterable[str]) -> str:
    return " OR ".join(_quote(term) for term in terms)


def _recall(
    connection: sqlite3.Connection, match: str, where: str, values: Sequence[object], limit: int
) -> list[_Line]:
    """The best lines by BM25."""
    rows = connection.execute(
        "SELECT lines.id, video_id, start_seconds, end_seconds, lines.text, channel, words, box, confidence, "
        f"-bm25(line_words), highlight(line_words, 0, '{_OPEN}', '{_CLOSE}') "
        "FROM line_words JOIN lines ON lines.id = line_words.rowid "
        f"WHERE line_words MATCH ?{where} ORDER BY bm25(line_words), lines.id LIMIT ?",
        (match, *values, limit),
    ).fetchall()
    return [
        _Line(
            row[0],
            row[1],
            transcript_line(row[2:9]),
            row[9],
            _spans(row[4], row[10]),
        )
        for row in rows
    ]


def transcript_line(row: Sequence[Any]) -> TranscriptLine:
    """From start, end, text, channel, words, box and confidence."""
    start, end, text, channel, words, box, confidence = row
    return TranscriptLine(start, end, text, channel, codec.words_from_json(words), codec.box_from_json(box), confidence)


def _spans(text: str, marked: str) -> tuple[tuple[int, int], ...]:
    """Where highlight() put its marks, as characters of the text."""
    spans: list[tuple[int, int]] = []
    at, opened = 0, None
    for character in marked:
        if at < len(text) and character == text[at]:
            at += 1
        elif character == _OPEN:
            opened = at
        elif character == _CLOSE and opened is not None:
            spans.append((opened, at))
            opened = None
    return tuple(spans)


def _quoted(
    connection: sqlite3.Connection, asked: WordQuery, where: str, values: Sequence[object], limit: int
) -> list[list[_Line]]:
    """Lines, alone or with the next one, that hold every quoted phrase word for word."""
    first = max(asked.phrases, key=len)
    # In one line; or the line after begins with the phrase's end. ^ is the line's first word.
    ends = [first[at:] for at in range(1, len(first))]
    match = " OR ".join([_phrase(first), *(f"^ {_phrase(end)}" for end in ends)])
    groups = []
    for line in _recall(connection, match, where, values, limit):
        group = [line]
        if not holds(tokens(line.line.text), first):
            before = _neighbour(connection, line)
            if before is None:
                continue
            group = [before, line]
        words = [word for member in group for word in tokens(member.line.text)]
        if all(holds(words, phrase) for phrase in asked.phrases):
            groups.append(group)
    return groups


def _phrase(words: Sequence[str]) -> str:
    return '"' + " ".join(words) + '"'


def _neighbour(connection: sqlite3.Connection, line: _Line) -> _Line | None:
    """The line before, of the same channel."""
    row = connection.execute(
        "SELECT id, start_seconds, end_seconds, text, channel, words, box, confidence FROM lines "
        "WHERE video_id = ? AND channel = ? "
        "AND (start_seconds, id) < (?, ?) ORDER BY start_seconds DESC, id DESC LIMIT 1",
        (line.video_id, line.line.channel, line.line.start, line.id),
    ).fetchone()
    if row is None or line.line.start - row[2] > WINDOW:
        return None
    return _Line(row[0], line.video_id, transcript_line(row[1:]), 0.0, ())


def _passages(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """Lines of one video and channel that begin within WINDOW of the first, in time order; each line once."""
    ordered = sorted(lines, key=lambda line: (line.video_id, line.line.channel, line.line.start, line.id))
    group: list[_Line] = []
    for line in ordered:
        first = group[0] if group else None
        if first is not None and (
            (first.video_id, first.line.channel) != (line.video_id, line.line.channel)
            or line.line.start >= first.line.start + WINDOW
        ):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _mark_terms(connection: sqlite3.Connection, terms: Sequence[str], lines: Sequence[_Line]) -> None:
    """Which terms stand in which line; the index knows, for it stems."""
    by_id = {line.id: line for line in lines}
    ids = json.dumps(list(by_id))
    for term in terms:
        for (rowid,) in connection.execute(
            "SELECT rowid FROM line_words WHERE line_words MATCH ? AND rowid IN (SELECT value FROM json_each(?))",
            (_quote(term), ids),
        ):
            by_id[rowid].terms.add(term)


def _weights(connection: sqlite3.Connection, terms: Sequence[str]) -> tuple[dict[str, float], int]:
    """Inverse document frequency of each term, a line being a document, and the number of lines."""
    (total,) = connection.execute("SELECT COUNT(*) FROM line_words_docsize").fetchone()
    weights = {}
    for term in terms:
        (count,) = connection.execute(
            "SELECT COUNT(*) FROM line_words WHERE line_words MATCH ?", (_quote(term),)
        ).fetchone()
        weights[term] = math.log((total + PRIOR + 0.5) / (count + 0.5))
    return weights, int(total)


def _score(asked: WordQuery, weights: dict[str, float], group: Sequence[_Line]) -> float:
    """How much of the query a passage holds: (0, 1]."""
    whole = sum(weights.values())
    together = set[str]().union(*(line.terms for line in group))
    elsewhere = sum(weights[term] for term in together)
    best = max(sum(weights[term] for term in line.terms) * (1 - SPREAD) + elsewhere * SPREAD for line in group)
    run = _run(asked, group)
    verbatim = len(run) / len(asked.tokens)
    return min(1.0, max(best / whole if whole > 0 else 0.0, verbatim))


def _run(asked: WordQuery, group: Sequence[_Line]) -> Sequence[str]:
    """The longest run of the query's words that stand in a passage word for word; empty where that is short."""
    run = longest_run([word for line in group for word in tokens(line.line.text)], asked.tokens)
    return run if len(run) >= SHORTEST_RUN else ()


def _chance(asked: WordQuery, weights: dict[str, float], total: int, group: Sequence[_Line]) -> float:
    """See WordHit.chance: lines, times the ways to choose so many words, times how rarely these are said."""
    together = set[str]().union(*(line.terms for line in group))
    apart = math.comb(len(asked.terms), len(together)) * math.exp(-sum(weights[term] for term in together))
    told = sum(weights.get(word, STOP_WORD) for word in _run(asked, group))
    in_a_row = len(asked.tokens) * math.exp(-told)
    return (total + PRIOR) * min(apart, in_a_row)


def _hit(
    connection: sqlite3.Connection, asked: WordQuery, score: float, chance: float, group: Sequence[_Line]
) -> WordHit | None:
    # The lines that bring the most tell where the passage begins: a lone common word before them does not.
    most = max(len(line.terms) for line in group)
    telling = group if asked.exact else [line for line in group if 2 * len(line.terms) >= most]
    in_a_row = asked.phrases[0] if asked.exact else _run(asked, telling)
    start = _phrase_start(telling, in_a_row) if in_a_row else _start(telling[0])
    scene = scene_at(connection, telling[0].video_id, start)
    if scene is None:
        return None
    return WordHit(
        scene_id=scene,
        video_id=telling[0].video_id,
        start=start,
        end=max(line.line.end for line in telling),
        score=score,
        channel=telling[0].line.channel,
        lines=tuple(line.line for line in telling),
        spans=tuple(line.spans for line in telling),
        chance=chance,
    )


def scene_at(connection: sqlite3.Connection, video_id: int, seconds: float) -> int | None:
    """The scene of a video at a moment, else the nearest before it, else its first."""
    row = connection.execute(
        "SELECT id FROM scenes WHERE video_id = ? ORDER BY start_seconds <= ? DESC, "
        "CASE WHEN start_seconds <= ? THEN -start_seconds ELSE start_seconds END LIMIT 1",
        (video_id, seconds, seconds),
    ).fetchone()
    return None if row is None else int(row[0])


def _start(line: _Line) -> float:
    """When the first word that matched is spoken; the start of the line where words have no times of their own."""
    matched = {word for start, end in line.spans for word in tokens(line.line.text[start:end])}
    return next((word.start for word in line.line.words if matched.intersection(tokens(word.text))), line.line.start)


def _phrase_start(group: Sequence[_Line], phrase: Sequence[str]) -> float:
    """When the first word of a quoted phrase is spoken."""
    said: list[tuple[str, float]] = []
    for line in group:
        timed = [(token, word.start) for word in line.line.words for token in tokens(word.text)]
        said += timed or [(token, line.line.start) for token in tokens(line.line.text)]
    size = len(phrase)
    for at in range(len(said) - size + 1):
        if all(said[at + i][0] == phrase[i] for i in range(size)):
            return said[at][1]
    return group[0].line.start
