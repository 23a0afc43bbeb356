"""Shared by the commands: the Typer app, common options, opening libraries and models, printing, dates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vsearch import __version__
from vsearch.cli.commands import LazyCommandGroup
from vsearch.errors import PathError, QueryError

if TYPE_CHECKING:
    from rich.console import Console

    from vsearch.api import Library
    from vsearch.settings import Settings

app = typer.Typer(
    name="vsearch",
    help="Find the moment in a video that a sentence describes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    cls=LazyCommandGroup,
    rich_markup_mode=None,  # importing rich takes longer than everything else that --help does
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Paths are plain text: Typer's own checks would end the command where one of many paths cannot be read, and an empty
# text (an unset shell variable) would mean the current folder.
MODEL_DEFAULT = "VSEARCH_MODEL, else the library's own, else mini"
LibraryOption = Annotated[
    str | None,
    typer.Option(
        "--library", "-l", help="The library's folder.", show_default="VSEARCH_LIBRARY, else your data folder"
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A model's name, a model folder, or an open_clip model such as ViT-B-32/openai.",
        show_default=MODEL_DEFAULT,
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="FILE", help="Weights for an open_clip model.", show_default="its published ones"
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="Where an open_clip model runs: cpu, cuda, mps.",
        show_default="VSEARCH_DEVICE, else the fastest",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def given_paths(texts: Sequence[str]) -> list[Path]:
    if not all(texts):
        raise PathError("One of the paths is empty: an unset variable, perhaps? The current folder is called `.`")
    return [Path(text).expanduser() for text in texts]


def settings_of(
    library: str | None, model: str | None, *, weights: str | None = None, device: str | None = None
) -> Settings:
    from vsearch.settings import read_settings

    paths = [None if text is None else given_paths([text])[0] for text in (library, weights)]
    return read_settings(library=paths[0], model=model, weights=paths[1], device=device)


def library_of(
    library: str | None,
    model: Sequence[str] | None = None,
    weights: str | None = None,
    device: str | None = None,
    *,
    create: bool = False,
) -> Library:
    """The library that the options of a command name. model: several answer together."""
    import vsearch

    settings = settings_of(library, "+".join(model) if model else None, weights=weights, device=device)
    return vsearch.open(create=create, model=model or None, settings=settings)


def console_of(*, stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        # Output to a file or a pipe: keep each file name on one line, so that other programs can use it.
        console.width = max(console.width, 1000)
    return console


def print_json(value: Any) -> None:
    # ASCII, so that no terminal's encoding and no undecodable file name can make printing fail.
    typer.echo(json.dumps(value, indent=2))


def date_of(text: str | None, option: str, *, end_of_day: bool = False) -> datetime | None:
    """An ISO date or date-time. A date alone means its first moment, or with end_of_day the first moment after it."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise QueryError(f"{option} takes a date such as 2024-05-31 or 2024-05-31T18:00, not {text!r}.") from error
    if not (end_of_day and len(text) <= len("2024-05-31")):
        return when
    try:
        return when + timedelta(days=1)
    except OverflowError as error:
        raise QueryError(f"{option} {text} is the last day that exists: omit it.") from error
