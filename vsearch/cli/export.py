"""`vsearch export`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vsearch.cli.base import JsonOption, app, console_of, given_paths, print_json
from vsearch.cli.question import Question, answer, asks, print_missing
from vsearch.errors import InputError, PathError, QueryError

if TYPE_CHECKING:
    from vsearch.export.exporter import ExportRequest, ExportResult
    from vsearch.media import Hit


@app.command()
@asks
def export(
    question: Question,
    hits_file: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Hits of `vsearch query --json`; - for standard input.")
    ] = None,
    clips: Annotated[str | None, typer.Option(metavar="DIR", help="Cut a file out of its video for each hit.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Cut to the frame, encoded anew; else from the key frame before, as it is.")
    ] = False,
    edl: Annotated[str | None, typer.Option(metavar="FILE", help="An edit list (CMX 3600).")] = None,
    fcpxml: Annotated[
        str | None, typer.Option(metavar="FILE", help="A timeline for Final Cut Pro and DaVinci Resolve.")
    ] = None,
    otio: Annotated[str | None, typer.Option(metavar="FILE", help="A timeline of OpenTimelineIO.")] = None,
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="A table.")] = None,
    handles: Annotated[
        float, typer.Option(metavar="SECONDS", help="More before and after each hit, in clips and timelines.")
    ] = 0.0,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="Frames a second of timelines, such as 25.", show_default="that of most videos"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there; never a video.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write hits as clips, as timelines for editing programs, or as tables. The options of `vsearch query` hold."""
    if not 0 <= handles <= 3600:
        raise InputError(f"--handles takes from 0 to 3600 seconds, not {handles}.")
    from vsearch.export.clip_names import name_key
    from vsearch.export.timecode import parse_rate

    given = {"edl": edl, "fcpxml": fcpxml, "otio": otio, "csv": csv}
    files = {kind: given_paths([path])[0].absolute() for kind, path in given.items() if path is not None}
    folder = None if clips is None else given_paths([clips])[0].absolute()
    if not files and folder is None and not as_json:
        raise QueryError("Choose what to write: --clips, --edl, --fcpxml, --otio, --csv or --json.")
    if len({name_key(str(path)) for path in files.values()}) < len(files):
        raise PathError("Two of the files to write are the same: give each its own name.")
    from vsearch.export.exporter import ExportRequest

    frame_rate = None if rate is None else parse_rate(rate)
    request = ExportRequest(files, folder, exact=exact, handles=handles, rate=frame_rate, overwrite=overwrite)
    hits, missing = _hits(question, hits_file)
    result = _run(hits, request)
    if as_json:
        print_json(result.as_json())
    else:
        _print(result, exact=exact)
    print_missing(missing)
    if result.failures and not result.files and not result.clips:
        raise typer.Exit(1)


def _hits(question: Question, hits_file: str | None) -> tuple[list[Hit], int]:
    if hits_file is None:
        return answer(question)
    if question.is_asked:
        raise QueryError("--from goes without a query: its hits are exported.")
    from vsearch.export.hits_file import read_hits

    if hits_file == "-":
        return read_hits(sys.stdin.buffer, "Standard input"), 0
    path = given_paths([hits_file])[0]
    try:
        with path.open("rb") as file:
            return read_hits(file, str(path)), 0
    except OSError as error:
        raise PathError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _run(hits: list[Hit], request: ExportRequest) -> ExportResult:
    from vsearch.export.exporter import ExportResult, run_export

    console = console_of(stderr=True)
    result = ExportResult(hits)
    with console.status("Reading the videos") if console.is_terminal else nullcontext() as status:
        for result in run_export(hits, request):
            if status is not None and request.clips is not None:
                status.update(f"{len(result.clips)} of {len(hits)} clips")
    return result


def _print(result: ExportResult, *, exact: bool) -> None:
    from vsearch.report import short_path, trouble_table

    base, console = Path.cwd(), console_of()
    for path in result.files:
        console.print(short_path(path, base), markup=False)
    for clip in result.clips.values():
        encoded = "" if clip.copied or exact else ", encoded anew: it cannot be copied"
        console.print(f"{short_path(clip.path, base)}  {clip.end - clip.start:.1f} s{encoded}", markup=False)
    if not result.hits:
        console_of(stderr=True).print("There are no hits to export.")
    if result.failures:
        console_of(stderr=True).print(trouble_table(result.failures, base))
