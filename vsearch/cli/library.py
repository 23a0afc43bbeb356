"""What looks at a library or tidies it: `vsearch status`, `remove` and `verify`."""

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
    open_library,
    print_json,
    settings_of,
)
from vsearch.errors import PathError


@app.command()
def status(library: LibraryOption = None, as_json: JsonOption = False) -> None:
    """Say what the library holds, and which files could not be indexed."""
    with open_library(settings_of(library, None)) as opened:
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
    paths: Annotated[list[str], typer.Argument(help="Files, or folders with all below them.", show_default=False)],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget videos. The files themselves are not touched."""
    from vsearch.indexer.discover import absolute

    roots = [absolute(path) for path in given_paths(paths)]
    with open_library(settings_of(library, None)) as opened:
        known: list[Path] = []
        for root in roots:
            here = [file.path for file in opened.files(under=root)]
            here += [failure.stamp.path for failure in opened.failures(under=root)]
            if not here:
                raise PathError(f"Nothing at {root} is in the library {opened.path}: `vsearch status` says what is.")
            known += here
        with opened.writing():
            removed = opened.forget_files(known)
            opened.save_snapshots()
    if as_json:
        print_json(asdict(removed))
        return
    console_of().print(f"Forgot {removed.files} files: {removed.videos} videos, {removed.scenes} scenes.")
    if removed.failures:
        console_of().print(f"Forgot {removed.failures} files that could not be indexed.")


@app.command()
def verify(
    library: LibraryOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what is wrong.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check catalog, vectors and snapshots. Exits with 1 where something is (still) wrong."""
    settings = settings_of(library, None)
    if repair:
        from vsearch.library import repair_library

        report = repair_library(settings.library)
    else:
        with open_library(settings) as opened:
            report = opened.verify()
    if as_json:
        print_json(report.as_json())
    else:
        from vsearch.report import verify_lines

        for line in verify_lines(report):
            console_of().print(line, markup=False, soft_wrap=True)
    if not report.clean:
        raise typer.Exit(1)
