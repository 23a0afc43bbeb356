"""SMPTE time code (ST 12-1): frames as hh:mm:ss:ff, with and without drop frame.

Drop frame leaves the first labels of each minute out, but for every tenth minute: two of 30 and four of 60 a second. So
labels keep up with the clock although 29.97 frames are shown in a second. No frame is dropped.
"""

from __future__ import annotations

import re
from contextlib import suppress
from fractions import Fraction

from vsearch.errors import InputError

EDITING_RATES = tuple(
    sorted(
        [Fraction(1000 * rate, 1001) for rate in (24, 30, 48, 60)]
        + [Fraction(rate) for rate in (24, 25, 30, 48, 50, 60)]
    )
)
"""Frames a second of timelines that editing programs have."""
_LABEL = re.compile(r"(\d{1,2}):([0-5]\d):([0-5]\d)([:;.,])(\d{1,2})")


def nominal(rate: Fraction) -> int:
    """Labels a second: 24 for 24000/1001. At least 1."""
    return max(1, round(rate))


def can_drop(rate: Fraction) -> bool:
    """Whether there is a drop-frame count for the rate: 29.97 and 59.94."""
    return rate in (Fraction(30_000, 1001), Fraction(60_000, 1001))


def label_rate(rate: Fraction) -> Fraction:
    """The rate that labels count: of more than 60 frames a second every second one, or fourth, has one."""
    while rate > 60:
        rate /= 2
    return rate


def editing_rate(rate: Fraction) -> Fraction:
    """The rate of a timeline for pictures of this rate: the same where editing programs have it, else the lowest in
    which each picture lasts for whole frames, else the nearest whole one."""
    rate = label_rate(rate)
    if rate in EDITING_RATES:
        return rate
    whole = [one for one in EDITING_RATES if (one / rate).denominator == 1]
    return whole[0] if whole else nearest_rate(rate)


def nearest_rate(rate: Fraction) -> Fraction:
    """The nearest whole one that editing programs have."""
    return min((one for one in EDITING_RATES if one.denominator == 1), key=lambda one: abs(one - rate))


def parse_rate(text: str) -> Fraction:
    """A rate that editing programs have, from "25", "23.976" or "30000/1001". Raises InputError."""
    with suppress(ValueError, ZeroDivisionError):
        rate = Fraction(text.strip())
        # 29.97 and 23.98 are rounded: the exact rate next to them is meant.
        nearest = min(EDITING_RATES, key=lambda one: abs(one - rate))
        if abs(nearest - rate) < Fraction(1, 200):
            return nearest
    rates = ", ".join(f"{float(rate):.5g}" for rate in EDITING_RATES)
    raise InputError(f"--rate takes frames a second that editing programs have ({rates}), not {text!r}.")


def to_label(frame: int, rate: Fraction, *, drop: bool = False) -> str:
    """hh:mm:ss:ff, with drop frame ;ff. After 24 hours it begins anew. ValueError: the rate has no drop frame."""
    count = nominal(rate)
    if drop:
        frame += _skipped(frame, rate)
    seconds, rest = divmod(frame, count)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours % 24:02d}:{minute:02d}:{second:02d}{';' if drop else ':'}{rest:02d}"


def to_frame(label: str, rate: Fraction) -> int:
    """The frame of a label; one that is written with ; counts with drop frame, where the rate has it.

    ValueError where it is no label, or one that drop frame leaves out.
    """
    found = _LABEL.fullmatch(label.strip())
    if found is None:
        raise ValueError(f"no time code: {label!r}")
    hours, minutes, seconds, rest = (int(found[group]) for group in (1, 2, 3, 5))
    count = nominal(rate)
    if hours > 23 or rest >= count:
        raise ValueError(f"no time code at {count} frames a second: {label!r}")
    frame = ((hours * 60 + minutes) * 60 + seconds) * count + rest
    if not (is_drop(label) and can_drop(rate)):
        return frame
    left_out = count // 15
    if seconds == 0 and rest < left_out and minutes % 10:
        raise ValueError(f"drop frame leaves {label!r} out")
    whole = hours * 60 + minutes
    return frame - left_out * (whole - whole // 10)


def is_drop(label: str) -> bool:
    """Whether a label counts with drop frame: QuickTime writes ; and others write . or ,"""
    return label.strip()[-3:-2] in (";", ".", ",")


def _skipped(frame: int, rate: Fraction) -> int:
    """Labels that are left out before a frame."""
    if not can_drop(rate):
        raise ValueError(f"there is no drop frame at {float(rate):.3f} frames a second")
    count = nominal(rate)
    left_out = count // 15
    ten = 600 * count - 9 * left_out  # frames of ten minutes
    one = 60 * count - left_out  # of each of its minutes but the first, which has `left_out` more
    tens, rest = divmod(frame, ten)
    minutes = 0 if rest < 60 * count else 1 + (rest - 60 * count) // one
    return left_out * (9 * tens + minutes)
