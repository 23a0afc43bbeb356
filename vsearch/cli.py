"""The commands: parse, call, print; nothing else. Only this module prints and exits.

What is heavy to import is imported inside the command that needs it, so that `vsearch --help` is instant.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from vsearch import __version__
from vsearch.errors import InputError, LibraryMissing, ModelError, PathError, QueryError, VsearchError

if TYPE_CHECKING:
    from rich.console import Console

    from vsearch.library import Library
    from vsearch.models.base import Transcriber
    from vsearch.search.query import Channel, Rerank
    from vsearch.settings import Settings

app = typer.Typer(
    name="vsearch",
    help="Find the moment in a video that a sentence describes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Paths are taken as plain text: Typer's own checks would end a command where one of many paths cannot be read, and
# would read an empty text (an unset shell variable) as the current folder.
LibraryOption = Annotated[
    str | None,
    typer.Option(
        "--library", "-l", help="The library's folder.", show_default="VSEARCH_LIBRARY, else your data folder"
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model's name, or a model folder.", show_default="VSEARCH_MODEL, else mini"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def index(
    paths: Annotated[list[str], typer.Argument(help="Videos, or folders of videos.", show_default=False)],
    library: LibraryOption = None,
    model: ModelOption = None,
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
    only: Annotated[
        str | None, typer.Option(metavar="speech", help="Add or renew words alone; no picture is decoded.")
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
    from indexer.options import available_cores
    from indexer.pipeline import index_words
    from indexer.report import IndexReporter, closing
    from indexer.transcribe import WordOptions
    from vsearch.models.registry import load_model

    given = _paths(paths)
    if only not in (None, "speech"):
        raise InputError(f"--only takes speech, not {only!r}.")
    if only and (dry_run or prune or not speech):
        raise InputError("--only speech goes without --dry-run, --prune and --no-speech.")
    settings = _settings(library, model)
    # Half of the cores decode meanwhile; a picture costs less CPU with fewer threads.
    threads = settings.threads or max(1, available_cores() // 2)
    encoder = None if only else load_model(settings.model, models=settings.models, threads=threads)
    transcriber, unavailable = _transcriber(settings, language, translate) if speech else (None, None)
    words = WordOptions(transcriber, unavailable, language, audio_track, retry_failed=retry)
    options = IndexOptions(workers=workers, prune=prune, retry_failed=retry, dry_run=dry_run)
    reporter = IndexReporter(_console(stderr=True), Path.cwd(), quiet=quiet, dry_run=dry_run)
    with ExitStack() as stack:
        opened = stack.enter_context(_open_to_look(settings, stack) if dry_run else _open(settings, create=not only))
        stack.enter_context(reporter)
        try:
            if only:
                events = index_words(opened, words, given)
            else:
                assert encoder is not None, "pictures are left alone with --only"
                events = Indexer(opened, encoder, options, words).index(given)
            for event in events:
                reporter.show(event)
        except KeyboardInterrupt:
            typer.echo("vsearch: stopped. What was indexed is kept; the same command goes on.", err=True)
            raise typer.Exit(130) from None
    summary = reporter.summary
    assert summary is not None, "a run that was not interrupted ends with a summary"
    if as_json:
        _print_json(summary.as_json())
    elif not quiet:
        _console().print(closing(summary, Path.cwd()))
    if not summary.useful:
        raise typer.Exit(1)


@app.command()
def transcript(
    file: Annotated[str, typer.Argument(help="A video or sound file of the library.", show_default=False)],
    format: Annotated[str, typer.Option("--format", "-f", metavar="txt|srt|vtt|json", help="As what.")] = "txt",
    library: LibraryOption = None,
) -> None:
    """Print what was heard or read in a file. Redirect it to make a subtitle file: --format srt > name.srt"""
    from indexer.discover import absolute
    from vsearch.transcripts import render

    path = absolute(_paths([file])[0])
    with _open(_settings(library, None)) as opened:
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


@app.command()
def query(
    text: Annotated[
        str, typer.Argument(help='What can be seen or heard; "in quotes": exactly these words.', show_default=False)
    ],
    k: Annotated[int, typer.Option("-k", help="At most this many hits.")] = 10,
    library: LibraryOption = None,
    model: ModelOption = None,
    per_video: Annotated[
        int | None, typer.Option("--per-video", help="At most this many scenes of one file.", show_default="no limit")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", metavar="GLOB", help="Only files whose path or name fits, such as '*.mkv'.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (else modified) then or later, such as 2024-05-31.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Recorded (else modified) before the end of that day.")
    ] = None,
    min_duration: Annotated[
        float | None, typer.Option("--min-duration", metavar="SECONDS", help="Only scenes at least this long.")
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(
            metavar="none|late|itm",
            help="Look again at the best: by the frames that fit (late), or by the model's matching head (itm).",
            show_default="itm where the model has a matching head, else none",
        ),
    ] = None,
    recall: Annotated[int, typer.Option(metavar="N", help="How many scenes are looked at again.")] = 100,
    moments: Annotated[
        bool, typer.Option("--moments", help="Find the spans that fit, inside a scene or across scenes.")
    ] = False,
    channel: Annotated[
        str, typer.Option(metavar="all|visual|speech", help="Search what is seen, what is said, or both.")
    ] = "all",
    open_first: Annotated[bool, typer.Option("--open", help="Play the first hit from its start.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the scenes that a sentence describes, best first."""
    from vsearch.search.query import Query

    asked = Query(
        text=text,
        k=k,
        per_video=per_video,
        path_glob=path,
        since=_date(since, "--since"),
        until=_date(until, "--until", end_of_day=True),
        min_duration=min_duration,
        rerank=cast("Rerank | None", rerank),  # Query checks it
        recall=recall,
        moments=moments,
        channel=cast("Channel", channel),
    )
    settings = _settings(library, model)
    with _open(settings) as opened:
        from vsearch.models.registry import load_model
        from vsearch.search.engine import SearchEngine
        from vsearch.search.fuse import Fusion

        text_model = load_model(settings.model, models=settings.models, threads=settings.threads)
        engine = SearchEngine(opened, text_model, Fusion(speech=settings.speech_weight))
        hits = engine.search(asked)
        missing = engine.missing_videos()
    if as_json:
        _print_json([hit.as_json() for hit in hits])
    elif hits:
        from vsearch.report import hits_table

        _console().print(hits_table(hits, Path.cwd()))
    else:
        _console(stderr=True).print(
            "Nothing was found: nothing is indexed here, nothing fits the filters, or nobody says so."
        )
    if missing:
        _console(stderr=True).print(
            f"{missing} videos are not encoded with this model yet and were not searched: "
            "run `vsearch index` with it on their folders.",
            soft_wrap=True,
        )
    if open_first and hits:
        from vsearch.player import play

        play(hits[0].video, hits[0].start)


@app.command()
def status(library: LibraryOption = None, as_json: JsonOption = False) -> None:
    """Say what the library holds, and which files could not be indexed."""
    with _open(_settings(library, None)) as opened:
        state = opened.status()
    if as_json:
        _print_json(state.as_json())
        return
    from vsearch.report import status_table, trouble_table

    console = _console()
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
    from indexer.discover import absolute

    roots = [absolute(path) for path in _paths(paths)]
    with _open(_settings(library, None)) as opened:
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
        _print_json(asdict(removed))
        return
    _console().print(f"Forgot {removed.files} files: {removed.videos} videos, {removed.scenes} scenes.")
    if removed.failures:
        _console().print(f"Forgot {removed.failures} files that could not be indexed.")


@app.command()
def verify(
    library: LibraryOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what is wrong.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check catalog, vectors and snapshots. Exits with 1 where something is (still) wrong."""
    settings = _settings(library, None)
    if repair:
        from vsearch.library import repair_library

        report = repair_library(settings.library)
    else:
        with _open(settings) as opened:
            report = opened.verify()
    if as_json:
        _print_json(report.as_json())
    else:
        from vsearch.report import verify_lines

        for line in verify_lines(report):
            _console().print(line, markup=False, soft_wrap=True)
    if not report.clean:
        raise typer.Exit(1)


@app.command()
def models(as_json: JsonOption = False) -> None:
    """List the models that are there, and how to add others."""
    from vsearch.models.registry import list_models
    from vsearch.report import models_table, readable

    settings = _settings(None, None)
    rows = list_models(settings.models)
    if as_json:
        _print_json([row.as_json() for row in rows])
        return
    console = _console()
    console.print(models_table(rows))
    console.print(
        f"\nTo add one: put its model folder into {readable(settings.models)}, or name any model folder with --model.",
        markup=False,
        soft_wrap=True,
    )


def main() -> NoReturn:
    """The console script: errors of ours become one line and exit code 1."""
    try:
        app()
    except VsearchError as error:
        from vsearch.report import readable

        print(f"vsearch: {readable(str(error))}", file=sys.stderr)
    except OSError as error:  # the system refuses something that no room foresaw: say what, not where in the code
        from vsearch.report import readable

        where = f" ({readable(str(error.filename))})" if error.filename else ""
        print(f"vsearch: the system says: {error.strerror or error}{where}", file=sys.stderr)
    sys.exit(1)


def _paths(texts: Sequence[str]) -> list[Path]:
    if not all(texts):
        raise PathError("One of the paths is empty: an unset variable, perhaps? The current folder is called `.`")
    return [Path(text).expanduser() for text in texts]


def _settings(library: str | None, model: str | None) -> Settings:
    from vsearch.settings import read_settings

    return read_settings(library=None if library is None else _paths([library])[0], model=model)


def _transcriber(settings: Settings, language: str | None, translate: bool) -> tuple[Transcriber | None, str | None]:
    """What listens, or why nothing does: the pictures and subtitles do not wait for it."""
    from vsearch.models.speech import load_transcriber

    try:
        return load_transcriber(
            settings.speech_model,
            cache=settings.cache,
            download=settings.download,
            language=language,
            translate=translate,
            threads=settings.threads,
        ), None
    except ModelError as error:
        return None, str(error)


def _open(settings: Settings, *, create: bool = False) -> Library:
    from vsearch.library import Library

    return Library.open(settings.library, create=create)


def _open_to_look(settings: Settings, stack: ExitStack) -> Library:
    """For a dry run. Somebody who has no library yet looks at an empty one that is gone afterwards."""
    from vsearch.library import Library

    try:
        return _open(settings)
    except LibraryMissing:
        return Library.open(Path(stack.enter_context(TemporaryDirectory())) / "library", create=True)


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        # Nobody's window is too narrow here: keep a file's name on one line, so that it can be searched and cut.
        console.width = max(console.width, 1000)
    return console


def _print_json(value: Any) -> None:
    # ASCII, so that no terminal's encoding and no undecodable file name can make printing fail.
    typer.echo(json.dumps(value, indent=2))


def _date(text: str | None, option: str, *, end_of_day: bool = False) -> datetime | None:
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
        raise QueryError(f"{option} {text} lies at the end of time: leave it out.") from error
