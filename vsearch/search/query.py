"""The query: text or an example, filters, and how many hits are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vsearch.errors import QueryError
from vsearch.library.filters import NO_FILTERS, Filters
from vsearch.media import TRANSCRIPT_CHANNELS
from vsearch.search.example import Example, SceneAt, SceneExample

MAX_TEXT = 10_000
"""Characters: far beyond what any text encoder reads, small enough that a hostile query costs little."""
MAX_K = 100_000

Rerank = Literal["none", "late", "itm"]
RERANKS: tuple[Rerank, ...] = get_args(Rerank)
Channel = Literal["all", "visual", "speech", "ocr"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
RECALL = 100
"""Default number of scenes that are re-ranked; benchmarks/rerank.py measures the speed with this number."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for. Raises QueryError where a value is invalid or two of them exclude each other."""

    text: str = ""
    """What the scene shows, or what is spoken or written in it. "Quoted text" is matched word for word. May be empty
    where there is an example or a label filter."""
    k: int = 10
    """The largest number of hits."""
    per_video: int | None = None
    """The largest number of hits from one video; None: no limit."""
    filters: Filters = NO_FILTERS
    """Conditions that scenes must meet. With labels and neither text nor an example, the hits are the scenes with these
    labels, ordered by how well they match the labels as text."""
    rerank: Rerank | None = None
    """How recalled scenes are re-ranked; None: the model's matching head ("itm") if it has one, else "none"."""
    recall: int = RECALL
    """How many scenes are re-ranked. Independent of k."""
    channel: Channel = "all"
    """What is searched: frames, speech, OCR, or all three."""
    moments: bool = False
    """Hits are the spans in which the query holds, instead of whole scenes."""
    example: Example | None = None
    """A picture, a clip or a scene to search with, alone or together with text."""
    example_weight: float = 0.5
    """Weight of the example where there is text, too: from 0 (only the text) to 1 (only the example)."""

    def __post_init__(self) -> None:
        if not self.has_text and self.example is None and not self.filters.label:
            raise QueryError('The query is empty: describe what can be seen, for example "a dog runs on a beach".')
        if len(self.text) > MAX_TEXT:
            raise QueryError(f"The query has {len(self.text)} characters; the limit is {MAX_TEXT}.")
        if not 1 <= self.k <= MAX_K:
            raise QueryError(f"The number of hits must be from 1 to {MAX_K}, not {self.k}.")
        if self.per_video is not None and self.per_video < 1:
            raise QueryError(f"The number of hits per video must be at least 1, not {self.per_video}.")
        if self.rerank is not None and self.rerank not in RERANKS:
            raise QueryError(f"There is no re-ranking method {self.rerank!r}: use {', '.join(RERANKS)}.")
        if self.channel not in CHANNELS:
            raise QueryError(f"There is no channel {self.channel!r}: use {', '.join(CHANNELS)}.")
        if not 1 <= self.recall <= MAX_K:
            raise QueryError(f"The number of scenes to re-rank must be from 1 to {MAX_K}, not {self.recall}.")
        if not 0 <= self.example_weight <= 1:
            raise QueryError(f"The weight of an example must be from 0 to 1, not {self.example_weight}.")
        if self.example is not None:
            self._check_example()
        elif not self.has_text and self.channel in TRANSCRIPT_CHANNELS:
            raise QueryError(f"--channel {self.channel} searches text: add words to search for, or omit --channel.")

    def _check_example(self) -> None:
        if self.channel in TRANSCRIPT_CHANNELS:
            raise QueryError(f"An example is compared with frames: omit --channel {self.channel}.")
        if not self.has_text and self.rerank == "itm":
            raise QueryError("The matching head needs text: with an example alone use --rerank late or none.")
        if self.moments and isinstance(self.example, SceneExample | SceneAt):
            raise QueryError("A search for similar scenes returns scenes: omit --moments.")

    @property
    def has_text(self) -> bool:
        return bool(self.text.strip())

    @property
    def visual_text(self) -> str:
        """The text that frames are compared with: the query's text, or its labels if there is nothing else."""
        return self.text if self.has_text or self.example is not None else ", ".join(self.filters.label)

    @property
    def transcript_channels(self) -> tuple[str, ...]:
        """The channels of transcripts that are searched."""
        if not self.has_text:
            return ()
        return tuple(channel for channel in TRANSCRIPT_CHANNELS if self.channel in ("all", channel))
