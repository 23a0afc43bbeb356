"""What a subtitle file says: SubRip, WebVTT, (Advanced) SubStation Alpha, read by what they hold, not by their ending.

read_subtitles(path, language) -> Subtitles       MediaError where nothing in it can be read
within(lines, duration) -> lines                  none of which ends after its video

Times are seconds on the player's timeline. A cue that makes no sense is left out and counted. Files are hostile input:
their size, the number of cues and the length of each are limited, and no pattern takes more than linear time.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vsearch.errors import MediaError
from vsearch.indexer.charsets import decode_text
from vsearch.media import Segment

LARGEST = 16 * 1024 * 1024
"""Bytes: subtitles of a whole day are smaller."""
MOST_CUES = 200_000
"""Two a second for a whole day."""
LONGEST_TEXT = 2_000
"""Characters of one cue; what comes after them is left out."""
LONGEST_CUE = 60.0
"""Seconds: a longer cue that others follow before its end is taken to end when they begin."""
SHORTEST_READ = 5.0
"""Seconds that such a cue keeps at least."""

_CLOCK = r"((?:\d{1,4}:)?\d{1,3}:\d{1,2}(?:[.,]\d{1,9})?)"
_TIMING = re.compile(rf"\s*(-?){_CLOCK}\s*-->\s*(-?){_CLOCK}")
_TIME = re.compile(rf"\s*{_CLOCK}\s*")
_TAG = re.compile(r"</?[a-zA-Z0-9:.][^<>\n]*>|\{[^{}\n]*\}")
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9]")
_JOINERS = "\u200c\u200d"
"""Unseen, but they belong to the spelling of Persian, of Indic scripts and of emoji."""


@dataclass(frozen=True, slots=True)
class Subtitles:
    """What a subtitle file says."""

    lines: tuple[Segment, ...]
    """In time order."""
    unreadable: int
    """Cues that were left out."""


def read_subtitles(path: Path, language: str | None = None) -> Subtitles:
    """Read a subtitle file of any of the kinds. language: ISO 639, where the file's name tells it; it tells how to
    decode a file that is not in Unicode.

    Raises MediaError with one line, OSError where it cannot be opened.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise MediaError(f"{path.name} is too large for subtitles ({LARGEST // 2**20} MiB at most)")
    try:
        text = decode_text(data, language).replace("\r\n", "\n").replace("\r", "\n")
    except MediaError as error:
        raise MediaError(f"{path.name} cannot be read: {error}") from error
    cues = _ass_cues(text) if re.search(r"^\[(?:script info|events)\]", text, re.I | re.M) else _timed_cues(text)
    lines, unreadable = [], 0
    for count, cue in enumerate(cues):
        if count >= MOST_CUES:
            raise MediaError(f"{path.name} holds more than {MOST_CUES} cues")
        if cue is None or not max(0.0, cue[0]) < cue[1]:
            unreadable += 1
            continue
        start, end, raw = cue
        said = plain(raw)
        if said:
            lines.append(Segment(max(0.0, start), end, said))
    if not lines and (unreadable or text.strip()):
        raise MediaError(f"no subtitle can be read in {path.name}")
    lines.sort(key=lambda line: (line.start, line.end))
    return Subtitles(tuple(_shortened(list(_unrolled(lines)))), unreadable)


def within(lines: Sequence[Segment], duration: float) -> tuple[Segment, ...]:
    """What lies inside [0, duration): ends are moved there, and what begins later is left out.

    Where the duration is 0.0, it is not known, and no line is longer than LONGEST_CUE.
    """
    if duration <= 0:
        return tuple(replace(line, end=min(line.end, line.start + LONGEST_CUE)) for line in lines)
    return tuple(
        line
        if line.end <= duration
        else replace(
            line,
            end=duration,
            words=tuple(replace(word, end=min(word.end, duration)) for word in line.words if word.start < duration),
        )
        for line in lines
        if line.start < duration
    )


def plain(raw: str) -> str:
    """The words of a cue on one line: no tags, no styles, no entities, no characters that are not seen."""
    text = html.unescape(_TAG.sub("", raw))
    return " ".join("".join(map(_seen, text)).split())[:LONGEST_TEXT].rstrip()


def _seen(c: str) -> str:
    if c.isprintable() or c in _JOINERS:
        return c
    # Directions and soft hyphens stand inside words; line breaks and control characters part them.
    return "" if unicodedata.category(c) == "Cf" else " "


_Cue = tuple[float, float, str]


def _timed_cues(text: str) -> Iterator[_Cue | None]:
    """SubRip and WebVTT: a line with two times, and words until an empty line. None: times that cannot be read."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if "-->" not in line:
            continue
        words = []
        while at < len(lines) and lines[at].strip() and "-->" not in lines[at]:
            words.append(lines[at])
            at += 1
        # Where the empty line is missing, the number of the next cue is not spoken.
        if at < len(lines) and "-->" in lines[at] and words and words[-1].strip().isdigit():
            words.pop()
        times = _TIMING.match(line)
        if times is None:
            yield None
            continue
        start, end = (
            -_seconds(clock) if sign else _seconds(clock) for sign, clock in (times.group(1, 2), times.group(3, 4))
        )
        yield start, end, "\n".join(words)


def _ass_cues(text: str) -> Iterator[_Cue | None]:
    """Advanced SubStation Alpha: Dialogue lines, whose columns a Format line names."""
    columns = ["layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text"]
    inside = False
    for line in text.split("\n"):
        if line.startswith("["):
            inside = line.strip().lower() == "[events]"
        kind, _, rest = line.partition(":")
        if inside and kind.strip().lower() == "format":
            named = [column.strip().lower() for column in rest.split(",")]
            if {"start", "end", "text"} <= set(named) and named[-1] == "text":
                columns = named
        elif inside and kind.strip().lower() == "dialogue":
            fields = rest.split(",", len(columns) - 1)
            cue = dict(zip(columns, fields, strict=False))
            try:
                words = dialogue_text(cue["text"])
                yield _seconds(cue["start"]), _seconds(cue["end"]), words
            except (KeyError, ValueError):
                yield None


def dialogue_text(raw: str) -> str:
    """The words of an ASS text field; drawings say nothing."""
    if _DRAWING.search(raw):
        return ""
    return raw.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")


def _seconds(clock: str) -> float:
    """1:02:03.45, 02:03,456. Raises ValueError."""
    if _TIME.fullmatch(clock) is None:
        raise ValueError(f"no time: {clock[:20]!r}")
    seconds = 0.0
    for part in clock.strip().replace(",", ".").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def _shortened(lines: Sequence[Segment]) -> Iterator[Segment]:
    """End cues without a proper end, and titles that stay on screen, where other cues follow."""
    for at, line in enumerate(lines):
        if line.end - line.start > LONGEST_CUE and at + 1 < len(lines) and lines[at + 1].start < line.end:
            line = replace(line, end=min(line.end, max(lines[at + 1].start, line.start + SHORTEST_READ)))
        yield line


def _unrolled(lines: Iterable[Segment]) -> Iterator[Segment]:
    """Without what rolls: live captions show the last line again above the new one, and a cue again and again."""
    shown: list[str] = []  # words of the cue before, as it was shown
    until = 0.0
    for line in lines:
        words = line.text.split()
        rolled = _overlap(shown, words) if line.start <= until + 0.1 else 0
        if rolled < len(words):
            yield Segment(line.start, line.end, " ".join(words[rolled:]))
        shown, until = words, line.end


MOST_ROLLED = 100
"""Words that may be shown again."""


def _overlap(before: Sequence[str], after: Sequence[str]) -> int:
    """How many words at the end of one cue are shown again at the beginning of the next; fewer than three by chance,
    unless they are all there was."""
    for size in range(min(len(before), len(after), MOST_ROLLED), 0, -1):
        if before[-size:] == after[:size] and (size >= 3 or size == len(before)):
            return size
    return 0
