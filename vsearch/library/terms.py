"""The words of a query, as they are looked up and compared: see folding.py for what a word is.

Stemming is SQLite's business (the porter tokenizer of the index of words); what is quoted is compared here, unstemmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from vsearch.library.folding import Unit, is_unspaced, units
from vsearch.library.quotes import split_quotes

MAX_TERMS = 32
"""Words of a query that are looked up: each costs a look-up, and a hostile query has thousands."""
MAX_TOKENS = 32
"""Words of a query that are read at all, and of a quotation."""
SHORTEST_RUN = 3
"""Words in a row from which word for word counts: fewer stand together by chance."""

# Words that say nothing of what is spoken about: articles, pronouns, auxiliaries, prepositions, and the words with
# which people begin to describe a video.
_STOP_WORDS = """
a about all also am an and any are as at be been being but by can could did do does doing done for from had has
have having he her here hers him his how i if in into is it its just ll m may me might more most must my no nor
not now of off on once one only or other our out over own re s she should so some somebody someone something
such t than that the their them then there these they this those through to too under up us ve very was we were
what when where which while who whom whose why will with would you your clip scene video footage shot says
saying said say talks talking talk speaks speaking speak
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class WordQuery:
    """What is looked for among words."""

    tokens: tuple[str, ...]
    """Every unit (see folding.py) in its order, quoted or not; at most MAX_TOKENS."""
    terms: tuple[str, ...]
    """What is looked up, each once: the words that say something, and each two neighbours of a script without blanks.
    One that ends in * stands for every word that begins so. Where all are stop words, all of them."""
    phrases: tuple[tuple[str, ...], ...] = ()
    """What was quoted: it must be there word for word."""
    beside: tuple[str, ...] = ()
    """Terms outside the quotes that say something; empty where nothing is quoted."""

    runs: frozenset[tuple[str, ...]] = frozenset()
    """Every SHORTEST_RUN words in a row of which one says something."""

    @property
    def exact(self) -> bool:
        return bool(self.phrases)


@lru_cache(maxsize=32)
def parse(text: str) -> WordQuery:
    """Words and "quoted phrases" of a query; whatever it holds, nothing is raised."""
    quoted, rest = split_quotes(text)
    phrases = [phrase for one in quoted if (phrase := tuple(tokens(one)[:MAX_TOKENS]))][:MAX_TERMS]
    found = list(dict.fromkeys(_terms(text)))
    said = [term for term in found if term not in STOP_WORDS]
    terms = tuple(said or found)[:MAX_TERMS]
    beside = set(_terms(rest)) if phrases else set()
    words = tuple(tokens(text)[:MAX_TOKENS])
    rows = [words[at : at + SHORTEST_RUN] for at in range(len(words) - SHORTEST_RUN + 1)]
    return WordQuery(
        words,
        terms,
        tuple(dict.fromkeys(phrases)),
        tuple(term for term in terms if term in beside and term not in STOP_WORDS),
        frozenset(row for row in rows if any(is_unspaced(word) or word in terms for word in row)),
    )


def is_exact(text: str) -> bool:
    """Whether something in it is quoted."""
    return parse(text).exact


def tokens(text: str) -> list[str]:
    """Units, as they are compared."""
    return [unit.text for unit in units(text)]


def _terms(text: str) -> Iterator[str]:
    found = units(text)
    for run in _runs(found):
        if not is_unspaced(run[0].text):
            yield run[0].text + ("*" if text[run[0].end : run[0].end + 1] == "*" else "")
        elif len(run) == 1:
            yield run[0].text
        else:
            yield from (one.text + other.text for one, other in pairwise(run))


def _runs(found: Sequence[Unit]) -> Iterator[list[Unit]]:
    """Words one by one, and characters of a script without blanks together as far as nothing separates them."""
    run: list[Unit] = []
    for unit in found:
        if run and not (is_unspaced(unit.text) and is_unspaced(run[-1].text) and unit.start <= run[-1].end):
            yield run
            run = []
        run.append(unit)
    if run:
        yield run


def holds(line: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether the words of a phrase stand in a line one after the other."""
    return next(places_of(line, phrase), None) is not None


def places_of(line: Sequence[str], phrase: Sequence[str]) -> Iterator[int]:
    """Where a phrase begins in a line; places do not overlap."""
    wanted, at = list(phrase), 0
    while at + len(wanted) <= len(line):
        if list(line[at : at + len(wanted)]) == wanted:
            yield at
            at += len(wanted)
        else:
            at += 1


def longest_run(line: Sequence[str], query: Sequence[str]) -> Sequence[str]:
    """The longest run of words that both have, in order and without a gap; of equals the first of the query."""
    places: dict[str, list[int]] = {}
    for at, word in enumerate(query, start=1):
        places.setdefault(word, []).append(at)
    best, end = 0, 0
    before: dict[int, int] = {}
    for word in line:
        now = {at: before.get(at - 1, 0) + 1 for at in places.get(word, ())}
        for at, size in now.items():
            if size > best or (size == best and at < end):
                best, end = size, at
        before = now
    return query[end - best : end]


def has_run(line: Sequence[str], runs: Set[tuple[str, ...]]) -> bool:
    """Whether one of these runs stands in a line."""
    return any(tuple(line[at : at + SHORTEST_RUN]) in runs for at in range(len(line) - SHORTEST_RUN + 1))
