"""Where the terms and phrases of a query match segments, when the matching words are spoken, and in which scene."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from vsearch.library import codec
from vsearch.library.folding import is_unspaced, match_term, tokenize, tokens, unfolded
from vsearch.library.query_terms import find_phrase
from vsearch.media import Segment

TOKENIZER = "porter ascii"
"""The tokenizer of `segment_words`: see schema.py."""

Match = tuple[int, int, int]
"""The number of the segment in its passage, and the first and last token that match."""


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment of the catalog with its folded tokens."""

    id: int
    video_id: int
    segment: Segment
    tokens: tuple[str, ...]


def read_segments(connection: sqlite3.Connection, ids: Iterable[int]) -> list[StoredSegment]:
    """Segments in the order of their ids as given. Missing ones are left out."""
    wanted = [int(segment_id) for segment_id in ids]
    rows = connection.execute(
        "SELECT id, video_id, folded, start_seconds, end_seconds, text, channel, words, box, confidence FROM segments "
        "WHERE id IN (SELECT value FROM json_each(?))",
        (codec.ids_to_json(wanted),),
    )
    segments = {
        row[0]: StoredSegment(row[0], row[1], codec.segment_from_row(row[3:]), tuple(unfolded(row[2]))) for row in rows
    }
    return [segments[segment_id] for segment_id in wanted if segment_id in segments]


def read_tokens(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, list[str]]:
    """The tokens of segments, by id."""
    rows = connection.execute(
        "SELECT id, folded FROM segments WHERE id IN (SELECT value FROM json_each(?))", (codec.ids_to_json(ids),)
    )
    return {segment_id: unfolded(folded) for segment_id, folded in rows}


def scene_at(connection: sqlite3.Connection, video_id: int, seconds: float) -> int | None:
    """The scene of a video at a time, else the nearest before it, else its first."""
    row = connection.execute(
        "SELECT id FROM scenes WHERE video_id = ? AND start_seconds <= ? ORDER BY start_seconds DESC, id DESC LIMIT 1",
        (video_id, seconds),
    ).fetchone()
    if row is None:
        row = connection.execute(
            "SELECT id FROM scenes WHERE video_id = ? ORDER BY start_seconds, id LIMIT 1", (video_id,)
        ).fetchone()
    return None if row is None else int(row[0])


class TermMatcher:
    """Finds the tokens that terms match. Words match by their stems: the vocabulary of the segments is put into a small
    FTS5 index in memory, each word once, and queried there. Call `add` with segments before `matches`."""

    def __init__(self, terms: Sequence[str]) -> None:
        self._unspaced = [term for term in terms if is_unspaced(term)]
        self._words = [term for term in terms if not is_unspaced(term)]
        self._vocabulary: dict[str, bool] = {}

    def matches(self, segments: Sequence[StoredSegment]) -> list[Match]:
        """The matches of every term in segments that were added."""
        matches: list[Match] = []
        for number, segment in enumerate(segments):
            matches += [(number, i, i) for i, token in enumerate(segment.tokens) if self._vocabulary[token]]
            for term in self._unspaced:
                matches += [(number, i, i + len(term) - 1) for i in find_phrase(segment.tokens, list(term))]
        return matches

    def add(self, segments: Iterable[StoredSegment]) -> None:
        """Match the terms with the vocabulary of many segments at once."""
        new = list({token for segment in segments for token in segment.tokens}.difference(self._vocabulary))
        self._vocabulary.update(dict.fromkeys(new, False))
        if not new or not self._words:
            return
        with closing(sqlite3.connect(":memory:")) as index:
            index.execute(f"CREATE VIRTUAL TABLE words USING fts5 (word, tokenize='{TOKENIZER}')")
            index.executemany("INSERT INTO words (rowid, word) VALUES (?, ?)", enumerate(new))
            expression = " OR ".join(match_term(term) for term in self._words)
            for (i,) in index.execute("SELECT rowid FROM words WHERE words MATCH ?", (expression,)):
                self._vocabulary[new[i]] = True


def phrase_matches(phrase: Sequence[str], segments: Sequence[StoredSegment]) -> list[Match]:
    """Where a phrase occurs in consecutive segments. It may continue from one segment into the next."""
    stream = [(number, i, token) for number, segment in enumerate(segments) for i, token in enumerate(segment.tokens)]
    matches: list[Match] = []
    for first in find_phrase([token for _, _, token in stream], phrase):
        for number, i, _ in stream[first : first + len(phrase)]:
            if matches and matches[-1][0] == number and matches[-1][2] == i - 1:
                matches[-1] = (number, matches[-1][1], i)
            else:
                matches.append((number, i, i))
    return matches


def highlights(segments: Sequence[Segment], matches: Iterable[Match]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """For each segment, the spans [from, to) of the characters of its text that match."""
    spans: list[list[tuple[int, int]]] = [[] for _ in segments]
    tokenized = [tokenize(segment.text) for segment in segments]
    for number, first, last in sorted(matches):
        if last >= len(tokenized[number]):
            continue  # folded by another version of Unicode
        start = min(token.start for token in tokenized[number][first : last + 1])
        end = max(token.end for token in tokenized[number][first : last + 1])
        if spans[number] and start <= spans[number][-1][1]:
            start, previous_end = spans[number].pop()
            end = max(end, previous_end)
        spans[number].append((start, end))
    return tuple(map(tuple, spans))


def matches_start(segments: Sequence[StoredSegment], matches: Sequence[Match]) -> float:
    """When the first matching word is spoken, in seconds; the start of its segment if its words have no times."""
    number, first, _ = min(matches, default=(0, 0, 0))
    segment = segments[number]
    timed = [(token, word.start) for word in segment.segment.words for token in tokens(word.text)]
    if not matches or not timed:
        return segment.segment.start
    if tuple(token for token, _ in timed) == segment.tokens:
        return timed[first][1]
    return next((start for token, start in timed if token == segment.tokens[first]), segment.segment.start)
