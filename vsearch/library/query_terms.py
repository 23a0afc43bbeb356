"""Parse a full-text query into tokens, terms and quoted phrases. folding.py defines what a token is.

FTS5 stems English terms (its porter tokenizer). Phrases are compared here, unstemmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from vsearch.library.folding import Token, is_unspaced, tokenize, tokens
from vsearch.library.quotes import split_quotes

MAX_TERMS = 32
"""Terms and phrases of a query that are searched. Each costs a look-up, and a hostile query has thousands."""
MAX_TOKENS = 32
"""Tokens of a query, and of a phrase, that are compared in order."""

# Articles, pronouns, auxiliaries, prepositions, and the words with which users begin to describe a video.
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
class TextQuery:
    """A parsed full-text query."""

    tokens: tuple[str, ...]
    """Every token in order, quoted or not; at most MAX_TOKENS."""
    terms: tuple[str, ...]
    """What is looked up in the index, without repetition: words that are not stop words, and bigrams of scripts without
    spaces. A term that ends in * is a prefix. If all are stop words, all of them."""
    phrases: tuple[tuple[str, ...], ...]
    """The tokens of each quotation, which must occur word for word."""
    unquoted: tuple[str, ...]
    """Terms outside the quotations that are not stop words; empty if nothing is quoted."""
    trigrams: frozenset[tuple[str, ...]]
    """Every three consecutive tokens of which at least one is a term. Shorter runs often match by coincidence."""


@lru_cache(maxsize=32)
def parse_query(text: str) -> TextQuery:
    """Parse words and "quoted phrases". No text is an error."""
    quoted, rest = split_quotes(text)
    phrases = [phrase for quotation in quoted if (phrase := tuple(tokens(quotation)[:MAX_TOKENS]))][:MAX_TERMS]
    all_terms = list(dict.fromkeys(_terms(text)))
    terms = tuple([term for term in all_terms if term not in STOP_WORDS] or all_terms)[:MAX_TERMS]
    outside = (set(_terms(rest)) if phrases else set()) - STOP_WORDS
    words = tuple(tokens(text)[:MAX_TOKENS])
    return TextQuery(
        words,
        terms,
        tuple(dict.fromkeys(phrases)),
        tuple(term for term in terms if term in outside),
        frozenset(three for three in _trigrams(words) if any(is_unspaced(word) or word in terms for word in three)),
    )


def has_phrases(text: str) -> bool:
    """Whether a query contains a quotation."""
    return bool(parse_query(text).phrases)


def _terms(text: str) -> Iterator[str]:
    for run in _runs(tokenize(text)):
        if not is_unspaced(run[0].text):
            yield run[0].text + ("*" if text[run[0].end : run[0].end + 1] == "*" else "")
        elif len(run) == 1:
            yield run[0].text
        else:
            yield from (left.text + right.text for left, right in pairwise(run))


def _runs(text_tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Yield each word alone, and adjacent characters of a script without spaces together."""
    run: list[Token] = []
    for token in text_tokens:
        if run and not (is_unspaced(token.text) and is_unspaced(run[-1].text) and token.start <= run[-1].end):
            yield run
            run = []
        run.append(token)
    if run:
        yield run


def _trigrams(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + 3]) for i in range(len(words) - 2))


def find_phrase(words: Sequence[str], phrase: Sequence[str]) -> Iterator[int]:
    """Yield the index of each occurrence of a phrase; occurrences do not overlap."""
    wanted, i = list(phrase), 0
    while i + len(wanted) <= len(words):
        if list(words[i : i + len(wanted)]) == wanted:
            yield i
            i += len(wanted)
        else:
            i += 1


def contains_phrase(words: Sequence[str], phrase: Sequence[str]) -> bool:
    return next(find_phrase(words, phrase), None) is not None


def contains_trigram(words: Sequence[str], trigrams: Set[tuple[str, ...]]) -> bool:
    return not trigrams.isdisjoint(_trigrams(words))


def longest_common_run(words: Sequence[str], query: Sequence[str]) -> Sequence[str]:
    """The longest run of consecutive words that both contain; of equally long ones the first in the query.

    The longest common substring by dynamic programming, with words as the symbols.
    """
    positions: dict[str, list[int]] = {}
    for i, word in enumerate(query, start=1):
        positions.setdefault(word, []).append(i)
    longest, end = 0, 0
    previous: dict[int, int] = {}  # length of the run that ends at each position of the query
    for word in words:
        lengths = {i: previous.get(i - 1, 0) + 1 for i in positions.get(word, ())}
        for i, length in lengths.items():
            if length > longest or (length == longest and i < end):
                longest, end = length, i
        previous = lengths
    return query[end - longest : end]
