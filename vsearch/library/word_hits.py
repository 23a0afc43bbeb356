"""From lines that matched to a hit: which characters to mark, when the words are said, and in which scene."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from vsearch.library import codec
from vsearch.library.folding import is_unspaced, match_word, unfolded, units
from vsearch.library.terms import places_of, tokens
from vsearch.media import Segment

TOKENIZER = "porter ascii"
"""Of `segment_words`: see migrations.py."""


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line of the library."""

    id: int
    video_id: int
    line: Segment
    words: tuple[str, ...]
    """Its units."""


def read_lines(connection: sqlite3.Connection, ids: Iterable[int]) -> list[StoredLine]:
    """Lines in the order of their ids as given; those that are gone are absent."""
    wanted = [int(line_id) for line_id in ids]
    rows = connection.execute(
        "SELECT id, video_id, folded, start_seconds, end_seconds, text, channel, words, box, confidence FROM segments "
        "WHERE id IN (SELECT value FROM json_each(?))",
        (codec.ids_to_json(wanted),),
    )
    found = {
        row[0]: StoredLine(row[0], row[1], codec.transcript_line(row[3:]), tuple(unfolded(row[2]))) for row in rows
    }
    return [found[line_id] for line_id in wanted if line_id in found]


def line_words(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, list[str]]:
    """The units of many lines, by id."""
    rows = connection.execute(
        "SELECT id, folded FROM segments WHERE id IN (SELECT value FROM json_each(?))", (codec.ids_to_json(ids),)
    )
    return {line_id: unfolded(folded) for line_id, folded in rows}


def scene_at(connection: sqlite3.Connection, video_id: int, seconds: float) -> int | None:
    """The scene of a video at a moment, else the nearest before it, else its first."""
    row = connection.execute(
        "SELECT id FROM scenes WHERE video_id = ? AND start_seconds <= ? ORDER BY start_seconds DESC, id DESC LIMIT 1",
        (video_id, seconds),
    ).fetchone()
    if row is None:
        row = connection.execute(
            "SELECT id FROM scenes WHERE video_id = ? ORDER BY start_seconds, id LIMIT 1", (video_id,)
        ).fetchone()
    return None if row is None else int(row[0])


# -- places of words in lines: (line of the passage, first unit, last unit)

Place = tuple[int, int, int]


class Terms:
    """Terms of a query, and which words of lines each of them matches. FTS5 knows, for it stems: words are put into a
    small index like that of the library, each once."""

    def __init__(self, terms: Sequence[str]) -> None:
        self._unspaced = [term for term in terms if is_unspaced(term)]
        self._spaced = [term for term in terms if not is_unspaced(term)]
        self._known: dict[str, bool] = {}

    def places(self, lines: Sequence[StoredLine]) -> list[Place]:
        """Where the terms stand in lines that were met."""
        found: list[Place] = []
        for number, line in enumerate(lines):
            found += [(number, at, at) for at, word in enumerate(line.words) if self._known[word]]
            for term in self._unspaced:
                found += [(number, at, at + len(term) - 1) for at in places_of(line.words, list(term))]
        return found

    def meet(self, lines: Iterable[StoredLine]) -> None:
        """Look the words of many lines up at once."""
        new = [word for word in {word for line in lines for word in line.words} if word not in self._known]
        self._known.update(dict.fromkeys(new, False))
        if not new or not self._spaced:
            return
        with closing(sqlite3.connect(":memory:")) as index:
            index.execute(f"CREATE VIRTUAL TABLE words USING fts5 (word, tokenize='{TOKENIZER}')")
            index.executemany("INSERT INTO words (rowid, word) VALUES (?, ?)", enumerate(new))
            match = " OR ".join(match_word(term) for term in self._spaced)
            for (at,) in index.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,)):
                self._known[new[at]] = True


def phrase_places(phrase: Sequence[str], lines: Sequence[StoredLine]) -> list[Place]:
    """Where a phrase stands in lines that follow on one another; it may run over into the next ones."""
    stream = [(number, at) for number, line in enumerate(lines) for at in range(len(line.words))]
    found: list[Place] = []
    for begin in places_of([lines[number].words[at] for number, at in stream], phrase):
        for number, at in stream[begin : begin + len(phrase)]:
            if found and found[-1][0] == number and found[-1][2] == at - 1 and at - 1 >= found[-1][1] and at > 0:
                found[-1] = (number, found[-1][1], at)
            else:
                found.append((number, at, at))
    return found


def spans(lines: Sequence[Segment], places: Iterable[Place]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each line [from, to) of the characters of its text that stand at these places."""
    found: list[list[tuple[int, int]]] = [[] for _ in lines]
    cut = [units(line.text) for line in lines]
    for number, first, last in sorted(places):
        if last >= len(cut[number]):
            continue  # folded by another version of Unicode
        start = min(unit.start for unit in cut[number][first : last + 1])
        end = max(unit.end for unit in cut[number][first : last + 1])
        of_line = found[number]
        if of_line and start <= of_line[-1][1]:
            of_line[-1] = (of_line[-1][0], max(end, of_line[-1][1]))
        else:
            of_line.append((start, end))
    return tuple(tuple(of_line) for of_line in found)


def said_at(line: StoredLine, unit: int) -> float:
    """When a unit of a line is said; the start of the line where words have no times of their own."""
    timed = [(token, word.start) for word in line.line.words for token in tokens(word.text)]
    if [token for token, _ in timed] == list(line.words):
        return timed[unit][1]
    return next((start for token, start in timed if token == line.words[unit]), line.line.start)


def begin(lines: Sequence[StoredLine], places: Sequence[Place]) -> float:
    """When the first of these words is said."""
    if not places:
        return lines[0].line.start
    number, first, _ = min(places)
    return said_at(lines[number], first)
