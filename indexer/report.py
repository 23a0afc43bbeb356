"""How a run of the indexer looks in a terminal: a bar with speed and time left, a line for each trouble, a summary."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from vsearch.indexer.events import (
    Comparing,
    Discovered,
    Event,
    Finished,
    Illustrated,
    Indexed,
    Listening,
    Moved,
    Pruned,
    Reading,
    Skipped,
    Started,
    Summary,
    Transcribed,
    Unread,
    Untranscribed,
)
from vsearch.indexer.events import Progress as Encoded
from vsearch.report import footage, readable, short_path, trouble_table

if TYPE_CHECKING:
    from typing import Self


class _SpeedColumn(ProgressColumn):
    """Seconds of footage a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}x real time" if task.speed else "")


class IndexReporter:
    """Shows events as they come. Everything goes to the given console (standard error), so results can be piped.

    quiet: no bar, and lines only for files that were skipped or could be used in part only. Where nobody watches (a
    pipe, a log) there is no bar either.
    """

    def __init__(self, console: Console, base: Path, *, quiet: bool = False, dry_run: bool = False) -> None:
        self._console = console
        self._base = base
        self._quiet = quiet
        self._dry_run = dry_run
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
        self._task = self._bar.add_task("looking for videos", total=None)
        self.summary: Summary | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        match event:
            case Started(path=path):
                self._bar.update(self._task, description=short_path(path, self._base))
            case Encoded():
                # Speed and time left are over the whole run; until every folder is read, the total still grows.
                self._bar.update(self._task, completed=event.run_done, total=max(event.run_total, event.run_done))
            case Illustrated(path=path):
                self._bar.update(self._task, description=f"thumbnails of {short_path(path, self._base)}")
            case Listening(path=path, done=done, total=total):
                said = f"listening to {short_path(path, self._base)}"
                self._bar.update(self._task, description=said, completed=done, total=max(total, done) or None)
            case Comparing(done=done, total=total):
                self._bar.update(self._task, description="reading words", completed=done, total=total)
            case Transcribed(path=path, warning=str(warning)):
                self._line("warning:", path, warning, even_if_quiet=True)
            case Reading(path=path, done=done, total=total):
                said = f"reading {short_path(path, self._base)}"
                self._bar.update(self._task, description=said, completed=done, total=total)
            case Unread(path=path, cause=cause):
                self._line("no text of", path, cause, even_if_quiet=True)
            case Untranscribed(path=path, cause=cause):
                self._line("no words of", path, cause, even_if_quiet=True)
            case Discovered(path=path) if self._dry_run:
                self._line("would index", path)
            case Indexed(path=path, warning=str(warning)):
                self._line("warning:", path, warning, even_if_quiet=True)
            case Moved(path=path, previous=Path() as previous):
                self._line("moved:", path, f"was {short_path(previous, self._base)}")
            case Skipped(path=path, cause=cause) if self._quiet:  # else the summary lists them
                self._line("skipped:", path, cause, even_if_quiet=True)
            case Pruned(path=path):
                self._line("forgotten:", path)
            case Finished(summary=summary):
                self.summary = summary

    def _line(self, verb: str, path: Path, more: str = "", *, even_if_quiet: bool = False) -> None:
        if self._quiet and not even_if_quiet:
            return
        text = f"{verb} {short_path(path, self._base)}" + (f": {more}" if more else "")
        self._console.print(Text(text), soft_wrap=True)


def closing(summary: Summary, base: Path) -> RenderableType:
    """What a person reads at the end of a run."""
    verb = "Would index" if summary.dry_run else "Indexed"
    parts = [f"{verb} {_count(summary.indexed, 'video')}"]
    if not summary.dry_run:
        parts[0] += f" ({_count(summary.scenes, 'scene')}, {footage(summary.footage)})"
    for count, said in (
        (summary.replaced, "of them changed"),
        (summary.unchanged, "unchanged"),
        (summary.moved, "moved or copied"),
        (summary.pruned, "forgotten"),
        (len(summary.skipped), "skipped"),
    ):
        if count:
            parts.append(f"{count} {said}")
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
        lines.append(
            Text(
                f"Words of {_count(summary.transcribed, 'file')} ({_count(summary.lines, 'line')}) "
                f"in {footage(summary.stages.words)}."
            )
        )
    if summary.read:
        lines.append(
            Text(
                f"Read the pictures of {_count(summary.read, 'video')} ({_count(summary.text_lines, 'line')} of text) "
                f"in {footage(summary.stages.text)}."
            )
        )
    if summary.note:
        lines.append(Text(readable(summary.note)))
    if summary.skipped:
        lines.append(Text("Skipped:"))
        lines.append(trouble_table([(skipped.path, skipped.cause) for skipped in summary.skipped], base))
    return Group(*lines)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
