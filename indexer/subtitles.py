"""Subtitles that lie beside a video: what a person wrote beats what a model guesses.

find_sidecar(path, names, language) -> Path | None      name.srt, name.en.srt, name.mp4.srt; .vtt, .ass and .ssa too
read_subtitles(path) -> Subtitles                       MediaError where nothing in it can be read

Formats are read by what they hold, not by their ending. Times are seconds on the player's timeline. A cue that makes no
sense is left out and counted.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsearch.errors import MediaError
from vsearch.media import FileStamp, TranscriptLine

ENDINGS = (".srt", ".vtt", ".ass", ".ssa")
"""Where two lie beside a video, in the order in which they are preferred."""

LARGEST = 16 * 1024 * 1024
"""Bytes: subtitles of a whole day are smaller."""
LONGEST_TEXT = 2_000
"""Characters of one cue; what comes after them is left out."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*")
_FLAGS = frozenset({"sdh", "cc", "hi", "forced", "default", "foreign"})
_TIMING = re.compile(r"\s*((?:\d+:)?\d{1,3}:\d{1,2}[.,]\d{1,3})\s*-->\s*((?:\d+:)?\d{1,3}:\d{1,2}[.,]\d{1,3})")
_TAG = re.compile(r"</?[a-zA-Z0-9:.][^>\n]*>|</?[bius]>|\{[^}\n]*\}")


@dataclass(frozen=True, slots=True)
class Subtitles:
    """What a subtitle file says."""

    lines: tuple[TranscriptLine, ...]
    """In time order."""
    unreadable: int
    """Cues that were left out."""


def sidecar_recipe(stamp: FileStamp) -> str:
    """See Transcript.recipe: other bytes in the subtitle file have another recipe."""
    return f"sidecar 1 {stamp.path.name} {stamp.size} {stamp.mtime_ns}"


def find_sidecar(video: Path, names: Iterable[str], language: str | None = None) -> Path | None:
    """The best of the files in the video's folder (`names`) that carry its subtitles; None where none does.

    language: preferred where there are several; else the one without a language, else English, else the first by name.
    """
    ranked = []
    for name in names:
        tag = _language_of(name, video)
        if tag is not None:
            spoken, forced, ending = tag
            if language is not None and spoken.split("-")[0] == language.split("-")[0].lower():
                taste = 0
            else:
                taste = {"": 1, "en": 2}.get(spoken.split("-")[0], 3)
            ranked.append((forced, taste, ENDINGS.index(ending), name))
    return video.with_name(min(ranked)[3]) if ranked else None


def sidecar_language(sidecar: Path, video: Path) -> str | None:
    """The language that its name tells."""
    tag = _language_of(sidecar.name, video)
    return tag[0] or None if tag else None


def _language_of(name: str, video: Path) -> tuple[str, bool, str] | None:
    """(language or "", whether it is only for foreign parts, ending) of a name that belongs to the video."""
    base, dot, ending = name.rpartition(".")
    ending = (dot + ending).lower()
    if ending not in ENDINGS:
        return None
    for stem in (video.name, video.stem):
        if base == stem:
            return "", False, ending
        if base.startswith(stem + "."):
            parts = base[len(stem) + 1 :].lower().split(".")
            tags = [part for part in parts if part not in _FLAGS]
            if len(tags) <= 1 and all(_LANGUAGE.fullmatch(tag) for tag in tags):
                spoken = tags[0].replace("_", "-") if tags else ""
                return spoken, bool({"forced", "foreign"} & set(parts)), ending
    return None


def read_subtitles(path: Path) -> Subtitles:
    """Read a subtitle file of any of the kinds. Raises MediaError with one line, OSError where it cannot be opened."""
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise MediaError(f"{path.name} is too large for subtitles ({LARGEST // 2**20} MiB at most)")
    text = _decode(data).replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise MediaError(f"{path.name} is not text")
    cues = _ass_cues(text) if re.search(r"^\[(?:script info|events)\]", text, re.I | re.M) else _timed_cues(text)
    lines, unreadable = [], 0
    for cue in cues:
        if cue is None or not 0 <= cue[0] < cue[1]:
            unreadable += 1
            continue
        start, end, raw = cue
        said = plain(raw)
        if said:
            lines.append(TranscriptLine(start, end, said))
    if not lines and (unreadable or text.strip()):
        raise MediaError(f"no subtitle can be read in {path.name}")
    lines.sort(key=lambda line: (line.start, line.end))
    return Subtitles(tuple(_unrolled(lines)), unreadable)


def plain(raw: str) -> str:
    """The words of a cue on one line: no tags, no styles, no entities."""
    text = html.unescape(_TAG.sub("", raw))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_TEXT]


def _decode(data: bytes) -> str:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(name, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what old editors wrote


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
        yield (_seconds(times[1]), _seconds(times[2]), "\n".join(words)) if times else None


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
    if re.search(r"\{[^}]*\\p[1-9]", raw):
        return ""
    return raw.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")


def _seconds(clock: str) -> float:
    """1:02:03.45, 02:03,456. Raises ValueError."""
    seconds = 0.0
    for part in clock.strip().replace(",", ".").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def _unrolled(lines: Iterable[TranscriptLine]) -> Iterator[TranscriptLine]:
    """Without what rolls: live captions show the last line again above the new one, and a cue again and again."""
    shown: list[str] = []  # words of the cue before, as it was shown
    until = 0.0
    for line in lines:
        words = line.text.split()
        rolled = _overlap(shown, words) if line.start <= until + 0.1 else 0
        if rolled < len(words):
            yield TranscriptLine(line.start, line.end, " ".join(words[rolled:]))
        shown, until = words, line.end


def _overlap(before: Sequence[str], after: Sequence[str]) -> int:
    """How many words at the end of one cue are shown again at the beginning of the next; fewer than three by chance,
    unless they are all there was."""
    for size in range(min(len(before), len(after)), 0, -1):
        if before[-size:] == after[:size] and (size >= 3 or size == len(before)):
            return size
    return 0
