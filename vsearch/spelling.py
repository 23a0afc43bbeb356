"""Names as they are compared: file systems and keyboards spell the same letters differently."""

from __future__ import annotations

import unicodedata


def composed(text: str) -> str:
    """The text in Unicode's normal form C."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def caseless(text: str) -> str:
    """What all spellings of a name share: case and Unicode normal form mean nothing, accents do."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
