"""Captions as people type them: with an error of one letter, as key words, or as a question.

The text tower is tuned on some of each, so that a query need not read like a caption.
"""

from __future__ import annotations

import string

import numpy as np

TYPING_ERROR, KEY_WORDS = 0.35, 0.35
"""Shares of the rewritten captions; the rest becomes questions and requests."""
ONE_WORD = 0.4
"""Of those reduced to key words, the share that keeps one alone."""
SHORTEST = 4
"""Letters of a word that an error may hit: in shorter ones it leaves nothing to recognise."""

_EMPTY = frozenset(
    (
        "a",
        "an",
        "the",
        "is",
        "are",
        "of",
        "in",
        "on",
        "at",
        "to",
        "and",
        "with",
        "by",
        "his",
        "her",
        "their",
        "its",
        "it",
        "there",
        "for",
        "from",
        "into",
        "some",
        "being",
        "be",
        "was",
        "were",
        "while",
        "as",
        "who",
        "that",
        "this",
        "he",
        "she",
        "they",
    )
)
_REQUESTS = (
    "where is {}?",
    "where does {}?",
    "show me {}",
    "find {}",
    "when {}?",
    "is there {}?",
    "{}?",
    "who is {}?",
    "video of {}",
    "the part where {}",
    "i am looking for {}",
)


def as_typed(caption: str, rng: np.random.Generator) -> str:
    """One of many ways to type it. A caption that offers no handle stays as it is."""
    kind = rng.random()
    words = caption.lower().split()
    if kind < TYPING_ERROR:
        return " ".join(_with_error(words, rng))
    if kind < TYPING_ERROR + KEY_WORDS:
        return " ".join(_key_words(words, rng))
    return _REQUESTS[int(rng.integers(len(_REQUESTS)))].format(caption)


def _with_error(words: list[str], rng: np.random.Generator) -> list[str]:
    """One letter is missing, wrong, too many, or has changed places with the next."""
    long = [place for place, word in enumerate(words) if len(word) >= SHORTEST]
    if not long:
        return words
    place = long[int(rng.integers(len(long)))]
    word = words[place]
    at = int(rng.integers(1, len(word)))  # people get the first letter right
    letter = string.ascii_lowercase[int(rng.integers(26))]
    kind = int(rng.integers(4))
    if kind == 0:
        word = word[:at] + word[at + 1 :]
    elif kind == 1:
        word = word[:at] + letter + word[at + 1 :]
    elif kind == 2:
        word = word[:at] + letter + word[at:]
    else:
        word = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    return [*words[:place], word, *words[place + 1 :]]


def _key_words(words: list[str], rng: np.random.Generator) -> list[str]:
    """A run of the words that carry meaning."""
    telling = [word for word in words if word not in _EMPTY]
    if not telling:
        return words
    count = 1 if rng.random() < ONE_WORD else int(rng.integers(1, len(telling) + 1))
    start = int(rng.integers(0, len(telling) - count + 1))
    return telling[start : start + count]
