"""`vsearch models` and its subcommands: list models, choose and remove those of a library."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vsearch.cli.base import (
    JsonOption,
    LibraryOption,
    app,
    console_of,
    load_named,
    open_library,
    print_json,
    settings_of,
)
from vsearch.cli.commands import CommandGroup
from vsearch.errors import InputError, ModelError

if TYPE_CHECKING:
    from vsearch.library import SpaceRow, SqliteStore
    from vsearch.models.protocols import Model
    from vsearch.settings import Settings

models_app = typer.Typer(cls=CommandGroup, invoke_without_command=True)
app.add_typer(models_app, name="models")


@models_app.callback()
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the known models; choose or remove those of a library."""
    if context.invoked_subcommand is not None:
        return
    from vsearch.models.registry import list_models
    from vsearch.report import models_table, readable

    settings = settings_of(None, None)
    rows = list_models(settings.models)
    if as_json:
        print_json([row.as_json() for row in rows])
        return
    console = console_of()
    console.print(models_table(rows))
    console.print(
        f"\nTo add one: put its model folder into {readable(settings.models)}, or name any model folder with --model.\n"
        "Models of open_clip go by name: --model ViT-B-32/openai (the extra clip).",
        markup=False,
        soft_wrap=True,
    )


@models_app.command()
def default(
    name: Annotated[str | None, typer.Argument(help="A model's name, or a model folder.", show_default=False)] = None,
    library: LibraryOption = None,
    encode: Annotated[
        bool | None,
        typer.Option(
            "--encode/--no-encode",
            help="Encode the videos that this model has not encoded yet.",
            show_default="ask, on a terminal",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the default model of a library, or show it; report which videos it has not encoded yet."""
    from vsearch.models.registry import lasting_name

    settings = settings_of(library, None)
    with open_library(settings) as opened:
        chosen = lasting_name(name, settings.models) if name is not None else opened.default_model()
        model = load_named(settings, chosen or settings.model)
        if name is not None and chosen is not None:
            opened.set_default_model(chosen)
        missing = opened.unencoded_files(model.space)
        state = opened.status()
        if not as_json:
            _print_default(chosen or settings.model, len(missing), state.videos - state.sounds)
        asked = encode
        if asked is None and missing and not as_json and _is_terminal():
            asked = typer.confirm("Encode them now?", default=True)
        if asked and missing:
            _encode(opened, model, missing)
            missing = opened.unencoded_files(model.space)
    if as_json:
        said = {"model": chosen or settings.model, "missing": [str(path) for path in missing]}
        print_json(said)
    elif missing and not asked:
        console_of(stderr=True).print(
            "They are not found by their pictures until they are: `vsearch models default NAME --encode`.",
            soft_wrap=True,
        )


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _print_default(name: str, missing: int, videos: int) -> None:
    from vsearch.report import readable

    rest = f" {missing} of {videos} videos are not encoded with it yet." if missing else ""
    console_of().print(f"The model is {readable(name)}.{rest}", markup=False, soft_wrap=True)


def _encode(library: SqliteStore, model: Model, files: Sequence[Path]) -> None:
    """Encode the frames of videos that are in the library; their transcripts stay as they are."""
    from vsearch.cli.index import show_events
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.indexer.report import IndexReporter, closing

    reporter = IndexReporter(console_of(stderr=True), Path.cwd())
    with reporter:
        show_events(run_index(library, IndexPlan(model), files), reporter)
    assert reporter.summary is not None, "a run that was not interrupted ends with a summary"
    console_of(stderr=True).print(closing(reporter.summary, Path.cwd()))


@models_app.command()
def remove(
    name: Annotated[
        str, typer.Argument(help="A model's name, its folder, or the beginning of its fingerprint.", show_default=False)
    ],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the embeddings of a model from a library. Videos, transcripts and other models' embeddings stay."""
    from vsearch.report import readable, size

    settings = settings_of(library, None)
    with open_library(settings) as opened, opened.writing():
        row = _space_named(opened.spaces(), name, settings)
        kept = opened.default_model() or settings.model
        if _is_space_of(row, kept, settings):
            raise InputError(
                f"{name} is the default of the library: choose another model first (`vsearch models default NAME`)."
            )
        removed = opened.remove_spaces([row.space])
    if as_json:
        print_json(
            {
                "model": row.space.model,
                "fingerprint": row.space.fingerprint,
                "videos": removed.videos,
                "vectors": removed.vectors,
                "bytes_freed": removed.bytes_freed,
            }
        )
        return
    console_of().print(
        f"Removed {readable(row.space.model)}: {removed.vectors} vectors of {removed.videos} videos, "
        f"{size(removed.bytes_freed)} freed.",
        markup=False,
        soft_wrap=True,
    )


def _space_named(rows: Sequence[SpaceRow], name: str, settings: Settings) -> SpaceRow:
    """The visual space that `name` identifies. Raises InputError where there is none, or more than one."""
    rows = [row for row in rows if row.space.channel == "visual"]
    found = [row for row in rows if row.space.model == name]
    if not found and len(name) >= 4:
        found = [row for row in rows if row.space.fingerprint.startswith(name)]
    if not found:
        try:
            space = load_named(settings, name).space
        except ModelError:
            space = None
        found = [row for row in rows if row.space == space]
    if not found:
        known = ", ".join(dict.fromkeys(row.space.model for row in rows)) or "none"
        raise InputError(f"The library has no embeddings of a model {name!r}, only of: {known}.")
    if len(found) > 1:
        prints = " or ".join(row.space.fingerprint[:8] for row in found)
        raise InputError(
            f"There are {len(found)} versions of {name} in the library: name one by its fingerprint, {prints}."
        )
    return found[0]


def _is_space_of(row: SpaceRow, name: str, settings: Settings) -> bool:
    try:
        return load_named(settings, name).space == row.space
    except ModelError:  # no longer installed
        return row.space.model == name
