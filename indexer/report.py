"""An index run in a terminal: a bar with speed and time left, a line for each problem, a summary."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from vsearch.indexer.events import (
    Discovered,
    Event,
    Indexed,
    Moved,
    Pruned,
    Skipped,
    Summary,
    Transcribed,
    Untranscribed,
)
from vsearch.indexer.state import RunState
from vsearch.report import footage, readable, short_path, trouble_table

if TYPE_CHECKING:
    from typing import Self


class _SpeedColumn(ProgressColumn):
    """Seconds of footage a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}x real time" if task.speed else "")


class IndexReporter:
    """Shows events on the given console (standard error), so results can be piped.

    quiet: no bar, and lines only for files that were skipped or could be used in part only. Where the console is no
    terminal (a pipe, a log) there is no bar either.
    """

    def __init__(self, console: Console, base: Path, *, quiet: bool = False, dry_run: bool = False) -> None:
        self._console, self._base, self._quiet = console, base, quiet
        self._state = RunState(dry_run)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            _SpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(self._state.activity, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def summary(self) -> Summary | None:
        """None: the run has not finished."""
        return self._state.summary

    def show(self, event: Event) -> None:
        state = self._state
        state.add(event)
        file = "" if state.path is None else short_path(state.path, self._base)
        self._bar.update(
            self._task,
            description=f"{state.activity} {file}".strip(),
            completed=state.done,
            total=state.total or None,
        )
        match event:
            case Untranscribed(path=path, channel=channel, cause=cause):
                self._line(f"no {channel} transcript of", path, cause, even_if_quiet=True)
            case Discovered(path=path) if state.dry_run:
                self._line("would index", path)
            case Indexed(path=path, warning=str(warning)) | Transcribed(path=path, warning=str(warning)):
                self._line("warning:", path, warning, even_if_quiet=True)
            case Moved(path=path, previous=Path() as previous):
                self._line("moved:", path, f"was {short_path(previous, self._base)}")
            case Skipped(path=path, cause=cause) if self._quiet:  # else the summary lists them
                self._line("skipped:", path, cause, even_if_quiet=True)
            case Pruned(path=path):
                self._line("removed:", path)

    def _line(self, verb: str, path: Path, more: str = "", *, even_if_quiet: bool = False) -> None:
        if self._quiet and not even_if_quiet:
            return
        text = f"{verb} {short_path(path, self._base)}" + (f": {more}" if more else "")
        self._console.print(Text(text), soft_wrap=True)


def closing(summary: Summary, base: Path) -> RenderableType:
    """The text at the end of a run."""
    verb = "Would index" if summary.dry_run else "Indexed"
    parts = [f"{verb} {_count(summary.indexed, 'video')}"]
    if not summary.dry_run:
        parts[0] += f" ({_count(summary.scenes, 'scene')}, {footage(summary.footage)})"
    for count, what in (
        (summary.replaced, "of them changed"),
        (summary.unchanged, "unchanged"),
        (summary.moved, "moved or copied"),
        (summary.pruned, "removed"),
        (len(summary.skipped), "skipped"),
    ):
        if count:
            parts.append(f"{count} {what}")
    lines: list[RenderableType] = [Text(", ".join(parts) + ".")]
    if summary.indexed and not summary.dry_run:
        stages = summary.stages
        lines.append(
            Text(
                f"It took {footage(summary.wall)}: {summary.speed:.1f} times real time "
                f"(decode {stages.decode:.1f} s, scenes {stages.scenes:.1f} s, encode {stages.encode:.1f} s, "
                f"write {stages.write:.1f} s; they overlap)."
            )
        )
    if summary.transcribed:
        files, segments = _count(summary.transcribed, "file"), _count(summary.segments, "segment")
        lines.append(Text(f"Speech of {files} transcribed ({segments}) in {footage(summary.stages.speech)}."))
    if summary.ocr_videos:
        videos, segments = _count(summary.ocr_videos, "video"), _count(summary.ocr_segments, "segment")
        lines.append(Text(f"Text in frames of {videos} recognised ({segments}) in {footage(summary.stages.ocr)}."))
    if summary.note:
        lines.append(Text(readable(summary.note)))
    if summary.skipped:
        lines.append(Text("Skipped:"))
        lines.append(trouble_table([(skipped.path, skipped.cause) for skipped in summary.skipped], base))
    return Group(*lines)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
