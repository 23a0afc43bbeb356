"""`vsearch models` and its subcommands: list models, choose and remove those of a library."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vsearch.cli.base import (
    JsonOption,
    LibraryOption,
    app,
    console_of,
    library_of,
    print_json,
    settings_of,
)
from vsearch.cli.commands import CommandGroup

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
    with library_of(library) as opened:
        if name is not None:
            opened.set_default_model(name)
        chosen, missing, state = opened.default_model, opened.unencoded_files(), opened.status()
        if not as_json:
            _print_default(chosen, len(missing), state.videos - state.sounds)
        encodes = encode
        if encodes is None and missing and not as_json and _is_terminal():
            encodes = typer.confirm("Encode them now?", default=True)
        if encodes and missing:
            _encode(library, chosen, missing)
            missing = opened.unencoded_files()
    if as_json:
        print_json({"model": chosen, "missing": [str(path) for path in missing]})
    elif missing and not encodes:
        console_of(stderr=True).print(
            "Their frames are not searched until they are: `vsearch models default NAME --encode`.", soft_wrap=True
        )


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _print_default(name: str, missing: int, videos: int) -> None:
    from vsearch.report import readable

    rest = f" {missing} of {videos} videos are not encoded with it yet." if missing else ""
    console_of().print(f"The model is {readable(name)}.{rest}", markup=False, soft_wrap=True)


def _encode(library: str | None, model: str, files: Sequence[Path]) -> None:
    """Encode the frames of the files. Their transcripts exist already or were not requested."""
    from vsearch.cli.index import show_events
    from vsearch.indexer.report import IndexReporter, closing

    reporter = IndexReporter(console_of(stderr=True), Path.cwd())
    with library_of(library, [model]) as opened, reporter:
        show_events(opened.index_events(files, speech=False), reporter)
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

    with library_of(library) as opened:
        row, removed = opened.remove_model(name)
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
        f"Removed {readable(row.space.model)}: {removed.vectors} embeddings of {removed.videos} videos, "
        f"{size(removed.bytes_freed)} freed.",
        markup=False,
        soft_wrap=True,
    )
