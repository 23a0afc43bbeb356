"""`vsearch transcript`."""

from __future__ import annotations

from typing import Annotated

import typer

from vsearch.cli.base import LibraryOption, app, given_paths, open_library, settings_of
from vsearch.errors import InputError, PathError

_CHANNELS = {"speech": ("speech", "Nobody has listened to"), "text": ("ocr", "Nobody has read the pictures of")}
"""As a person calls it: as the library does, and what is said where it is missing."""


@app.command()
def transcript(
    file: Annotated[str, typer.Argument(help="A video or sound file of the library.", show_default=False)],
    format: Annotated[str, typer.Option("--format", "-f", metavar="txt|srt|vtt|json", help="As what.")] = "txt",
    channel: Annotated[
        str, typer.Option(metavar="speech|text", help="What is said, or what is written in the pictures.")
    ] = "speech",
    library: LibraryOption = None,
) -> None:
    """Print what was heard or read in a file. Redirect it to make a subtitle file: --format srt > name.srt"""
    from vsearch.indexer.discover import absolute
    from vsearch.report import readable
    from vsearch.transcripts import render

    if channel not in _CHANNELS:
        raise InputError(f"--channel takes {' or '.join(_CHANNELS)}, not {channel!r}.")
    stored, lacking = _CHANNELS[channel]
    path = absolute(given_paths([file])[0])
    with open_library(settings_of(library, None)) as opened:
        row = opened.find_file(path)
        if row is None:
            raise PathError(f"{path} is not in the library {opened.path}: `vsearch index` takes it in.")
        known = opened.find_transcript(row.video_id, stored)
        lines = [line for line in opened.transcript(row.video_id) if line.channel == stored]
    if known is None and not lines:
        raise PathError(f"{lacking} {path} yet: `vsearch index --only {channel}` does.")
    if known is not None and known.cause is not None:
        if not lines:
            raise PathError(f"There are no words of {path}: {known.cause}.")
        typer.echo(f"vsearch: not all of {readable(str(path))}: {readable(known.cause)}.", err=True)
    typer.echo(render(lines, format, known), nl=False)
