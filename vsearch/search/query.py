"""What a person asks: words, how many hits, and which part of the library counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from vsearch.errors import QueryError

MAX_TEXT = 10_000
"""Characters: far beyond what any text tower reads, small enough that a hostile query costs nothing."""
MAX_K = 100_000

Rerank = Literal["none", "late", "itm"]
RERANKS: tuple[Rerank, ...] = get_args(Rerank)
Channel = Literal["all", "visual", "speech"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
RECALL = 100
"""Scenes that are re-ranked: what the Speed figures of benchmarks/rerank.py are stated for."""


@dataclass(frozen=True, slots=True)
class Query:
    """Raises QueryError where it makes no sense."""

    text: str
    k: int = 10
    """At most this many hits."""
    per_video: int | None = None
    """At most this many scenes of one file."""
    path_glob: str | None = None
    """Only files whose whole path, or whose name, fits this shell pattern."""
    since: datetime | None = None
    """Only videos recorded (else last modified) at this moment or later. Without a time zone: local time."""
    until: datetime | None = None
    """Only videos recorded (else last modified) before this moment."""
    min_duration: float | None = None
    """Only scenes of at least this many seconds."""
    rerank: Rerank | None = None
    """What re-orders the recalled scenes; None is the model's matching head ("itm") where it has one, else "none"."""
    recall: int = RECALL
    """How many scenes are re-ranked; at least k are."""
    channel: Channel = "all"
    """What is searched: what is seen, what is said, or both."""
    moments: bool = False
    """Hits are the spans in which the description holds, not whole scenes."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise QueryError('The query is empty: describe what can be seen, for example "a dog runs on a beach".')
        if len(self.text) > MAX_TEXT:
            raise QueryError(f"The query has {len(self.text)} characters; at most {MAX_TEXT} are read.")
        if not 1 <= self.k <= MAX_K:
            raise QueryError(f"The number of hits must be from 1 to {MAX_K}, not {self.k}.")
        if self.per_video is not None and self.per_video < 1:
            raise QueryError(f"The number of scenes of one file must be at least 1, not {self.per_video}.")
        if self.rerank is not None and self.rerank not in RERANKS:
            raise QueryError(f"There is no way to re-rank called {self.rerank!r}: use {', '.join(RERANKS)}.")
        if self.channel not in CHANNELS:
            raise QueryError(f"There is no channel {self.channel!r}: use {', '.join(CHANNELS)}.")
        if not 1 <= self.recall <= MAX_K:
            raise QueryError(f"The number of scenes to re-rank must be from 1 to {MAX_K}, not {self.recall}.")
        if self.min_duration is not None and not (math.isfinite(self.min_duration) and self.min_duration >= 0):
            raise QueryError(f"The shortest duration must be 0 seconds or more, not {self.min_duration}.")
        if self.since is not None and self.until is not None and _moment(self.since) >= _moment(self.until):
            raise QueryError(
                f"Nothing can lie between {self.since} and {self.until}: the second must be the later one."
            )
        if self.path_glob == "":
            raise QueryError("The path pattern is empty: give one such as '*/holiday/*.mp4'.")

    @property
    def since_seconds(self) -> float | None:
        """Unix seconds."""
        return None if self.since is None else _moment(self.since)

    @property
    def until_seconds(self) -> float | None:
        """Unix seconds."""
        return None if self.until is None else _moment(self.until)


def _moment(when: datetime) -> float:
    try:
        return when.timestamp()
    except (OverflowError, OSError, ValueError) as error:
        raise QueryError(f"{when} lies outside the dates that this computer knows.") from error
