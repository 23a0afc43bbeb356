"""`vsearch index`."""

from __future__ import annotations

from collections.abc import Iterable
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
    library_of,
    print_json,
)
from vsearch.errors import InputError

if TYPE_CHECKING:
    from vsearch.indexer.events import Event
    from vsearch.indexer.report import IndexReporter


@app.command()
def index(
    paths: Annotated[list[str], typer.Argument(help="Videos, or folders of videos.", show_default=False)],
    library: LibraryOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Videos decoded at once; more pay on many cores.")] = 1,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Remove files below PATHS that are gone; not those of a folder that is empty now."
        ),
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try files again that failed and have not changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done; write nothing.")] = False,
    speech: Annotated[
        bool, typer.Option("--speech/--no-speech", help="Transcribe speech, where a speech model is installed.")
    ] = True,
    ocr: Annotated[
        bool,
        typer.Option("--ocr/--no-ocr", help="Recognise text in frames; takes about five times as long."),
    ] = False,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="speech|ocr", help="Add or renew the transcripts of this channel alone, of indexed videos."
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="The language of the speech, such as en; also chooses among sound tracks and subtitles.",
        ),
    ] = None,
    translate: Annotated[
        bool, typer.Option("--translate", help="Transcribe speech of any language in English.")
    ] = False,
    audio_track: Annotated[
        int | None,
        typer.Option("--audio-track", min=1, help="The sound track to transcribe, from 1.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make videos searchable. Run it again to continue, or to add what is new, changed or moved."""
    from vsearch.indexer import IndexOptions
    from vsearch.indexer.report import IndexReporter, closing

    given = given_paths(paths)
    if only not in (None, "speech", "ocr"):
        raise InputError(f"--only takes speech or ocr, not {only!r}.")
    if only and (dry_run or prune or not speech or (ocr and only == "speech")):
        raise InputError(f"--only {only} goes without --dry-run, --prune, --no-speech and --ocr.")
    reporter = IndexReporter(console_of(stderr=True), Path.cwd(), quiet=quiet, dry_run=dry_run)
    with library_of(library, [model] if model else None, weights, device, create=not only) as opened, reporter:
        events = opened.index_events(
            given,
            IndexOptions(workers=workers, prune=prune, retry_failed=retry, dry_run=dry_run),
            speech=speech,
            ocr=ocr,
            only=only,
            language=language,
            translate=translate,
            audio_track=audio_track,
        )
        show_events(events, reporter)
    summary = reporter.summary
    assert summary is not None, "a run that was not interrupted ends with a summary"
    if as_json:
        print_json(summary.as_json())
    elif not quiet:
        console_of().print(closing(summary, Path.cwd()))
    if not summary.useful:
        raise typer.Exit(1)


def show_events(events: Iterable[Event], reporter: IndexReporter) -> None:
    """Run to the end, or until Ctrl-C."""
    try:
        for event in events:
            reporter.show(event)
    except KeyboardInterrupt:
        typer.echo("vsearch: stopped. What was indexed is kept; the same command continues.", err=True)
        raise typer.Exit(130) from None
