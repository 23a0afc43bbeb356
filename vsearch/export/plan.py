"""From hits to events: which frames of which file, one after the other. Times here are whole frames and exact seconds.

A file of a steady rate is counted in its own frames. One of a variable rate has none that a program could count:
its times stay rational seconds, and on the timeline it fills whole frames of that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vsearch.clips.material import Material
from vsearch.export.timecode import can_drop, is_drop, label_rate
from vsearch.media import Hit

FALLBACK_RATE = Fraction(25)
"""Frames a second of a timeline of sound alone."""
_SLACK = 0.001
"""Seconds: the library's times are rounded to a millisecond."""
_MILLISECOND = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Event:
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


@dataclass(frozen=True, slots=True)
class Timeline:
    """Events one after the other, in the order of the hits."""

    name: str
    rate: Fraction
    """Frames a second, at most 60."""
    drop: bool
    """Labels count with drop frame."""
    events: tuple[Event, ...]

    @property
    def frames(self) -> int:
        return sum(event.frames for event in self.events)


def plan(name: str, hits: Sequence[Hit], materials: Mapping[Path, Material], rate: Fraction | None = None) -> Timeline:
    """Hits of the files whose material is known; the others are left out.

    rate: frames a second of the timeline; by default that of most of the hits' files.
    """
    known = [(hit, materials[hit.video]) for hit in hits if hit.video in materials]
    rate = rate or common_rate([material for _, material in known])
    events, offset = [], 0
    for hit, material in known:
        start, end = source_span(hit.start, hit.end, material)
        frames = max(1, math.floor((end - start) * rate))  # never beyond the end of the file
        events.append(Event(hit, material, start, end, offset, frames))
        offset += frames
    return Timeline(name, rate, _drops(rate, [material for _, material in known]), tuple(events))


def with_handles(hit: Hit, material: Material | None, seconds: float) -> tuple[float, float]:
    """A hit's span with so many seconds more before and after it, within its file."""
    end = hit.end + seconds
    if material is not None and material.duration > 0:
        end = max(hit.end, min(end, material.duration))
    return max(0.0, hit.start - seconds), end


def common_rate(materials: Sequence[Material]) -> Fraction:
    """The rate of most files, steady ones before others; at most 60."""
    for chosen in ([one for one in materials if one.steady], materials):
        rates = Counter(label_rate(one.rate) for one in chosen if one.rate)
        if rates:
            best = rates.most_common(1)[0][0]
            return best if chosen and any(one.steady for one in chosen) else _whole(best)
    return FALLBACK_RATE


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


def _whole(rate: Fraction) -> Fraction:
    """A rate for pictures of a variable one: telephones mean 30 where their mean is 29.8."""
    usual = [Fraction(24), Fraction(25), Fraction(30), Fraction(50), Fraction(60)]
    return min(usual, key=lambda one: abs(one - rate))


def _drops(rate: Fraction, materials: Sequence[Material]) -> bool:
    """As the first file's own time code has it; without any, drop frame, which keeps up with the clock."""
    if not can_drop(rate):
        return False
    own = [one.time_code for one in materials if one.time_code and one.rate == rate]
    return is_drop(own[0]) if own else True
