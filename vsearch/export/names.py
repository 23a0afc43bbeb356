"""Names for clips that every file system takes, out of names that nobody can trust."""

from __future__ import annotations

import math
from collections.abc import Collection

from vsearch.media import Hit
from vsearch.spelling import caseless

_LONGEST = 80
"""Bytes of a video's name that its clips keep."""


def clip_name(hit: Hit, start: float) -> str:
    """03_holiday_1m02.5s: rank, video and where it begins, without the ending of a file.

    No separator, no leading dot or dash, nothing that Windows refuses; short enough with any ending.
    """
    kept = "".join(c if c.isalnum() or c in " ._-" else "_" for c in hit.video.stem)
    stem = kept.encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore").strip(" .")
    minutes, tenths = divmod(math.floor(start * 10 + 0.01), 600)
    return f"{hit.rank:02d}_{stem or 'video'}_{minutes}m{tenths // 10:02d}.{tenths % 10}s"


def unused_name(name: str, used: Collection[str]) -> str:
    """The name, with a number behind it where its `name_key` is among those that are used."""
    number, made = 1, name
    while name_key(made) in used:
        number += 1
        made = f"{name}_{number}"
    return made


def name_key(name: str) -> str:
    """Names with the same key are one file on some file system: macOS and Windows ignore case, macOS how an accent is
    written."""
    return caseless(name)
