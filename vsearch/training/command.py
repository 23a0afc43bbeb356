"""What the commands of this package share: console, and errors as one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console

from vsearch.errors import InputError, VsearchError

VALIDATION = Path(__file__).parents[2] / "eval" / "splits" / "msrvtt_val.txt"
console = Console(stderr=True)


def read_split(path: Path) -> tuple[str, ...]:
    """Video ids of a split, one per line. Raises InputError for a missing or empty file."""
    ids = tuple(path.read_text(encoding="utf-8").split()) if path.is_file() else ()
    if not ids:
        raise InputError(f"{path} is missing or empty: give --validation a list of video ids")
    return ids


def run_command(function: Callable[..., None]) -> None:
    """Run a function with the arguments of the command line; an error of the project is one line."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    try:
        app()
    except VsearchError as error:
        console.print(f"error: {error}", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(1) from None
