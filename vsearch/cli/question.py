"""What is asked, as options that several commands have: `query` and `export`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
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
    load_named,
    named_models,
    open_library,
    settings_of,
)

if TYPE_CHECKING:
    from vsearch.library import SqliteStore
    from vsearch.media import Hit
    from vsearch.models.protocols import Model
    from vsearch.search.engine import SearchEngine
    from vsearch.search.example import Example
    from vsearch.search.query import Channel, Query, Rerank
    from vsearch.settings import Settings


ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="A model's name, a model folder, or an open_clip model; two of them (A+B) are asked together.",
        show_default=MODEL_DEFAULT,
    ),
]


@dataclass(frozen=True)
class Question:
    """One field an option, in the order of the help."""

    text: Annotated[
        str,
        typer.Argument(help='What can be seen, heard or read; "in quotes": exactly these words.', show_default=False),
    ] = ""
    k: Annotated[int, typer.Option("-k", help="At most this many hits.")] = 10
    library: LibraryOption = None
    model: ModelsOption = None
    weights: WeightsOption = None
    device: DeviceOption = None
    per_video: Annotated[
        int | None, typer.Option("--per-video", help="At most this many scenes of one file.", show_default="no limit")
    ] = None
    path: Annotated[
        str | None, typer.Option("--path", metavar="GLOB", help="Only files whose path or name fits, such as '*.mkv'.")
    ] = None
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (else modified) then or later, such as 2024-05-31.")
    ] = None
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (else modified) before the end of that day.")
    ] = None
    min_duration: Annotated[
        float | None, typer.Option("--min-duration", metavar="SECONDS", help="Only scenes at least this long.")
    ] = None
    max_duration: Annotated[
        float | None, typer.Option("--max-duration", metavar="SECONDS", help="Only scenes at most this long.")
    ] = None
    folder: Annotated[str | None, typer.Option(metavar="PATH", help="Only what lies below this folder.")] = None
    has_speech: Annotated[
        bool | None,
        typer.Option(
            "--has-speech/--no-speech", help="Only scenes in which something is said, or nothing that is known."
        ),
    ] = None
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only videos in which this language is spoken, such as en.")
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL", help="Only scenes with this label (`vsearch label`); of several all."),
    ] = None
    image: Annotated[
        str | None, typer.Option(metavar="FILE", help="Look for this picture; with words: for both together.")
    ] = None
    clip: Annotated[
        str | None, typer.Option(metavar="FILE", help="Look for what this clip shows (at most two minutes).")
    ] = None
    like: Annotated[
        str | None,
        typer.Option(metavar="FILE@TIME", help="More like the scene there, such as a.mp4@12.5 or a.mp4@1:02:03."),
    ] = None
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="none|late|itm",
            help="Look again at the best: by the frames that fit (late), or by the model's matching head (itm).",
            show_default="itm where the model has a matching head, else none",
        ),
    ] = None
    recall: Annotated[int, typer.Option(metavar="N", help="How many scenes are looked at again.")] = 100
    moments: Annotated[
        bool, typer.Option("--moments", help="Find the spans that fit, inside a scene or across scenes.")
    ] = False
    channel: Annotated[
        str,
        typer.Option(metavar="all|visual|speech|text", help="Search what is seen, said, written in pictures, or all."),
    ] = "all"

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.text or self.label) or any(
            example is not None for example in (self.image, self.clip, self.like)
        )


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of Question in the place of its first parameter, which is one."""
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
    """The hits, best first, and how many videos the model has not encoded. Raises whatever a search raises."""
    from vsearch.cli.example import find_example, given_example

    given = given_example(question.image, question.clip, question.like)
    asked = _query(question, given)
    settings = model_settings(question.library, question.model, question.weights, question.device)
    with open_library(settings) as opened:
        engine, models = build_engine(settings, opened, question.model)
        example = find_example(given, question.clip, question.like, opened, models)
        return engine.search(replace(asked, example=example)), engine.missing_videos()


def model_settings(
    library: str | None, model: Sequence[str] | None, weights: str | None, device: str | None
) -> Settings:
    """Settings with the options of a command that asks one model or several."""
    return settings_of(library, "+".join(model) if model else None, weights=weights, device=device)


def build_engine(
    settings: Settings, library: SqliteStore, given: Sequence[str] | None
) -> tuple[SearchEngine, Sequence[Model]]:
    """What answers, with the models that were asked for by name, or the library's own."""
    from vsearch.search.engine import SearchEngine
    from vsearch.search.fuse import Fusion

    models = [load_named(settings, name) for name in named_models(settings, library, given)]
    return SearchEngine(library, models, Fusion(speech=settings.speech_weight, text=settings.ocr_weight)), models


def _query(question: Question, example: Example | None) -> Query:
    from vsearch.search.query import Query

    folder = None
    if question.folder is not None:
        folder = Path(os.path.abspath(given_paths([question.folder])[0]))  # noqa: PTH100 - not resolve
    return Query(
        text=question.text,
        k=question.k,
        per_video=question.per_video,
        path_glob=question.path,
        since=date_of(question.since, "--since"),
        until=date_of(question.until, "--until", end_of_day=True),
        min_duration=question.min_duration,
        max_duration=question.max_duration,
        folder=folder,
        has_speech=question.has_speech,
        language=question.language,
        labels=tuple(question.label or ()),
        rerank=cast("Rerank | None", question.rerank),  # Query checks it
        recall=question.recall,
        moments=question.moments,
        channel=cast("Channel", question.channel),
        example=example,
    )


def say_missing(missing: int) -> None:
    """One line where videos could not be searched."""
    if missing:
        console_of(stderr=True).print(
            f"{missing} videos are not encoded with this model yet and were not searched: "
            "run `vsearch index` with it on their folders.",
            soft_wrap=True,
        )
