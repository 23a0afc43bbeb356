"""Captions rewritten like typed queries: with a typing error, as key words, or as a question or request.

The text tower is tuned on some of each, because queries are not written like captions.
"""

from __future__ import annotations

import string

import numpy as np

TYPING_ERROR, KEY_WORDS = 0.35, 0.35
"""Shares of the rewritten captions; the rest are questions and requests."""
ONE_WORD = 0.4
"""Share of the key word queries that keep a single word."""
SHORTEST = 4
"""Letters of the shortest word that may get a typing error."""

_STOP_WORDS = """
a an the is are of in on at to and with by his her their its it there for from into some being
be was were while as who that this he she they
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
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
    """Rewrite a caption at random. One without usable words is returned in lower case."""
    kind = rng.random()
    words = caption.lower().split()
    if kind < TYPING_ERROR:
        return " ".join(_with_error(words, rng))
    if kind < TYPING_ERROR + KEY_WORDS:
        return " ".join(_key_words(words, rng))
    return _REQUESTS[int(rng.integers(len(_REQUESTS)))].format(caption)


def _with_error(words: list[str], rng: np.random.Generator) -> list[str]:
    """Remove, replace or insert one letter, or swap two."""
    long = [place for place, word in enumerate(words) if len(word) >= SHORTEST]
    if not long:
        return words
    place = long[int(rng.integers(len(long)))]
    word = words[place]
    at = int(rng.integers(1, len(word)))  # typing errors rarely concern the first letter
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
    """Consecutive words among those that are not stop words."""
    content = [word for word in words if word not in STOP_WORDS]
    if not content:
        return words
    count = 1 if rng.random() < ONE_WORD else int(rng.integers(1, len(content) + 1))
    start = int(rng.integers(0, len(content) - count + 1))
    return content[start : start + count]
