"""`vsearch query`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vsearch.cli.base import (
    MODEL_DEFAULT,
    DeviceOption,
    JsonOption,
    LibraryOption,
    WeightsOption,
    app,
    console_of,
    date_of,
    given_paths,
    load_named,
    named_models,
    open_library,
    print_json,
    settings_of,
)

if TYPE_CHECKING:
    from vsearch.search.query import Channel, Rerank


@app.command()
def query(
    text: Annotated[
        str,
        typer.Argument(help='What can be seen, heard or read; "in quotes": exactly these words.', show_default=False),
    ] = "",
    k: Annotated[int, typer.Option("-k", help="At most this many hits.")] = 10,
    library: LibraryOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A model's name, a model folder, or an open_clip model; two of them (A+B) are asked together.",
            show_default=MODEL_DEFAULT,
        ),
    ] = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    per_video: Annotated[
        int | None, typer.Option("--per-video", help="At most this many scenes of one file.", show_default="no limit")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", metavar="GLOB", help="Only files whose path or name fits, such as '*.mkv'.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (else modified) then or later, such as 2024-05-31.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (else modified) before the end of that day.")
    ] = None,
    min_duration: Annotated[
        float | None, typer.Option("--min-duration", metavar="SECONDS", help="Only scenes at least this long.")
    ] = None,
    max_duration: Annotated[
        float | None, typer.Option("--max-duration", metavar="SECONDS", help="Only scenes at most this long.")
    ] = None,
    folder: Annotated[str | None, typer.Option(metavar="PATH", help="Only what lies below this folder.")] = None,
    has_speech: Annotated[
        bool | None,
        typer.Option(
            "--has-speech/--no-speech", help="Only scenes in which something is said, or nothing that is known."
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only videos in which this language is spoken, such as en.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="FILE", help="Look for this picture; with words: for both together.")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(metavar="FILE", help="Look for what this clip shows (at most two minutes).")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="FILE@TIME", help="More like the scene there, such as a.mp4@12.5 or a.mp4@1:02:03."),
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="none|late|itm",
            help="Look again at the best: by the frames that fit (late), or by the model's matching head (itm).",
            show_default="itm where the model has a matching head, else none",
        ),
    ] = None,
    recall: Annotated[int, typer.Option(metavar="N", help="How many scenes are looked at again.")] = 100,
    moments: Annotated[
        bool, typer.Option("--moments", help="Find the spans that fit, inside a scene or across scenes.")
    ] = False,
    channel: Annotated[
        str,
        typer.Option(metavar="all|visual|speech|text", help="Search what is seen, said, written in pictures, or all."),
    ] = "all",
    open_first: Annotated[bool, typer.Option("--open", help="Play the first hit from its start.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the scenes that a sentence, a picture or a clip describes, best first."""
    from vsearch.cli.example import find_example, given_example
    from vsearch.search.query import Query

    given = given_example(image, clip, like)
    asked = Query(
        text=text,
        k=k,
        per_video=per_video,
        path_glob=path,
        since=date_of(since, "--since"),
        until=date_of(until, "--until", end_of_day=True),
        min_duration=min_duration,
        max_duration=max_duration,
        folder=None if folder is None else Path(os.path.abspath(given_paths([folder])[0])),  # noqa: PTH100 - not resolve
        has_speech=has_speech,
        language=language,
        rerank=cast("Rerank | None", rerank),  # Query checks it
        recall=recall,
        moments=moments,
        channel=cast("Channel", channel),
        example=given,
    )
    settings = settings_of(library, "+".join(model) if model else None, weights=weights, device=device)
    with open_library(settings) as opened:
        from vsearch.search.engine import SearchEngine
        from vsearch.search.fuse import Fusion

        models = [load_named(settings, name) for name in named_models(settings, opened, model)]
        fusion = Fusion(speech=settings.speech_weight, text=settings.text_weight)
        engine = SearchEngine(opened, models, fusion)
        example = find_example(given, clip, like, opened, models)
        hits = engine.search(replace(asked, example=example))
        missing = engine.missing_videos()
    if as_json:
        print_json([hit.as_json() for hit in hits])
    elif hits:
        from vsearch.report import hits_table

        console_of().print(hits_table(hits, Path.cwd()))
    else:
        console_of(stderr=True).print(
            "Nothing was found: nothing is indexed here, nothing fits the filters, or nobody says or shows so."
        )
    if missing:
        console_of(stderr=True).print(
            f"{missing} videos are not encoded with this model yet and were not searched: "
            "run `vsearch index` with it on their folders.",
            soft_wrap=True,
        )
    if open_first and hits:
        from vsearch.player import play

        play(hits[0].video, hits[0].start)
