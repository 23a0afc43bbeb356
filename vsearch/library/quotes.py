"""Find quotations in a query, in many languages. A mark may be no quotation: inches (5" pipe), Hebrew abbreviations."""

from __future__ import annotations

_CLOSERS = {
    '"': '"”“＂',
    "＂": '＂"',
    "“": '”"“',
    "„": '“”"',
    "‟": '”"',
    "”": '”"',
    "«": '»"',
    "»": '«»"',
    "「": "」",
    "『": "』",
    "﹁": "﹂",
    "﹃": "﹄",
}
"""Marks that may open a quotation, each with the marks that may close it."""
_PAIRED = frozenset("“„‟«「『﹁﹃")
"""Marks that open a quotation whatever precedes them."""
_PAIRED_ENDS = frozenset("」』﹂﹄")
_BEFORE = frozenset("([{<-–—/¿¡,;:.!?、。，：；（「『“«„")
"""What may precede a mark that opens a quotation, besides a space."""


def split_quotes(text: str) -> tuple[list[str], str]:
    """Split a query into its quotations, in order, and the rest. An unpaired mark is no quotation."""
    quoted, rest, i = [], [], 0
    unclosed: set[str] = set()  # opening marks that nothing closes from here on
    while i < len(text):
        end = _closing(text, i) if text[i] not in unclosed and _opens(text, i) else None
        if end is None:
            if text[i] in _CLOSERS and not any(closer in text[i + 1 :] for closer in _CLOSERS[text[i]]):
                unclosed.add(text[i])
            rest.append(text[i])
            i += 1
        else:
            quoted.append(text[i + 1 : end])
            rest.append(" ")
            i = end + 1
    return quoted, "".join(rest)


def _opens(text: str, i: int) -> bool:
    """Whether the character at index i may open a quotation."""
    mark = text[i]
    if mark not in _CLOSERS:
        return False
    if mark in _PAIRED:
        return True
    before = text[:i].rstrip()[-1:]
    if before == text[i - 1 : i]:  # no space before the mark
        return before == "" or before in _BEFORE
    return not (before.isdigit() and _is_space(text, i + 1))  # 5 " is five inches, too


def _closing(text: str, opening: int) -> int | None:
    """The index of the mark that closes the quotation opened at index `opening`; None if there is none."""
    closers = _CLOSERS[text[opening]]
    fallback = None  # closes the quotation unless a better mark follows
    for i in range(opening + 1, len(text)):
        if text[i] not in closers:
            if fallback is not None and text[i] in _CLOSERS and _opens(text, i):
                break
            continue
        if text[i] in _PAIRED_ENDS:
            return i
        if i > opening + 1 and _opens(text, i) and not _is_space(text, i + 1):
            break  # another quotation opens
        inches = text[i - 1].isdigit() and not _is_space(text, opening + 1)  # "a 5" pipe"
        inside = text[i - 1].isalnum() and text[i + 1 : i + 2].isalnum()  # a Hebrew abbreviation
        if text[i] != '"' or not (inches or inside):
            return i
        fallback = i if fallback is None else fallback
    return fallback


def _is_space(text: str, i: int) -> bool:
    """Whether there is a space, or the end of the text, at index i."""
    return i >= len(text) or text[i].isspace()
