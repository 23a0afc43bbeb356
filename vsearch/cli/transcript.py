"""`vsearch transcript`."""

from __future__ import annotations

from typing import Annotated

import typer

from vsearch.cli.base import LibraryOption, app, given_paths, open_library, settings_of
from vsearch.errors import PathError


@app.command()
def transcript(
    file: Annotated[str, typer.Argument(help="A video or sound file of the library.", show_default=False)],
    format: Annotated[str, typer.Option("--format", "-f", metavar="txt|srt|vtt|json", help="As what.")] = "txt",
    library: LibraryOption = None,
) -> None:
    """Print what was heard or read in a file. Redirect it to make a subtitle file: --format srt > name.srt"""
    from indexer.discover import absolute
    from vsearch.transcripts import render

    path = absolute(given_paths([file])[0])
    with open_library(settings_of(library, None)) as opened:
        row = opened.find_file(path)
        if row is None:
            raise PathError(f"{path} is not in the library {opened.path}: `vsearch index` takes it in.")
        known = opened.find_transcript(row.video_id)
        lines = [line for line in opened.transcript(row.video_id) if line.channel == "speech"]
    if known is None and not lines:
        raise PathError(f"Nobody has listened to {path} yet: `vsearch index --only speech` does.")
    if known is not None and known.cause is not None:
        raise PathError(f"There are no words of {path}: {known.cause}.")
    typer.echo(render(lines, format, known), nl=False)
