"""What a client may ask of /search, as FastAPI reads it, and the Query that it becomes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vsearch.errors import QueryError
from vsearch.phrases import LONGEST_PHRASE
from vsearch.search.example import Example, SceneExample
from vsearch.search.query import RECALL, Query
from vsearch.server.limits import MAX_HITS, MAX_LABELS, MAX_WORDS

LARGEST_ID = 2**63 - 1
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
SceneId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class Filters(BaseModel):
    """What stands in the address, beside the words: as the options of `vsearch query`."""

    model_config = ConfigDict(extra="forbid")

    k: Annotated[int, Field(ge=1, le=MAX_HITS, description="At most this many hits.")] = 10
    per_video: Annotated[int | None, Field(ge=1, le=MAX_HITS, description="At most so many of one file.")] = None
    path: Annotated[
        str | None, Field(min_length=1, max_length=500, description="Only files whose path or name fits, as *.mkv.")
    ] = None
    folder: Annotated[
        str | None, Field(max_length=4096, pattern="^/[^\\x00]*$", description="Only what lies below this folder.")
    ] = None
    since: Annotated[datetime | None, Field(description="Recorded (else modified) then or later.")] = None
    until: Annotated[datetime | None, Field(description="Recorded (else modified) before.")] = None
    min_duration: Annotated[Seconds | None, Field(description="Only scenes at least so many seconds long.")] = None
    max_duration: Annotated[Seconds | None, Field(description="Only scenes at most so many seconds long.")] = None
    has_speech: Annotated[bool | None, Field(description="Only scenes in which something is said, or nothing.")] = None
    language: Annotated[
        str | None, Field(min_length=2, max_length=35, description="Only videos in which it is spoken, as en.")
    ] = None
    label: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=LONGEST_PHRASE)]],
        Field(max_length=MAX_LABELS, description="Only scenes with this label; of several all."),
    ] = []
    channel: Annotated[
        Literal["all", "visual", "speech", "text"], Field(description="Search what is seen, said, written, or all.")
    ] = "all"
    rerank: Annotated[Literal["none", "late", "itm"] | None, Field(description="How the best are looked at again.")] = (
        None
    )
    recall: Annotated[int, Field(ge=1, le=MAX_HITS, description="How many are looked at again.")] = RECALL
    moments: Annotated[bool, Field(description="Spans that fit, in the place of whole scenes.")] = False

    def query(self, words: str, example: Example | None) -> Query:
        """Raises QueryError."""
        return Query(
            text=words,
            k=self.k,
            per_video=self.per_video,
            path_glob=self.path,
            folder=None if self.folder is None else Path(self.folder),
            since=self.since,
            until=self.until,
            min_duration=self.min_duration,
            max_duration=self.max_duration,
            has_speech=self.has_speech,
            language=self.language,
            labels=tuple(self.label),
            channel=self.channel,
            rerank=self.rerank,
            recall=self.recall,
            moments=self.moments,
            example=example,
        )


class Asked(Filters):
    """GET /search."""

    q: Annotated[
        str, Field(max_length=MAX_WORDS, description='What can be seen or heard; "in quotes": exactly these words.')
    ] = ""
    like: Annotated[SceneId | None, Field(description="More like this scene.")] = None

    def example(self) -> Example | None:
        return None if self.like is None else SceneExample(self.like)


def only_one(*given: object) -> None:
    """Raises QueryError where there are several."""
    if sum(one is not None for one in given) > 1:
        raise QueryError("Give one of image, clip and like.")
