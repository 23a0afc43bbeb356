"""Unicode normalisation of names: file systems and keyboards encode the same letters differently."""

from __future__ import annotations

import unicodedata


def composed(text: str) -> str:
    """The text in Unicode's normal form C."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def caseless(text: str) -> str:
    """A key that ignores case and Unicode normal form, but not accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
