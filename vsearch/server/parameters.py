"""The parameters of /search, and the Query that is made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vsearch.errors import QueryError
from vsearch.library.filters import Filters
from vsearch.phrases import LONGEST_PHRASE
from vsearch.search.example import Example, SceneExample
from vsearch.search.query import RECALL, Query
from vsearch.server.limits import MAX_HITS, MAX_LABELS, MAX_QUERY_CHARACTERS

LARGEST_ID = 2**63 - 1
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
SceneId = Annotated[int, Field(ge=1, le=LARGEST_ID)]


class Parameters(BaseModel):
    """All parameters but the text and the example, with the names of `Filters` and `Query`."""

    model_config = ConfigDict(extra="forbid")

    k: Annotated[int, Field(ge=1, le=MAX_HITS, description="At most this many hits.")] = 10
    per_video: Annotated[int | None, Field(ge=1, le=MAX_HITS, description="At most this many hits from one video.")] = (
        None
    )
    path: Annotated[
        str | None, Field(min_length=1, max_length=500, description="Only files whose path or name matches, as *.mkv.")
    ] = None
    folder: Annotated[
        str | None, Field(max_length=4096, pattern="^/[^\\x00]*$", description="Only files below this folder.")
    ] = None
    since: Annotated[datetime | None, Field(description="Recorded (or else modified) then or later.")] = None
    until: Annotated[datetime | None, Field(description="Recorded (or else modified) before.")] = None
    min_duration: Annotated[Seconds | None, Field(description="Only scenes of at least this many seconds.")] = None
    max_duration: Annotated[Seconds | None, Field(description="Only scenes of at most this many seconds.")] = None
    has_speech: Annotated[bool | None, Field(description="Only scenes with, or without, transcribed speech.")] = None
    language: Annotated[
        str | None, Field(min_length=2, max_length=35, description="Only videos in which it is spoken, as en.")
    ] = None
    label: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=LONGEST_PHRASE)]],
        Field(max_length=MAX_LABELS, description="Only scenes with this label; repeat it to require several."),
    ] = []
    channel: Annotated[
        Literal["all", "visual", "speech", "ocr"],
        Field(description="Search frames, speech, text in frames (OCR), or all."),
    ] = "all"
    rerank: Annotated[
        Literal["none", "late", "itm"] | None, Field(description="How the best scenes are re-ranked.")
    ] = None
    recall: Annotated[int, Field(ge=1, le=MAX_HITS, description="How many scenes are re-ranked.")] = RECALL
    moments: Annotated[bool, Field(description="Return the spans that match instead of whole scenes.")] = False

    def query(self, text: str, example: Example | None) -> Query:
        """Raises QueryError."""
        return Query(
            text=text,
            k=self.k,
            per_video=self.per_video,
            filters=Filters.parse(dict(self)),
            channel=self.channel,
            rerank=self.rerank,
            recall=self.recall,
            moments=self.moments,
            example=example,
        )


class QueryParameters(Parameters):
    """The parameters of GET /search."""

    q: Annotated[
        str,
        Field(
            max_length=MAX_QUERY_CHARACTERS, description='What can be seen or heard; "in quotes": exactly these words.'
        ),
    ] = ""
    like: Annotated[SceneId | None, Field(description="Similar scenes to this one.")] = None

    def example(self) -> Example | None:
        return None if self.like is None else SceneExample(self.like)


def only_one(*given: object) -> None:
    """Raises QueryError if more than one is given."""
    if sum(one is not None for one in given) > 1:
        raise QueryError("Give one of image, clip and like.")
