"""Read hits that `vsearch query --json` wrote. The file is untrusted input: every field is validated."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, BinaryIO

from vsearch.errors import InputError
from vsearch.media import Hit, Segment

LARGEST = 256_000_000
"""Bytes: the largest file that is read."""


def read_hits(file: BinaryIO, name: str) -> list[Hit]:
    """The hits of a file, in its order: a list, or an object with a list `hits`. Raises InputError."""
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InputError(f"{name} is larger than {LARGEST // 1_000_000} MB: it holds no hits.")
    try:
        value = json.loads(data)
        found = value["hits"] if isinstance(value, dict) else value
        if not isinstance(found, list):
            raise TypeError("no list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{name} holds no hits: give what `vsearch query --json` prints.") from error
    return [_hit(fields, number, name) for number, fields in enumerate(found, start=1)]


def _hit(fields: Any, number: int, name: str) -> Hit:
    try:
        start, end = _seconds(fields["start"]), _seconds(fields["end"])
        video = fields["video"]
        if not isinstance(video, str) or not video or "\0" in video or not start < end:
            raise ValueError("no span of a file")
        segments = tuple(
            Segment(
                _seconds(line["start"]), _seconds(line["end"]), str(line["text"]), str(line.get("channel", "speech"))
            )
            for line in fields.get("segments", ())
        )
        return Hit(
            rank=min(max(int(fields.get("rank", number)), 0), 999_999),
            score=float(fields.get("score", 0.0)),
            video=Path(video).absolute(),
            start=start,
            end=end,
            channels={str(key): float(value) for key, value in fields.get("channels", {}).items()},
            best_time=_seconds(fields.get("best_time", start)),
            segments=segments,
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(f"Hit {number} of {name} is not valid: give what `vsearch query --json` prints.") from error


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not (math.isfinite(seconds) and 0 <= seconds < 1e7):
        raise ValueError("no time")
    return seconds
