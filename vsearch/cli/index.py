"""`vsearch index`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
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
    load_named,
    named_models,
    open_library,
    open_to_look,
    print_json,
    settings_of,
)
from vsearch.errors import InputError, LibraryMissing

if TYPE_CHECKING:
    from indexer.events import Event
    from indexer.report import IndexReporter
    from vsearch.settings import Settings

READER = "vsearch.models.ocr:load_reader"
"""What reads pictures."""


@app.command()
def index(
    paths: Annotated[list[str], typer.Argument(help="Videos, or folders of videos.", show_default=False)],
    library: LibraryOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    workers: Annotated[int, typer.Option(min=1, help="Videos decoded at once; more pay where cores are many.")] = 1,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Forget files below PATHS that are gone; not those of a folder that is empty now."
        ),
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try files again that failed and have not changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    speech: Annotated[
        bool, typer.Option("--speech/--no-speech", help="Listen to what is said, where a speech model is installed.")
    ] = True,
    ocr: Annotated[
        bool,
        typer.Option("--ocr/--no-ocr", help="Read what is written in the pictures; costs about five times as much."),
    ] = False,
    only: Annotated[
        str | None, typer.Option(metavar="speech|text", help="Add or renew that alone, of videos that are indexed.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="What is spoken, such as en; chooses among tracks and subtitles, too."),
    ] = None,
    translate: Annotated[bool, typer.Option("--translate", help="Write down in English what is said.")] = False,
    audio_track: Annotated[
        int | None, typer.Option("--audio-track", min=1, help="Which sound track to listen to.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make videos searchable. Run it again to go on, or to take in what is new, changed or moved."""
    from indexer import Indexer, IndexOptions
    from indexer.ocr import index_text, text_options
    from indexer.options import available_cores
    from indexer.pipeline import index_words
    from indexer.report import IndexReporter, closing
    from indexer.transcribe import WordOptions
    from vsearch.models.registry import keep_first_model
    from vsearch.models.sentences import load_sentences
    from vsearch.models.speech import find_transcriber

    given = given_paths(paths)
    if only not in (None, "speech", "text"):
        raise InputError(f"--only takes speech or text, not {only!r}.")
    if only and (dry_run or prune or not speech or (ocr and only == "speech")):
        raise InputError(f"--only {only} goes without --dry-run, --prune, --no-speech and --ocr.")
    settings = settings_of(library, model, weights=weights, device=device)
    # Half of the cores decode meanwhile; a picture costs less CPU with fewer threads.
    threads = settings.threads or max(1, available_cores() // 2)
    name = _model_to_index_with(settings)
    encoder = None if only else load_named(settings, name, threads=threads)
    listening = speech and only != "text"
    transcriber, unavailable = find_transcriber(settings, language, translate) if listening else (None, None)
    sentences = load_sentences([encoder], threads=threads)
    text = None
    if ocr or only == "text":
        text = text_options(READER, threads=threads, retry_failed=retry, sentences=sentences)
    words = WordOptions(transcriber, unavailable, sentences, language, audio_track, retry_failed=retry)
    batch = getattr(encoder, "batch_size", None) or IndexOptions().batch_size  # an accelerator wants larger ones
    options = IndexOptions(workers=workers, prune=prune, retry_failed=retry, dry_run=dry_run, batch_size=batch)
    reporter = IndexReporter(console_of(stderr=True), Path.cwd(), quiet=quiet, dry_run=dry_run)
    with ExitStack() as stack:
        opened = stack.enter_context(
            open_to_look(settings, stack) if dry_run else open_library(settings, create=not only)
        )
        stack.enter_context(reporter)
        events: Iterable[Event]
        if encoder is not None:
            events = Indexer(opened, encoder, options, words, text).index(given)
        elif only == "text" and text is not None:
            events = index_text(opened, text, given)
        else:
            events = index_words(opened, words, given)
        show_events(events, reporter)
        if encoder is not None and not dry_run:
            keep_first_model(opened, encoder, name, settings.models)
    summary = reporter.summary
    assert summary is not None, "a run that was not interrupted ends with a summary"
    if as_json:
        print_json(summary.as_json())
    elif not quiet:
        console_of().print(closing(summary, Path.cwd()))
    if not summary.useful:
        raise typer.Exit(1)


def show_events(events: Iterable[Event], reporter: IndexReporter) -> None:
    """Draw a run of the indexer; a person may stop it."""
    try:
        for event in events:
            reporter.show(event)
    except KeyboardInterrupt:
        typer.echo("vsearch: stopped. What was indexed is kept; the same command goes on.", err=True)
        raise typer.Exit(130) from None


def _model_to_index_with(settings: Settings) -> str:
    """Known before a library is made: a name that nobody knows leaves nothing behind."""
    try:
        with open_library(settings) as opened:
            names = named_models(settings, opened)
    except LibraryMissing:
        names = named_models(settings, None)
    if len(names) > 1:
        raise InputError(f"Videos are encoded with one model at a time: --model {names[0]} first, then the others.")
    return names[0]
