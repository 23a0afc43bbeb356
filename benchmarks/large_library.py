"""Queries that grow with a library or with a video, before and after: python -m benchmarks.large_library --before REV

Without --before only the present is measured. Each revision makes its own libraries with its own code, of the same
videos: one of 10,000 scenes, and --scenes in videos of 1,000. Runs alternate, so that a busy moment of the machine hits
both. Told are medians, of the time that passes and of processors'; a run that takes longer than --limit is ended. The
aim is 300 ms for every query.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.revisions import ROOT, Side, export

AIM_MS = 300.0
LONG_MS = 5_000.0
"""What takes longer is measured once."""
STEPS = "benchmarks.large_library_steps"
LIBRARIES = ("film", "large", "vectors")
PATIENCE = 1_800.0
"""Seconds that making a library may take."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a step of large_library_steps.py and its values."""

    name: str
    step: str
    values: dict[str, Any]
    aim: bool = True
    """It is a query, so the aim holds for it."""


def _query(name: str, library: str, **asked: Any) -> Row:
    return Row(name, "query", {"library": library, "asked": asked})


ROWS = (
    _query("film: pictures", "film", channel="visual"),
    _query("film: --has-speech", "film", has_speech=True),
    _query("film: --moments -k 100", "film", channel="visual", moments=True, k=100),
    _query("pictures", "large", channel="visual"),
    _query("words", "large", channel="speech"),
    _query("all channels", "large"),
    _query("all channels, frequent words", "large", words="common"),
    _query("all channels, -k 1000", "large", k=1000),
    _query("words, frequent, -k 2000", "large", words="common", channel="speech", k=2000),
    _query("all channels, frequent, -k 2000", "large", words="common", k=2000),
    _query("10,000 characters", "large", words="long"),
    _query("--moments", "large", moments=True),
    _query("--path, 4 of 5 scenes", "large", path="wide/*"),
    _query("--since, 9 of 10", "large", since_share=0.1),
    _query("--label, 3 of 4", "large", label=["common"]),
    _query("--language, 3 of 4", "large", language="en"),
    _query("--has-speech, 2 of 3", "large", has_speech=True),
    _query("--no-speech, 1 of 3", "large", has_speech=False),
    _query(
        "these filters together",
        "large",
        path="wide/*",
        since_share=0.1,
        label=["common"],
        language="en",
        has_speech=True,
    ),
    _query("--label, 1 of 100", "large", label=["rare"]),
    _query("--per-video 1, -k above the videos", "large", per_video=1, above_videos=50),
    Row("vsearch query, a new process", "fresh", {"library": "large"}, aim=False),
    *(Row(f"index alone, depth {depth:,}", "recall", {"depth": depth}) for depth in (10, 100, 400, 1000)),
    Row("index alone, depth 100, 1 of 10 scenes", "recall", {"depth": 100, "one_in": 10}),
)
_READ = {"library": "scratch", "asked": {"channel": "visual"}}


@dataclass(slots=True)
class Measured:
    """What one side told of one row."""

    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    ended: bool = False
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def ms(self) -> float | None:
        return None if self.ended or not self.times else statistics.median(self.times)

    @property
    def cpu_ms(self) -> float | None:
        return None if self.ended or not self.cpu else statistics.median(self.cpu)

    def take(self, told: dict[str, Any] | None) -> None:
        if told is None:
            self.ended = True
        else:
            self.last = told
            self.times.append(told["ms"])
            self.cpu.append(told["cpu_ms"])


@dataclass(frozen=True, slots=True)
class Result:
    """A row with what every side told, in the order of the sides."""

    row: Row
    measured: list[Measured]


def measure(sides: Sequence[Side], row: Row, repeat: int, limit: float) -> Result:
    """Once without counting, then in turns."""
    found = [Measured() for _ in sides]
    for run in range(repeat + 1):
        turns = list(zip(sides, found, strict=True))
        for side, measured in turns if run % 2 else reversed(turns):
            if measured.ended or (measured.times and max(measured.times) > LONG_MS):
                continue
            if run == 1:
                measured.times.clear()
                measured.cpu.clear()
            measured.take(side.ask(row.step, limit, run=run, **row.values))
    result = Result(row, found)
    print(_line(result, limit), file=sys.stderr, flush=True)
    return result


def once(sides: Sequence[Side], row: Row, limit: float) -> Result:
    """A step that changes the library, one side after the other."""
    found = [Measured() for _ in sides]
    for side, measured in zip(sides, found, strict=True):
        measured.take(side.ask(row.step, limit, **row.values))
    result = Result(row, found)
    print(_line(result, limit), file=sys.stderr, flush=True)
    return result


def build(sides: Sequence[Side]) -> None:
    """Make every library; both revisions work at the same time."""

    def make(side: Side) -> None:
        side.check_source()
        for library in LIBRARIES:
            told = side.ask("build", PATIENCE, library=library)
            print(f"{side.name}: {library} in {told['seconds'] if told else -1:.0f} s", file=sys.stderr, flush=True)

    with ThreadPoolExecutor() as threads:
        list(threads.map(make, sides))


def run(sides: Sequence[Side], scenes: int, repeat: int, limit: float, only: str) -> list[Result]:
    """only: rows whose name holds this."""

    def rows(wanted: Sequence[Row]) -> list[Result]:
        return [measure(sides, row, repeat, limit) for row in wanted if only in row.name]

    results = rows([*ROWS, _verify("film", "film"), _verify(f"{scenes:,} scenes", "large")])
    more, gone = f"{scenes // 2:,} more", f"{scenes * 3 // 4:,} removals"
    grown = [
        Row(f"open reader, after {more}", "query", _READ),
        _after_write("open reader, all channels, just after a write", {}),
        _after_write("open reader, --has-speech, just after a write", {"has_speech": True}),
    ]
    shrunk = [Row(f"open reader, after {gone}", "query", _READ), _verify(f"{gone} since the snapshot", "scratch")]
    if any(only in row.name for row in (*grown, *shrunk)):
        step = f"open reader, first query after {scenes // 20:,} more"
        results.append(once(sides, Row(step, "grow", {}), PATIENCE))
        results += rows(grown)
        for side in sides:
            side.ask("remove", PATIENCE)
        results += rows(shrunk)
    return results


def _verify(name: str, library: str) -> Row:
    return Row(f"verify, {name}", "verify", {"library": library}, aim=False)


def _after_write(name: str, asked: dict[str, Any]) -> Row:
    return Row(name, "after_write", {"library": "scratch", "asked": asked})


def _told(ms: float | None, limit: float) -> str:
    return f"> {limit:.0f} s" if ms is None else f"{ms:,.1f}"


def _line(result: Result, limit: float) -> str:
    walls = " | ".join(_told(measured.ms, limit) for measured in result.measured)
    return f"{result.row.name}: {walls}; CPU " + " | ".join(
        _told(measured.cpu_ms, limit) for measured in result.measured
    )


def table(results: Sequence[Result], names: Sequence[str], limit: float) -> str:
    """Markdown; times in milliseconds."""
    ratio = ["ratio"] if len(names) > 1 else []
    head = ["ms, median", *names, *ratio, f"{AIM_MS:.0f} ms", *(f"{name}, CPU" for name in names), "hits or recall"]
    lines = [head, ["---", *["---:"] * (len(head) - 2), "---"]]
    for result in results:
        walls = [measured.ms for measured in result.measured]
        met = walls[-1] is not None and walls[-1] <= AIM_MS
        lines.append(
            [
                result.row.name,
                *(_told(ms, limit) for ms in walls),
                *([_ratio(walls[0], walls[-1], limit)] if ratio else []),
                ("yes" if met else "no") if result.row.aim else "",
                *(_told(measured.cpu_ms, limit) for measured in result.measured),
                _found(result),
            ]
        )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _ratio(before: float | None, now: float | None, limit: float) -> str:
    if now is None:
        return ""
    return f"> {1000 * limit / now:.1f}" if before is None else f"{before / now:.1f}"


def _found(result: Result) -> str:
    """Hits, or recall, of each side; one figure where all agree."""
    told = []
    for measured in result.measured:
        if "recall" in measured.last:
            told.append(f"{measured.last['recall']:.3f}")
        elif "hits" in measured.last:
            told.append(f"{measured.last['hits']:,}")
    return told[0] if len(set(told)) == 1 else ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="REV", help="compare with this revision, or with another working tree")
    parser.add_argument("--after", metavar="REV", help="measure this one instead of this working tree")
    parser.add_argument("--scenes", type=int, default=200_000, help="in the large library (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--limit", type=float, default=60.0, metavar="SECONDS", help="for one run of one row")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name holds this")
    parser.add_argument("--cache", type=Path, help="where libraries of revisions are kept for the next time")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        names = [revision for revision in (given.before, given.after or "") if revision is not None]
        sides = [_side(revision, Path(name) / f"side-{at}", given) for at, revision in enumerate(names)]
        try:
            build(sides)
            results = run(sides, given.scenes, given.repeat, given.limit, given.only)
        finally:
            for side in sides:
                side.close()
    titles = [side.name for side in sides]
    if given.json:
        print(json.dumps([_as_json(result, titles) for result in results], indent=1))
        return
    print(table(results, titles, given.limit))
    print("memory at the most, MB: " + ", ".join(f"{side.name} {side.most_mb:.0f}" for side in sides))


def _side(revision: str, folder: Path, given: argparse.Namespace) -> Side:
    """revision: empty for the working tree; it may be the folder of another one."""
    source, libraries = ROOT, folder / "libraries"
    if revision:
        source = folder / "source"
        commit = export(revision, source)
        if commit and given.cache:
            libraries = given.cache.absolute() / f"{commit[:12]}-{given.scenes}"
    libraries.mkdir(parents=True, exist_ok=True)
    return Side(Path(revision).name or "now", source, STEPS, (str(libraries), str(given.scenes)))


def _as_json(result: Result, names: Sequence[str]) -> dict[str, Any]:
    told = {
        name: {"ms": measured.ms, "ended": measured.ended, **{k: v for k, v in measured.last.items() if k != "ms"}}
        for name, measured in zip(names, result.measured, strict=True)
    }
    return {"row": result.row.name, "aim": result.row.aim, **told}


if __name__ == "__main__":
    main()
