"""Maintenance of a library: `vsearch status`, `remove` and `verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vsearch.cli.base import (
    JsonOption,
    LibraryOption,
    app,
    console_of,
    given_paths,
    library_of,
    print_json,
)


@app.command()
def status(library: LibraryOption = None, as_json: JsonOption = False) -> None:
    """Show what the library contains and which files could not be indexed."""
    with library_of(library) as opened:
        state = opened.status()
    if as_json:
        print_json(state.as_json())
        return
    from vsearch.report import status_table, trouble_table

    console = console_of()
    console.print(status_table(state))
    if state.failures:
        console.print("\nCould not be indexed:")
        console.print(trouble_table([(failure.stamp.path, failure.cause) for failure in state.failures], Path.cwd()))


@app.command()
def remove(
    paths: Annotated[
        list[str], typer.Argument(help="Files, or folders with all files below them.", show_default=False)
    ],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove videos from the library. The files themselves stay."""
    with library_of(library) as opened:
        removed = opened.remove(given_paths(paths))
    if as_json:
        print_json(asdict(removed))
        return
    console_of().print(f"Removed {removed.files} files: {removed.videos} videos, {removed.scenes} scenes.")
    if removed.failures:
        console_of().print(f"Removed {removed.failures} files that could not be indexed.")


@app.command()
def verify(
    library: LibraryOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is damaged.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check catalog, embeddings and snapshots. The exit status is 1 if anything is, or remains, damaged."""
    with library_of(library, create=repair) as opened:  # a catalog that cannot be opened may yet be repaired
        report = opened.verify(repair=repair)
    if as_json:
        print_json(report.as_json())
    else:
        from vsearch.report import verify_lines

        for line in verify_lines(report):
            console_of().print(line, markup=False, soft_wrap=True)
    if not report.clean:
        raise typer.Exit(1)
