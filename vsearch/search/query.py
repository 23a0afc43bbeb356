"""What a person asks: words or an example, how many hits, and which part of the library counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from vsearch.errors import QueryError
from vsearch.languages import short_language
from vsearch.media import TRANSCRIPT_CHANNELS
from vsearch.search.example import Example, SceneExample

MAX_TEXT = 10_000
"""Characters: far beyond what any text tower reads, small enough that a hostile query costs nothing."""
MAX_K = 100_000

Rerank = Literal["none", "late", "itm"]
RERANKS: tuple[Rerank, ...] = get_args(Rerank)
Channel = Literal["all", "visual", "speech", "text"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
TEXT = "ocr"
"""What the library calls the channel that a person calls text."""
RECALL = 100
"""Scenes that are re-ranked: what the Speed figures of benchmarks/rerank.py are stated for."""


@dataclass(frozen=True, slots=True)
class Query:
    """Raises QueryError where it makes no sense."""

    text: str = ""
    """What can be seen or heard. May be empty where there is an example."""
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
    max_duration: float | None = None
    """Only scenes of at most this many seconds."""
    folder: Path | None = None
    """Only this file, or what lies below this folder; absolute."""
    has_speech: bool | None = None
    """Only scenes in which something is (or is not) known to be said."""
    language: str | None = None
    """Only videos in which this language is spoken: an ISO 639 code such as en."""
    labels: tuple[str, ...] = ()
    """Only scenes that have every one of these labels (labels.py). Without words or an example: these scenes, as their
    labels are seen in them, best first."""
    rerank: Rerank | None = None
    """What re-orders the recalled scenes; None is the model's matching head ("itm") where it has one, else "none"."""
    recall: int = RECALL
    """How many scenes are re-ranked, however many hits are asked for."""
    channel: Channel = "all"
    """What is searched: what is seen, what is said, what is written in pictures, or all of it."""
    moments: bool = False
    """Hits are the spans in which the description holds, not whole scenes."""
    example: Example | None = None
    """A picture, a clip or a scene to look for, in the place of words or beside them."""
    example_weight: float = 0.5
    """Beside words: what the example weighs, from 0 (words alone) to 1."""

    def __post_init__(self) -> None:
        if not self.text.strip() and self.example is None and not self.labels:
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
        for name, limit in (("shortest", self.min_duration), ("longest", self.max_duration)):
            if limit is not None and not (math.isfinite(limit) and limit >= 0):
                raise QueryError(f"The {name} duration must be 0 seconds or more, not {limit}.")
        if self.min_duration is not None and self.max_duration is not None and self.min_duration > self.max_duration:
            raise QueryError(f"No scene lasts at least {self.min_duration} and at most {self.max_duration} seconds.")
        if self.since is not None and self.until is not None and _moment(self.since) >= _moment(self.until):
            raise QueryError(
                f"Nothing can lie between {self.since} and {self.until}: the second must be the later one."
            )
        if self.path_glob == "":
            raise QueryError("The path pattern is empty: give one such as '*/holiday/*.mp4'.")
        if self.folder is not None and not self.folder.is_absolute():
            raise QueryError(f"The folder {self.folder} must be given from the root on.")
        if self.language is not None and short_language(self.language) is None:
            raise QueryError(f"There is no language {self.language!r}: give a code such as en, de or zh.")
        if not all(label.strip() and len(label) <= MAX_TEXT for label in self.labels):
            raise QueryError("A label is empty or too long: give one such as dog (`vsearch label --list` names them).")
        if not 0 <= self.example_weight <= 1:
            raise QueryError(f"An example weighs from 0 to 1, not {self.example_weight}.")
        if self.example is not None:
            self._check_example()
        elif not self.has_words and self.channel in ("speech", "text"):
            raise QueryError(
                f"Labels can be seen, not heard or read: add words, or leave out --channel {self.channel}."
            )

    def _check_example(self) -> None:
        if self.channel in ("speech", "text"):
            raise QueryError(f"An example can be seen, not heard or read: leave out --channel {self.channel}.")
        if not self.has_words and self.rerank == "itm":
            raise QueryError("The matching head reads words: with an example alone use --rerank late or none.")
        if self.moments and isinstance(self.example, SceneExample):
            raise QueryError("More like a scene are scenes: leave out --moments.")

    @property
    def has_words(self) -> bool:
        return bool(self.text.strip())

    @property
    def wording(self) -> str:
        """What pictures are held against: the words, or the labels where there is nothing else."""
        return self.text if self.has_words or self.example is not None else ", ".join(self.labels)

    @property
    def word_channels(self) -> tuple[str, ...]:
        """Channels of words that are searched, as the library calls them."""
        if not self.has_words:
            return ()
        if self.channel == "all":
            return TRANSCRIPT_CHANNELS
        return {"visual": (), "speech": ("speech",), "text": (TEXT,)}[self.channel]

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
