"""What the benchmarks print, and how they end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from eval.metrics import METRICS, Estimate
from eval.published import PublishedRow
from vsearch.errors import VsearchError

Item = TypeVar("Item")


def run(command: Callable[[], None]) -> int:
    """Call it; an error of ours becomes one line on stderr. Returns the exit code."""
    try:
        command()
    except VsearchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def track(items: Sequence[Item], what: str) -> Iterable[Item]:
    """The items with a progress bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import track as bar

    console = Console(stderr=True)
    return bar(items, description=what, console=console, transient=True, disable=not console.is_terminal)


def note(line: str) -> None:
    """A remark beside the result: stderr, so that --json stays pure."""
    print(printable(line), file=sys.stderr)


def notes(kind: str, lines: Sequence[str], limit: int = 10) -> None:
    """Remarks of one kind: counted, the first `limit` of them named."""
    if lines:
        note(f"{kind}: {len(lines)}")
        for line in lines[:limit]:
            note(f"  {line}")
        if len(lines) > limit:
            note(f"  and {len(lines) - limit} more")


def printable(text: str) -> str:
    """One line without control characters: names of files are not to be trusted."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def print_json(result: Mapping[str, Any]) -> None:
    print(json.dumps(result, indent=2))


def figures_table(rows: Mapping[str, Mapping[str, Estimate]], names: Sequence[str] = METRICS) -> list[str]:
    """A line of figures a direction, each with its 95% interval below."""
    width = max(len(name) for name in rows) + 2
    lines = [" " * width + "".join(f"{name:>14}" for name in names)]
    for label, figures in rows.items():
        lines.append(f"{label:<{width}}" + "".join(f"{figures[n].value:>14.1f}" for n in names))
        spans = (f"{figures[n].low:.1f}-{figures[n].high:.1f}" for n in names)
        lines.append(f"{'  95%':<{width}}" + "".join(f"{span:>14}" for span in spans))
    return lines


def published_table(ours: str, t2v: Mapping[str, Estimate], v2t: Mapping[str, Estimate],
                    published: Sequence[PublishedRow]) -> list[str]:  # fmt: skip
    """Our row among the published ones, by R@1."""
    row = PublishedRow(ours, t2v["R@1"].value, t2v["R@5"].value, t2v["R@10"].value, v2t["R@1"].value)
    rows = sorted([*published, row], key=lambda r: r.r1)
    width = max(len(r.model) for r in rows) + 4
    lines = [f"{'text to video':<{width}}" + "".join(f"{n:>8}" for n in ("R@1", "R@5", "R@10")) + "   V2T R@1"]
    for r in rows:
        cells = [f"{v:.1f}" if v is not None else "" for v in (r.r1, r.r5, r.r10, r.v2t_r1)]
        mark = "> " if r is row else "  "
        lines.append(f"{mark + r.model:<{width}}{cells[0]:>8}{cells[1]:>8}{cells[2]:>8}{cells[3]:>10}".rstrip())
    return lines
