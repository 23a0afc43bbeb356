"""`vsearch label` and `vsearch describe`: match scenes with a list of labels or sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from vsearch.cli.base import (
    DeviceOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    WeightsOption,
    app,
    console_of,
    given_paths,
    library_of,
    print_json,
)
from vsearch.errors import InputError

if TYPE_CHECKING:
    from vsearch.library import LabelRow


@app.command()
def label(
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="Text file with one label per line, such as a dog.")
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="At most this many labels of a scene.")] = 1,
    threshold: Annotated[
        float,
        typer.Option(metavar="X", help="How far a label must exceed everyday phrases, in standard deviations."),
    ] = 4.0,
    listed: Annotated[bool, typer.Option("--list", help="List the labels and their number of scenes.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove labels: those of --labels, else all.")] = False,
    library: LibraryOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label the scenes that show something of a list, for `vsearch query --label`.

    Run it again for videos that were indexed since: a label's scenes are those of its last run.
    """
    from vsearch.phrases import read_phrases

    if listed and (clear or labels is not None):
        raise InputError("--list excludes --clear and --labels: omit them.")
    if not listed and not clear and labels is None:
        raise InputError("Give a file of labels with --labels, or use --list or --clear.")
    if not math.isfinite(threshold):
        raise InputError(f"--threshold takes a number, not {threshold}.")
    phrases = None if labels is None else read_phrases(given_paths([labels])[0])
    from rich.progress import Progress

    with library_of(library, [model] if model else None, weights, device) as opened:
        if clear:
            cleared = opened.clear_labels(phrases)
        elif phrases is not None:
            console = console_of(stderr=True)
            with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
                task = bar.add_task("scenes", total=None)
                opened.label(
                    phrases,
                    top=top,
                    threshold=threshold,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
        rows = opened.labels()
    if as_json:
        print_json({"cleared": cleared} if clear else [row.as_json() for row in rows])
    elif clear:
        console_of().print(f"Removed labels from {cleared} scenes.")
    else:
        _print_rows(rows)


def _print_rows(rows: list[LabelRow]) -> None:
    from rich.text import Text

    from vsearch.report import plain_table, readable

    if not rows:
        console_of(stderr=True).print("No scene has a label.")
        return
    table = plain_table("label", "scenes", "videos", "model", right=("scenes", "videos"))
    for row in rows:
        table.add_row(Text(readable(row.label)), str(row.scenes), str(row.videos), Text(readable(row.model)))
    console_of().print(table)


@app.command()
def describe(
    file: Annotated[str, typer.Argument(help="A video of the library, or a clip of at most two minutes.")],
    candidates: Annotated[str, typer.Option(metavar="FILE", help="Text file with one candidate sentence per line.")],
    k: Annotated[int, typer.Option("-k", min=1, help="At most this many sentences.")] = 5,
    scenes: Annotated[bool, typer.Option("--scenes", help="Describe each scene instead of the whole file.")] = False,
    library: LibraryOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sentences of a file that describe a video best."""
    from vsearch.phrases import read_phrases

    sentences = read_phrases(given_paths([candidates])[0])
    path = given_paths([file])[0].absolute()
    with library_of(library, [model] if model else None, weights, device, create=not scenes) as opened:
        descriptions = opened.describe(path, sentences, k, scenes=scenes)
    if as_json:
        print_json([one.as_json(path) for one in descriptions])
        return
    from rich.text import Text

    from vsearch.report import clock, plain_table, readable

    table = plain_table("start", "end", "score", "sentence", right=("start", "end", "score"))
    for one in descriptions:
        for number, (text, score) in enumerate(one.sentences):
            span = (clock(one.start), "" if one.end is None else clock(one.end)) if number == 0 else ("", "")
            table.add_row(*span, f"{score:.3f}", Text(readable(text)))
    console_of().print(table)
