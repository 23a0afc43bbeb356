"""One table over every benchmark whose data is there: python -m eval.world DATA --model v1=FOLDER --model mini.

DATA holds the folders msrvtt, labels and videos (docs/evaluation.md says how they are laid out); what is absent leaves
its columns out. Each figure is what the benchmark's own command prints with --json, for each model in turn.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eval import clips, labels, msrvtt, photos, typed
from eval.options import add_json, command, new_parser
from eval.report import note, print_json, printable
from vsearch.errors import InputError, PathError

Json = dict[str, Any]
Main = Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A command and which of its figures go into the table."""

    name: str
    main: Main
    arguments: tuple[str, ...]
    figures: Callable[[Json], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A model and what its row is called."""

    label: str
    model: str


def benchmarks(data: Path) -> list[Benchmark]:
    """Those whose data is in the folder."""
    found = []
    frames = sorted((data / "msrvtt" / "frames").glob("*.tar"))
    if frames:
        annotations = str(data / "msrvtt" / "annotations")
        arguments = ("--protocol", "val", "--annotations", annotations, "--frames", *map(str, frames))
        found.append(Benchmark("MSR-VTT val", msrvtt.main, arguments, _ranks_of_videos))
    if (data / "labels" / "labels.tsv").is_file():
        images, table = str(data / "labels" / "images.tar"), str(data / "labels" / "labels.tsv")
        arguments = ("--images", images, "--labels", table, "--split", "val")
        found.append(Benchmark("labels val", labels.main, arguments, _accuracies))
    if (data / "videos").is_dir():
        folder = str(data / "videos")
        found.append(Benchmark("clips", clips.main, (folder,), _ranks_of_clips))
        found.append(Benchmark("typed", typed.main, (folder,), _typed))
    if find_spec("skimage") is not None:
        found.append(Benchmark("photographs", photos.main, (), _photographs))
    if not found:
        raise InputError(f"{data} holds none of msrvtt/frames, labels, videos: see docs/evaluation.md")
    return found


def _ranks_of_videos(result: Json) -> dict[str, float]:
    return {f"MSR-VTT {name}": result["t2v"][name] for name in ("R@1", "R@5", "R@10", "MdR")}


def _accuracies(result: Json) -> dict[str, float]:
    return {name: figures["top-1"] for name, figures in result["sets"].items()}


def _ranks_of_clips(result: Json) -> dict[str, float]:
    return {f"clips {name}": result[name] for name in ("R@1", "R@5", "R@10")}


def _typed(result: Json) -> dict[str, float]:
    kinds = result["kinds"]
    return {"typed MRR": kinds["all typed"]["MRR"], "plain MRR": kinds["plain"]["MRR"]}


def _photographs(result: Json) -> dict[str, float]:
    return {"photographs first": float(result["first"]), "of the five": float(result["first_of_five"])}


def measure(benchmark: Benchmark, model: str) -> dict[str, float]:
    """Run a benchmark's command for a model. InputError where it fails; it has said why on stderr."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = benchmark.main([*benchmark.arguments, "--model", model, "--json"])
    if code != 0:
        raise InputError(f"the benchmark {benchmark.name} did not run for {model}")
    return benchmark.figures(json.loads(printed.getvalue()))


def table_lines(rows: dict[str, dict[str, float]]) -> list[str]:
    """A Markdown table, a line a model."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| model | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    for label, row in rows.items():
        cells = (
            ("" if name not in row else f"{row[name]:.3f}" if "MRR" in name else f"{row[name]:.1f}") for name in columns
        )
        lines.append(f"| {printable(label)} | {' | '.join(cells)} |")
    return lines


def contender(text: str) -> Contender:
    """LABEL=MODEL or MODEL."""
    label, separator, model = text.partition("=")
    if not separator:
        return Contender(text, text)
    if not label or not model:
        raise InputError(f"--model takes MODEL or LABEL=MODEL, not {text!r}")
    return Contender(label, model)


def evaluate(arguments: argparse.Namespace) -> None:
    """The command."""
    if not arguments.data.is_dir():
        raise PathError(f"{arguments.data} is not a folder")
    contenders = [contender(text) for text in arguments.model or ["mini"]]
    rows: dict[str, dict[str, float]] = {}
    for asked in contenders:
        row = rows.setdefault(asked.label, {})
        for benchmark in benchmarks(arguments.data):
            note(f"{asked.label}: {benchmark.name}")
            row.update(measure(benchmark, asked.model))
    if arguments.json:
        print_json(rows)
    else:
        print("\n".join(table_lines(rows)))


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.world", __doc__)
    p.add_argument("data", type=Path, metavar="DATA", help="the folder that holds msrvtt, labels and videos")
    p.add_argument(
        "--model", action="append", metavar="[LABEL=]MODEL", help="name or folder; several times; default: mini"
    )
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
