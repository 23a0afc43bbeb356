"""What a query puts in quotes, and what only looks like it: the inches of a 5" pipe, a mark inside an abbreviation."""

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
"""What may open a quotation, and what may close it then."""
_PAIRED = frozenset("“„‟«「『﹁﹃")
"""These open whatever stands before them."""
_PAIRED_ENDS = frozenset("」』﹂﹄")
_BEFORE = frozenset("([{<-–—/¿¡,;:.!?、。，：；（「『“«„")
"""What may stand before a mark that opens, beside a blank."""


def split_quotes(text: str) -> tuple[list[str], str]:
    """What is quoted, in order, and the rest. A mark without its other half is no quotation."""
    quoted, rest, at = [], [], 0
    unclosed: set[str] = set()  # marks of which no later one is closed, either
    while at < len(text):
        end = _closing(text, at) if text[at] not in unclosed and _opens(text, at) else None
        if end is None:
            if text[at] in _CLOSERS and not any(closer in text[at + 1 :] for closer in _CLOSERS[text[at]]):
                unclosed.add(text[at])
            rest.append(text[at])
            at += 1
        else:
            quoted.append(text[at + 1 : end])
            rest.append(" ")
            at = end + 1
    return quoted, "".join(rest)


def _opens(text: str, at: int) -> bool:
    mark = text[at]
    if mark not in _CLOSERS:
        return False
    if mark in _PAIRED:
        return True
    before = text[:at].rstrip()[-1:]
    if before == text[at - 1 : at]:  # no blank before the mark
        return before == "" or before in _BEFORE
    return not (before.isdigit() and _blank(text, at + 1))  # 5 " is five inches, too


def _closing(text: str, opening: int) -> int | None:
    """Where a quotation ends that begins at `opening`."""
    closers = _CLOSERS[text[opening]]
    perhaps = None  # a mark that closes it unless a better one follows
    for at in range(opening + 1, len(text)):
        if text[at] not in closers:
            if perhaps is not None and text[at] in _CLOSERS and _opens(text, at):
                break
            continue
        if text[at] in _PAIRED_ENDS:
            return at
        if at > opening + 1 and _opens(text, at) and not _blank(text, at + 1):
            break  # the beginning of another one
        inches = text[at - 1].isdigit() and not _blank(text, opening + 1)  # "a 5" pipe"
        inside = text[at - 1].isalnum() and text[at + 1 : at + 2].isalnum()  # a Hebrew abbreviation
        if text[at] != '"' or not (inches or inside):
            return at
        perhaps = at if perhaps is None else perhaps
    return perhaps


def _blank(text: str, at: int) -> bool:
    return at >= len(text) or text[at].isspace()
