"""Turn hits into the events of a timeline: spans of files, one after the other, in whole frames and exact seconds.

Times in a file of constant frame rate are whole frames of the file. A file of variable rate has no frames that a
program could count: its times stay rational seconds, and on the timeline it fills whole frames of the timeline.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vsearch.clips.material import Material
from vsearch.export.timecode import can_drop, editing_rate, is_drop, label_rate, nearest_rate, to_frame
from vsearch.media import Hit

FALLBACK_RATE = Fraction(25)
"""Frames a second of a timeline of sound alone."""
_SLACK = 0.001
"""Seconds: the library's times are rounded to a millisecond."""
_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """A span of one file at one place of a timeline."""

    hit: Hit
    material: Material
    start: Fraction
    """Seconds from the file's first picture (of a sound file: from its beginning)."""
    end: Fraction
    offset: int
    """Frames of the timeline before it."""
    frames: int
    """Frames of the timeline that it fills, at least one."""

    @property
    def source_rate(self) -> Fraction | None:
        """Frames a second of the file, where they can be counted: `start` and `end` are whole ones of these."""
        return self.material.rate if self.material.steady else None

    @property
    def code_rate(self) -> Fraction | None:
        """Frames a second that the file's own time code counts: 25 for many files of 50 pictures a second."""
        if self.material.time_code_rate is not None:
            return self.material.time_code_rate
        return None if self.material.rate is None else label_rate(self.material.rate)

    @property
    def code_drops(self) -> bool:
        """Whether the file's own time code counts with drop frame."""
        return self.code_rate is not None and can_drop(self.code_rate) and is_drop(self.material.time_code)

    @property
    def first(self) -> Fraction:
        """Seconds that the file's own time code gives its first frame."""
        if self.source_rate is not None and self.code_rate is not None:
            with suppress(ValueError):  # what cameras write is not always a time code
                return to_frame(self.material.time_code, self.code_rate) / self.code_rate
        return Fraction(0)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events one after the other, in the order of the hits."""

    name: str
    rate: Fraction
    """Frames a second, one of EDITING_RATES."""
    drop: bool
    """Labels count with drop frame."""
    events: tuple[TimelineEvent, ...]

    @property
    def frames(self) -> int:
        return sum(event.frames for event in self.events)


def plan(name: str, hits: Sequence[Hit], materials: Mapping[Path, Material], rate: Fraction | None = None) -> Timeline:
    """The timeline of the hits whose files are in `materials`; other hits are left out.

    rate: frames a second of the timeline; by default that of most of the hits' files.
    """
    known = [(hit, materials[hit.video]) for hit in hits if hit.video in materials]
    rate = rate or common_rate([material for _, material in known])
    events, offset = [], 0
    for hit, material in known:
        start, end = source_span(hit.start, hit.end, material)
        frames = max(1, math.floor((end - start) * rate))  # never beyond the end of the file
        events.append(TimelineEvent(hit, material, start, end, offset, frames))
        offset += frames
    return Timeline(name, rate, _drops(rate, events), tuple(events))


def with_handles(hit: Hit, material: Material | None, seconds: float) -> tuple[float, float]:
    """A hit's span, extended by `seconds` on both sides within its file."""
    end = hit.end + seconds
    if material is not None and material.duration > 0:
        end = max(hit.end, min(end, material.duration))
    return max(0.0, hit.start - seconds), end


def common_rate(materials: Sequence[Material]) -> Fraction:
    """A rate that editing programs have and that suits most files, steady ones before others."""
    rates = Counter(editing_rate(one.rate) for one in materials if one.rate and one.steady)
    # Phones record at a variable rate: a mean of 29.8 stands for 30.
    rates = rates or Counter(nearest_rate(label_rate(one.rate)) for one in materials if one.rate)
    return rates.most_common(1)[0][0] if rates else FALLBACK_RATE


def source_span(start: float, end: float, material: Material) -> tuple[Fraction, Fraction]:
    """[start, end) on the player's timeline -> seconds from the first picture, in whole frames where they are steady.

    The frame that is shown at `start` belongs to it, one that appears at `end` does not.
    """
    start, end = max(0.0, start - material.first), max(0.0, end - material.first)
    rate = material.rate if material.steady else None
    if rate is None:
        begin = round(start * 1000) * _MILLISECOND
        return begin, max(begin + _MILLISECOND, round(end * 1000) * _MILLISECOND)
    first = math.floor((Fraction(start) + Fraction(_SLACK)) * rate)
    last = max(first + 1, math.ceil((Fraction(end) - Fraction(_SLACK)) * rate))
    return first / rate, last / rate


def _drops(rate: Fraction, events: Sequence[TimelineEvent]) -> bool:
    """As the first file's own time code has it; without any, drop frame, which keeps up with the clock."""
    if not can_drop(rate):
        return False
    own = [one.code_drops for one in events if one.material.time_code and one.code_rate and can_drop(one.code_rate)]
    return own[0] if own else True
