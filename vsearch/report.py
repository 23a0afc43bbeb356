"""Results as rich renderables for the terminal.

File names are hostile input: every external text passes through `readable`, which escapes control characters and
undecodable bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from vsearch.media import TRANSCRIPT_CHANNELS, Hit

if TYPE_CHECKING:
    from vsearch.library import LibraryStatus, VerifyReport
    from vsearch.models.registry import ModelInfo


def readable(text: str | Path) -> str:
    """One printable line: control characters and undecodable bytes become escapes."""
    raw = os.fspath(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in raw)


def clock(seconds: float) -> str:
    """0:07.5, 12:03.0, 1:02:03.4"""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 10:02d}.{rest % 10}"


def size(count: int) -> str:
    """A number of bytes with a suitable unit."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def footage(seconds: float) -> str:
    """A duration with a suitable unit."""
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 3600 else f"{seconds / 3600:.2f} hours"


def short_path(path: Path, base: Path) -> str:
    """The path, relative to `base` where it lies below it."""
    return readable(path.relative_to(base) if path.is_relative_to(base) else path)


def plain_table(*columns: str, right: Iterable[str] = ()) -> Table:
    """A table without borders; the columns named in `right` are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    numbers = set(right)
    for column in columns:
        # Long file names and causes wrap: their ends distinguish them.
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def hits_table(hits: Sequence[Hit], base: Path) -> Table:
    spoken = any(hit.segments for hit in hits)
    numbers = ("rank", "score", "start", "end", "best")
    table = plain_table("rank", "score", "file", "start", "end", "best", *(["words"] if spoken else []), right=numbers)
    for hit in hits:
        table.add_row(
            str(hit.rank),
            f"{hit.score:.3f}",
            Text(short_path(hit.video, base)),
            clock(hit.start),
            clock(hit.end),
            clock(hit.best_time),
            *([spoken_words(hit)] if spoken else []),
        )
    return table


def spoken_words(hit: Hit) -> Text:
    """The segments of a hit with the matched words in bold, at most 160 characters."""
    text = Text()
    for line, spans in hit.marked():
        at = 0
        for start, end in spans:
            text.append(readable(line.text[at:start])).append(readable(line.text[start:end]), style="bold")
            at = end
        text.append(readable(line.text[at:])).append(" ")
    text.truncate(160, overflow="ellipsis")
    text.rstrip()
    return text


def models_table(models: Sequence[ModelInfo]) -> Table:
    table = plain_table("model", "version", "dim", "licence", "size", "where", "note", right=("dim", "size"))
    for model in models:
        table.add_row(
            Text(readable(model.name)),
            readable(model.version),
            str(model.dim),
            Text(readable(model.licence)),
            size(model.size_bytes),
            model.source,
            Text(readable(model.note)),
        )
    return table


def status_table(state: LibraryStatus) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("library", Text(readable(state.path)))
    table.add_row("videos", f"{state.videos} in {state.files} files, {footage(state.seconds)}")
    table.add_row("scenes", str(state.scenes))
    if state.default_model:
        table.add_row("model", Text(readable(f"{state.default_model} answers, unless told otherwise")))
    for row in state.spaces:
        space = row.space
        if space.channel in TRANSCRIPT_CHANNELS:
            said = f"{space.model} ({space.fingerprint[:8]}), {space.channel}: {row.vectors} passages of {row.videos}"
            table.add_row("space", Text(readable(f"{said} videos, {space.dim} dimensions")))
            continue
        rest = state.videos - state.sounds - row.videos
        whole = f" ({rest} videos are still to be encoded)" if rest > 0 else ""
        # The fingerprint distinguishes versions of a model with the same name.
        name = f"{space.model} ({space.fingerprint[:8]}), {space.channel}"
        table.add_row("space", Text(readable(f"{name}: {row.vectors} vectors of {space.dim} dimensions{whole}")))
    if state.transcribed:
        rest = state.videos - state.transcribed
        whole = f" ({rest} videos not transcribed yet)" if rest > 0 else ""
        table.add_row("speech", f"{state.speech_segments} segments of {state.transcribed} videos{whole}")
    if state.ocr_videos:
        rest = state.videos - state.sounds - state.ocr_videos
        whole = f" ({rest} videos not recognised yet)" if rest > 0 else ""
        table.add_row("OCR", f"{state.ocr_segments} segments of {state.ocr_videos} videos{whole}")
    table.add_row("size", f"catalog {size(state.catalog_bytes)}, snapshots {size(state.snapshot_bytes)}")
    table.add_row("failures", str(len(state.failures)))
    return table


def trouble_table(troubles: Iterable[tuple[Path, str]], base: Path) -> Table:
    """Files with the cause of each failure."""
    table = plain_table("file", "cause")
    for path, cause in troubles:
        table.add_row(Text(short_path(path, base)), Text(readable(cause)))
    return table


def verify_lines(report: VerifyReport) -> list[str]:
    lines = [f"wrong: {readable(problem)}" for problem in report.problems]
    lines += [f"repaired: {readable(repaired)}" for repaired in report.repaired]
    lines += [f"to index again: {readable(path)}" for path in report.lost]
    return lines or ["The library is sound."]
