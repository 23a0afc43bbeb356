"""How words are compared: one function folds what is stored and what is asked, so that both always agree.

Folding is for every script: no case, no accents, no compatibility forms, no punctuation, one Unicode normal form.
Text is cut into units. A unit is a word, or one character of a script that is written without blanks between words
(Chinese, Japanese, Thai, Lao, Khmer, Burmese).

The index of words (FTS5) holds `folded(text)`: one token for each unit. The token of a character of a script without
blanks is this character with the next one, a bigram, so that what stands inside a sentence is found quickly. The
tokenizer of the index adds nothing but the stemming of English words: it splits at blanks and keeps what is not ASCII.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

# First and last code points of scripts without blanks between words.
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
"""Marks that only choose a glyph."""
_ZERO_WIDTH_SPACE = "\u200b"
_BREAK = " "
_FRACTION_SLASH = "\u2044"
_ASCII_WORD = re.compile("[A-Za-z0-9]+")


class Unit(NamedTuple):
    """A word, or a character of a script without blanks, and where it stands."""

    text: str
    """Folded."""
    start: int
    """[start, end) of the characters of the original."""
    end: int


def is_unspaced(text: str) -> bool:
    """Whether a unit is a character of a script without blanks."""
    if text < "\u0e00":
        return False
    code = ord(text[0])
    at = bisect_right(_FIRST, code) - 1
    return at >= 0 and code <= _UNSPACED[at][1]


def units(text: str) -> list[Unit]:
    """What a text is compared by, in order."""
    if text.isascii():
        return [Unit(match.group().lower(), *match.span()) for match in _ASCII_WORD.finditer(text)]
    found: list[Unit] = []
    word: list[str] = []
    start = end = 0
    follows = False  # whether nothing separates the last unit from the next character
    for at, original in enumerate(text):
        parts = _fold(original)
        if word and not parts and end == at and _is_mark(original):
            end = at + 1  # an accent is marked with its letter
        for character in parts:
            if character == _BREAK:
                if word:
                    found.append(Unit(unicodedata.normalize("NFC", "".join(word)), start, end))
                    word = []
                follows = False
            elif is_unspaced(character):
                if word:
                    found.append(Unit(unicodedata.normalize("NFC", "".join(word)), start, end))
                    word = []
                if follows or not _is_mark(character) or original.isalnum():
                    _add_character(found, Unit(character, at, at + 1), follows=follows)
                    follows = True
            elif word or not _is_mark(character) or original.isalnum():
                if not word:
                    start = at
                word.append(character)
                end = at + 1
                follows = False
    if word:
        found.append(Unit(unicodedata.normalize("NFC", "".join(word)), start, end))
    return found


def _add_character(found: list[Unit], unit: Unit, *, follows: bool) -> None:
    """Marks are brought into canonical order, and composed with their character where Unicode has one for both."""
    rank = unicodedata.combining(unit.text)
    at = len(found)
    if follows and rank:
        while at > 0 and unicodedata.combining(found[at - 1].text) > rank:
            at -= 1
        if at == len(found) and at > 0:
            whole = unicodedata.normalize("NFC", found[-1].text + unit.text)
            if len(whole) == 1:
                found[-1] = Unit(whole, found[-1].start, unit.end)
                return
    found.insert(at, unit)


@lru_cache(maxsize=1 << 14)
def _fold(character: str) -> str:
    """What a character becomes: letters, digits and marks; a blank where words end; nothing where it means nothing."""
    if not character.isalnum():
        kind = unicodedata.category(character)
        if kind[0] != "M":
            # Format characters lie inside words: soft hyphens, joiners, marks of direction.
            return "" if kind == "Cf" and character != _ZERO_WIDTH_SPACE else _BREAK
    apart = character
    for _ in range(2):  # case folding may make what can be decomposed, and the other way round
        apart = unicodedata.normalize("NFKD", apart.casefold())
    apart = apart.replace("ı", "i")
    if _FRACTION_SLASH in apart:
        apart = f"{_BREAK}{apart}{_BREAK}"  # 5½ is 5 and 1 and 2
    kept = "".join(c if c.isalnum() or _is_mark(c) else _BREAK for c in apart if c.isalnum() or not _is_accent(c))
    if character.isalnum() and not kept.strip(_BREAK):
        return apart.strip(_BREAK)  # an accent that is a letter of its own
    return kept


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _is_accent(character: str) -> bool:
    """A mark that words are compared without: accents, vowel points of Hebrew and Arabic, choices of a glyph.

    Vowel signs of Indic and South-East Asian scripts are part of the word, and so are voicing marks of kana.
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
    """What the index of words holds of a text."""
    return " ".join(index_tokens([unit.text for unit in units(text)]))


def index_tokens(words: Sequence[str]) -> Iterator[str]:
    """The token of each unit in the index."""
    for at, word in enumerate(words):
        if is_unspaced(word) and at + 1 < len(words) and is_unspaced(words[at + 1]):
            yield word + words[at + 1]
        else:
            yield word


def unfolded(stored: str) -> list[str]:
    """The units, in order, of what `folded` made."""
    return [token[0] if is_unspaced(token) else token for token in stored.split(" ")] if stored else []


# -- the query language of FTS5; a unit holds letters, digits and marks, never a quote


def match_word(term: str) -> str:
    """Matches a term of a query: a word, a word with * (whatever begins so), one or two unspaced characters."""
    if term.endswith("*"):
        return f'"{term[:-1]}" *'
    return match_units(list(term)) if is_unspaced(term) else f'"{term}"'


def match_units(words: Sequence[str]) -> str:
    """Matches units that stand one after the other. English words match by their stems."""
    tokens = list(index_tokens(words))
    if not is_unspaced(words[-1]):
        return f'"{" ".join(tokens)}"'
    if len(words) > 1 and is_unspaced(words[-2]):
        return f'"{" ".join(tokens[:-1])}"'  # the last character is part of the token before
    return f'"{" ".join(tokens)}" *'
