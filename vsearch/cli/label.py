"""`vsearch label` and `vsearch describe`: what scenes show, of a list of labels or sentences."""

from __future__ import annotations

import math
from pathlib import Path
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
    load_named,
    named_models,
    open_library,
    print_json,
    settings_of,
)
from vsearch.errors import InputError, LibraryMissing, QueryError

if TYPE_CHECKING:
    from vsearch.library import LabelRow, SqliteStore
    from vsearch.models.protocols import Model
    from vsearch.search.describe import Shown


@app.command()
def label(
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="The labels: a text file, one a line, such as a dog.")
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="At most this many labels of a scene.")] = 1,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="X", help="How far a label must stand out against everyday phrases, in standard deviations."
        ),
    ] = 4.0,
    listed: Annotated[bool, typer.Option("--list", help="Say which labels scenes have, and how many.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take labels away: those of --labels, else all.")] = False,
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
        raise InputError("--list goes alone: leave out --clear and --labels.")
    if not listed and not clear and labels is None:
        raise InputError("Give a file of labels with --labels, or use --list or --clear.")
    if not math.isfinite(threshold):
        raise InputError(f"--threshold takes a number, not {threshold}.")
    phrases = None if labels is None else read_phrases(given_paths([labels])[0])
    settings = settings_of(library, model, weights=weights, device=device)
    with open_library(settings) as opened:
        if clear:
            cleared = opened.clear_labels(phrases)
        elif phrases is not None:
            tag_library(
                opened, load_named(settings, _one_model(named_models(settings, opened))), phrases, top, threshold
            )
        rows = opened.labels()
    if as_json:
        print_json({"cleared": cleared} if clear else [row.as_json() for row in rows])
    elif clear:
        console_of().print(f"Took labels away from {cleared} scenes.")
    else:
        _print_rows(rows)


def _one_model(names: list[str]) -> str:
    if len(names) > 1:
        raise QueryError(f"One model gives labels, not {' and '.join(names)}: name one with --model.")
    return names[0]


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


def tag_library(library: SqliteStore, model: Model, labels: list[str], top: int, threshold: float) -> None:
    """Every scene that this model has encoded, in the place of what these labels said before."""
    from vsearch.search.labels import Labeller

    space = model.space
    total = next((row.vectors for row in library.spaces() if row.space == space), 0)
    if not total:
        raise QueryError(
            f"The library holds no vectors of the model {space.model!r}: index with --model {space.model}, "
            "or name another model (`vsearch status`)."
        )
    from rich.progress import Progress

    labeller = Labeller(model, labels)
    tags = []
    with Progress(console=console_of(stderr=True), transient=True) as progress:  # whoever indexes may go on meanwhile
        task = progress.add_task("scenes", total=total)
        for ids, vectors in library.all_vectors(space):
            for found in labeller.tag([(ids, vectors)], threshold=threshold, top=top):
                tags += found
            progress.advance(task, len(ids))
    library.set_labels(space, labels, tags)


@app.command()
def describe(
    file: Annotated[str, typer.Argument(help="A video: of the library, or a clip of two minutes at most.")],
    candidates: Annotated[
        str, typer.Option(metavar="FILE", help="The sentences to choose from: a text file, one a line.")
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="At most this many sentences.")] = 5,
    scenes: Annotated[bool, typer.Option("--scenes", help="Describe each scene, not the file as a whole.")] = False,
    library: LibraryOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which sentences of a list describe a video best."""
    from vsearch.indexer.discover import absolute
    from vsearch.phrases import read_phrases
    from vsearch.search.describe import describe as describe_shown

    sentences = read_phrases(given_paths([candidates])[0])
    path = absolute(given_paths([file])[0])
    settings = settings_of(library, model, weights=weights, device=device)
    try:
        with open_library(settings) as opened:
            loaded = load_named(settings, _one_model(named_models(settings, opened)))
            shown = _stored(opened, loaded, path)
    except LibraryMissing:
        if scenes:
            raise
        loaded, shown = load_named(settings, _one_model(named_models(settings, None))), []
    if scenes and not shown:
        raise InputError(f"{path} is not in the library with this model: `vsearch index` takes it in.")
    if not scenes:
        shown = [_whole(path, loaded, shown)]
    found = describe_shown(loaded, shown, sentences, k)
    if as_json:
        print_json([one.as_json(path) for one in found])
        return
    from rich.text import Text

    from vsearch.report import clock, plain_table, readable

    table = plain_table("start", "end", "score", "sentence", right=("start", "end", "score"))
    for one in found:
        for number, (text, score) in enumerate(one.sentences):
            span = (clock(one.start), "" if one.end is None else clock(one.end)) if number == 0 else ("", "")
            table.add_row(*span, f"{score:.3f}", Text(readable(text)))
    console_of().print(table)


def _stored(library: SqliteStore, model: Model, path: Path) -> list[Shown]:
    """The scenes of a file as the library holds them; none where the file is unknown, or has changed since."""
    from vsearch.search.describe import stored_scenes

    row = library.find_file(path)
    try:
        status = path.stat()
    except OSError:  # on a disk that is not there now: the library still knows
        return [] if row is None else stored_scenes(library, model, row.video_id)
    if row is None or (row.size, row.mtime_ns) != (status.st_size, status.st_mtime_ns):
        return []
    return stored_scenes(library, model, row.video_id)


def _whole(path: Path, model: Model, scenes: list[Shown]) -> Shown:
    from vsearch.search.describe import Shown, whole

    if scenes:
        return whole(scenes)
    from vsearch.indexer.clip import encode_clip

    return Shown(encode_clip(path, [model]).vectors[model.space], 0.0, None)
