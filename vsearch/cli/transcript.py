"""`vsearch transcript`."""

from __future__ import annotations

from typing import Annotated

import typer

from vsearch.cli.base import LibraryOption, app, given_paths, library_of
from vsearch.errors import InputError


@app.command()
def transcript(
    file: Annotated[str, typer.Argument(help="A video or sound file of the library.", show_default=False)],
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="txt|srt|vtt|json", help="The output format.")
    ] = "txt",
    channel: Annotated[
        str, typer.Option(metavar="speech|ocr", help="The transcript of speech, or of text in frames (OCR).")
    ] = "speech",
    library: LibraryOption = None,
) -> None:
    """Print the transcript of a file. Redirect it to make a subtitle file: --format srt > name.srt"""
    from vsearch.media import TRANSCRIPT_CHANNELS
    from vsearch.report import readable
    from vsearch.transcripts import render

    if channel not in TRANSCRIPT_CHANNELS:
        raise InputError(f"--channel takes {' or '.join(TRANSCRIPT_CHANNELS)}, not {channel!r}.")
    path = given_paths([file])[0]
    with library_of(library) as opened:
        transcript = opened.transcript(path, channel)
    if transcript.cause is not None:
        typer.echo(
            f"vsearch: the transcript of {readable(str(path))} is incomplete: {readable(transcript.cause)}.", err=True
        )
    typer.echo(render(transcript.segments, format, transcript), nl=False)
