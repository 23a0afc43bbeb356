"""A query as options of a command: `query` and `export` have the same."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vsearch.cli.base import (
    MODEL_DEFAULT,
    DeviceOption,
    LibraryOption,
    WeightsOption,
    console_of,
    date_of,
    given_paths,
    library_of,
)

if TYPE_CHECKING:
    from vsearch.library.filters import Filters
    from vsearch.media import Hit
    from vsearch.search.query import Channel, Query, Rerank


ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="A model's name, a model folder, or an open_clip model; two of them (A+B) answer together.",
        show_default=MODEL_DEFAULT,
    ),
]


@dataclass(frozen=True)
class Question:
    """A query on the command line: one field per option, in the order of the help."""

    text: Annotated[
        str,
        typer.Argument(
            help='What the scene shows, or what is spoken or written in it; "in quotes": exactly these words.',
            show_default=False,
        ),
    ] = ""
    k: Annotated[int, typer.Option("-k", help="At most this many hits.")] = 10
    library: LibraryOption = None
    model: ModelsOption = None
    weights: WeightsOption = None
    device: DeviceOption = None
    per_video: Annotated[
        int | None, typer.Option("--per-video", help="At most this many hits from one video.", show_default="no limit")
    ] = None
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="GLOB", help="Only files whose path or name matches, such as '*.mkv'."),
    ] = None
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (or else modified) then or later, such as 2024-05-31.")
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (or else modified) before the end of that day.")
    ] = None
    min_duration: Annotated[
        float | None, typer.Option("--min-duration", metavar="SECONDS", help="Only scenes at least this long.")
    ] = None
    max_duration: Annotated[
        float | None, typer.Option("--max-duration", metavar="SECONDS", help="Only scenes at most this long.")
    ] = None
    folder: Annotated[str | None, typer.Option(metavar="PATH", help="Only files below this folder.")] = None
    has_speech: Annotated[
        bool | None,
        typer.Option("--has-speech/--no-speech", help="Only scenes with, or without, transcribed speech."),
    ] = None
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only videos in which this language is spoken, such as en.")
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="LABEL",
            help="Only scenes with this label (`vsearch label`); repeat it to require several.",
        ),
    ] = None
    image: Annotated[
        str | None, typer.Option(metavar="FILE", help="Search with this picture, alone or together with text.")
    ] = None
    clip: Annotated[str | None, typer.Option(metavar="FILE", help="Search with this clip (at most two minutes).")] = (
        None
    )
    like: Annotated[
        str | None,
        typer.Option(
            metavar="FILE@TIME", help="Scenes similar to the one at this time, such as a.mp4@12.5 or a.mp4@1:02:03."
        ),
    ] = None
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="none|late|itm",
            help="Re-rank the best scenes by their best frames (late) or by the model's matching head (itm).",
            show_default="itm if the model has a matching head, else none",
        ),
    ] = None
    recall: Annotated[int, typer.Option(metavar="N", help="How many scenes are re-ranked.")] = 100
    moments: Annotated[
        bool, typer.Option("--moments", help="Return the spans that match, inside a scene or across scenes.")
    ] = False
    channel: Annotated[
        str,
        typer.Option(metavar="all|visual|speech|ocr", help="Search frames, speech, text in frames (OCR), or all."),
    ] = "all"

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to search for."""
        return bool(self.text or self.label) or any(
            example is not None for example in (self.image, self.clip, self.like)
        )


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the first parameter of a command, a Question, by the options of Question."""
    own = inspect.signature(command, eval_str=True)
    options = inspect.signature(Question, eval_str=True)
    shared = [one.name for one in fields(Question)]

    @wraps(command)
    def run(**given: Any) -> None:
        command(Question(**{name: given.pop(name) for name in shared}), **given)

    parameters = [*options.parameters.values(), *list(own.parameters.values())[1:]]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # what Typer reads
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def answer(question: Question) -> tuple[list[Hit], int]:
    """The hits, best first, and how many videos the model has not encoded. Raises the errors of `Library.search`."""
    query = _query(question)
    with library_of(question.library, question.model, question.weights, question.device) as library:
        return library.search(query), library.missing_videos()


def _query(question: Question) -> Query:
    from vsearch.cli.example_options import given_example
    from vsearch.search.query import Query

    return Query(
        text=question.text,
        k=question.k,
        per_video=question.per_video,
        filters=_filters(question),
        rerank=cast("Rerank | None", question.rerank),  # Query checks it
        recall=question.recall,
        moments=question.moments,
        channel=cast("Channel", question.channel),
        example=given_example(question.image, question.clip, question.like),
    )


def _filters(question: Question) -> Filters:
    """The filters among the options: those with the name of a field of Filters."""
    from vsearch.library.filters import Filters

    folder = None if question.folder is None else os.path.abspath(given_paths([question.folder])[0])  # noqa: PTH100
    since, until = date_of(question.since, "--since"), date_of(question.until, "--until", end_of_day=True)
    return Filters.parse({**vars(question), "folder": folder, "since": since, "until": until})


def print_missing(missing: int) -> None:
    """Print one line if there are videos that could not be searched."""
    if missing:
        console_of(stderr=True).print(
            f"{missing} videos are not encoded with this model yet and were not searched: "
            "run `vsearch index` with it on their folders.",
            soft_wrap=True,
        )
