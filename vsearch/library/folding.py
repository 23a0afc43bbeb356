"""Fold text for full-text search: the same function folds segments and queries, so that both always agree.

Folding works for every script. It removes case, accents, compatibility forms and punctuation, and composes characters
(NFC). Text is split into tokens. A token is a word, or a single character of a script without spaces between words
(Chinese, Japanese, Thai, Lao, Khmer, Burmese).

The inverted index (FTS5) holds `folded(text)`, one term per token. The term of a character of a script without spaces
is the bigram of this character and the next, so that words inside a sentence are found quickly. FTS5 splits this text
at spaces, keeps what is not ASCII, and stems English words.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

# First and last code points of scripts without spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),
    (0x3021, 0x312F),  # kana, Bopomofo
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),  # Burmese
    (0xAA60, 0xAADF),  # Burmese, Tai Viet
    (0xF900, 0xFAFF),
    (0x16FE0, 0x18DFF),  # Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # kana, Nushu
    (0x20000, 0x3FFFF),  # Han
)
_FIRST = [first for first, _ in _UNSPACED]

_VARIANTS = ((0x034F, 0x034F), (0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
"""Variation selectors and other marks that only choose a glyph."""
_ZERO_WIDTH_SPACE = "\u200b"
_BREAK = " "
_FRACTION_SLASH = "\u2044"
_ASCII_WORD = re.compile("[A-Za-z0-9]+")


class Token(NamedTuple):
    """A word, or a character of a script without spaces: folded, with its span [start, end) in the original text."""

    text: str
    start: int
    end: int


def is_unspaced(text: str) -> bool:
    """Whether a token is a character (or a bigram) of a script without spaces."""
    if text < "\u0e00":
        return False
    code = ord(text[0])
    i = bisect_right(_FIRST, code) - 1
    return i >= 0 and code <= _UNSPACED[i][1]


def tokens(text: str) -> list[str]:
    """The folded tokens of a text, in order."""
    return [token.text for token in tokenize(text)]


def tokenize(text: str) -> list[Token]:
    """The tokens of a text with their spans, in order."""
    if text.isascii():
        return [Token(match.group().lower(), *match.span()) for match in _ASCII_WORD.finditer(text)]
    result: list[Token] = []
    word: list[str] = []
    start = end = 0

    def end_word() -> None:
        if word:
            result.append(Token(unicodedata.normalize("NFC", "".join(word)), start, end))
            word.clear()

    adjacent = False  # whether the last token is a character of a script without spaces that the next one may join
    for i, original in enumerate(text):
        parts = _fold(original)
        if word and not parts and end == i and _is_mark(original):
            end = i + 1  # the span of a word includes its accents
        for character in parts:
            if character == _BREAK:
                end_word()
                adjacent = False
            elif is_unspaced(character):
                end_word()
                if adjacent or not _is_mark(character) or original.isalnum():
                    _add_character(result, Token(character, i, i + 1), adjacent=adjacent)
                    adjacent = True
            elif word or not _is_mark(character) or original.isalnum():
                if not word:
                    start = i
                word.append(character)
                end = i + 1
                adjacent = False
    end_word()
    return result


def _add_character(result: list[Token], token: Token, *, adjacent: bool) -> None:
    """Append a character. Put combining marks into canonical order, and compose them with the character before."""
    rank = unicodedata.combining(token.text)
    i = len(result)
    if adjacent and rank:
        while i > 0 and unicodedata.combining(result[i - 1].text) > rank:
            i -= 1
        if i == len(result) and i > 0:
            composed = unicodedata.normalize("NFC", result[-1].text + token.text)
            if len(composed) == 1:
                result[-1] = Token(composed, result[-1].start, token.end)
                return
    result.insert(i, token)


@lru_cache(maxsize=1 << 14)
def _fold(character: str) -> str:
    """Fold a character to letters, digits and marks; to a space where it separates words; to nothing if ignored."""
    if not character.isalnum():
        kind = unicodedata.category(character)
        if kind[0] != "M":
            # Format characters occur inside words: soft hyphens, joiners, direction marks.
            return "" if kind == "Cf" and character != _ZERO_WIDTH_SPACE else _BREAK
    parts = character
    for _ in range(2):  # case folding can yield what decomposes further, and decomposition what has a case
        parts = unicodedata.normalize("NFKD", parts.casefold())
    parts = parts.replace("ı", "i")
    if _FRACTION_SLASH in parts:
        parts = f"{_BREAK}{parts}{_BREAK}"  # 5½ is 5 and 1 and 2
    kept = "".join(c if c.isalnum() or _is_mark(c) else _BREAK for c in parts if c.isalnum() or not _is_accent(c))
    if character.isalnum() and not kept.strip(_BREAK):
        return parts.strip(_BREAK)  # the accent itself, as a character of its own
    return kept


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _is_accent(character: str) -> bool:
    """Whether folding removes a mark: accents, vowel points of Hebrew and Arabic, variation selectors.

    Vowel signs of Indic and South-East Asian scripts and voicing marks of kana are kept.
    """
    kind = unicodedata.category(character)
    if kind == "Me":
        return True
    if kind != "Mn":
        return False
    rank = unicodedata.combining(character)
    code = ord(character)
    return rank == 1 or 10 <= rank <= 36 or rank >= 200 or any(first <= code <= last for first, last in _VARIANTS)


def folded(text: str) -> str:
    """A text as the inverted index holds it."""
    return " ".join(_index_terms(tokens(text)))


def _index_terms(words: Sequence[str]) -> Iterator[str]:
    """Yield the term of each token in the index."""
    for i, word in enumerate(words):
        if is_unspaced(word) and i + 1 < len(words) and is_unspaced(words[i + 1]):
            yield word + words[i + 1]
        else:
            yield word


def unfolded(stored: str) -> list[str]:
    """The inverse of `folded`: tokens in order."""
    return [term[0] if is_unspaced(term) else term for term in stored.split(" ")] if stored else []


# -- expressions of FTS5; tokens contain letters, digits and marks, so a quoted string is safe


def match_term(term: str) -> str:
    """An expression for a term of a query: a word, a prefix with *, or one or two characters without spaces."""
    if term.endswith("*"):
        return f'"{term[:-1]}" *'
    return match_phrase(list(term)) if is_unspaced(term) else f'"{term}"'


def match_phrase(words: Sequence[str]) -> str:
    """An expression for consecutive tokens. English words match by their stems."""
    terms = list(_index_terms(words))
    if not is_unspaced(words[-1]):
        return f'"{" ".join(terms)}"'
    if len(words) > 1 and is_unspaced(words[-2]):
        return f'"{" ".join(terms[:-1])}"'  # the last character is part of the bigram before
    return f'"{" ".join(terms)}" *'
