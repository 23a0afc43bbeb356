"""File names for clips that every file system accepts, made from untrusted names of videos."""

from __future__ import annotations

import math
from collections.abc import Collection

from vsearch.media import Hit
from vsearch.spelling import caseless

_LONGEST = 80
"""Bytes of a video's name that its clips keep."""


def clip_name(hit: Hit, start: float) -> str:
    """03_holiday_1m02.5s: rank, name of the video and start of the clip, without a suffix.

    Without path separators, a leading dot or dash, and characters that Windows refuses; short enough with any suffix.
    """
    kept = "".join(c if c.isalnum() or c in " ._-" else "_" for c in hit.video.stem)
    stem = kept.encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore").strip(" .")
    minutes, tenths = divmod(math.floor(start * 10 + 0.01), 600)
    return f"{hit.rank:02d}_{stem or 'video'}_{minutes}m{tenths // 10:02d}.{tenths % 10}s"


def unused_name(name: str, used: Collection[str]) -> str:
    """The name, followed by a number if its `name_key` is in `used`."""
    number, made = 1, name
    while name_key(made) in used:
        number += 1
        made = f"{name}_{number}"
    return made


def name_key(name: str) -> str:
    """Names with the same key are one file on some file system: macOS and Windows ignore case, and macOS ignores how an
    accent is encoded."""
    return caseless(name)
