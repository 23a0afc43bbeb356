"""The words of a query and of a line, as they are compared: no case, no accents, no punctuation.

Stemming is SQLite's business (the porter tokenizer of the index of words); what is quoted is compared here, unstemmed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MAX_TERMS = 32
"""Words of a query that are looked up: each costs a look-up, and a hostile query has thousands."""

_TOKEN = re.compile(r"[^\W_]+\*?")
_ACCENT = re.compile("[\u0300-\u036f]")
_QUOTED = re.compile(r'["“”„«»]([^"“”„«»]*)["“”„«»]')

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
    """Every word in its order, quoted or not."""
    terms: tuple[str, ...]
    """Those that say something, each once; one that ends in * stands for every word that begins so. Where all are stop
    words, all of them."""
    phrases: tuple[tuple[str, ...], ...]
    """What was quoted: it must be there word for word."""

    @property
    def exact(self) -> bool:
        return bool(self.phrases)


def parse(text: str) -> WordQuery:
    """Words and "quoted phrases" of a query; whatever it holds, nothing is raised."""
    phrases = []
    for quoted in _QUOTED.findall(text):
        if phrase := tuple(tokens(quoted)):
            phrases.append(phrase[:MAX_TERMS])
    found = [token for token in _tokens(text) if token != "*"]
    plain = tuple(token.rstrip("*") for token in found)
    said = [token for token in found if token not in STOP_WORDS]
    terms = tuple(dict.fromkeys(said or found))[:MAX_TERMS]
    return WordQuery(plain, terms, tuple(phrases))


def is_exact(text: str) -> bool:
    """Whether something in it is quoted."""
    return parse(text).exact


def tokens(text: str) -> list[str]:
    """Words, as they are compared."""
    return [token.rstrip("*") for token in _tokens(text)]


def _tokens(text: str) -> list[str]:
    # As FTS5's unicode61 does: lower case, Latin letters without their accents, everything else as it is.
    apart = _ACCENT.sub("", unicodedata.normalize("NFD", text.lower()))
    return _TOKEN.findall(unicodedata.normalize("NFC", apart))


def holds(line: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether the words of a phrase stand in a line one after the other."""
    size = len(phrase)
    return any(list(line[at : at + size]) == list(phrase) for at in range(len(line) - size + 1))


def longest_run(line: Sequence[str], query: Sequence[str]) -> Sequence[str]:
    """The longest run of words that both have, in order and without a gap."""
    best, end = 0, 0
    before = [0] * (len(line) + 1)
    for at, word in enumerate(query, start=1):
        now = [0] * (len(line) + 1)
        for place, other in enumerate(line, start=1):
            if word == other:
                now[place] = before[place - 1] + 1
                if now[place] > best:
                    best, end = now[place], at
        before = now
    return query[end - best : end]
