"""Queries as people type them, against the plain sentences they stand for: python -m eval.typed DIR.

DIR is a folder of videos with its table of captions, as eval.clips takes it. `splits/typed.tsv` holds, by hand, six
ways of asking for a captioned video (file, number of its caption, kind, query): one word, a phrase, a question,
capitals, a typing error of one letter, and the other grammatical number. The loss is against the captions themselves.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from eval.captions import Caption, read_captions, read_table
from eval.clips import find_table, rank_captions
from eval.metrics import TIE_RULE, Ranks
from eval.models import open_model
from eval.options import add_json, add_library, add_model
from eval.report import note, notes, print_json, run
from vsearch.errors import InputError, PathError

TABLE = Path(__file__).with_name("splits") / "typed.tsv"
PLAIN = "plain"
HEADER = ["file", "caption", "kind", "query"]


@dataclass(frozen=True, slots=True)
class Typed:
    """A query that stands for a caption."""

    file: str
    plain: str
    """The caption itself."""
    kind: str
    query: str


def read_typed(table: Path, captions: Sequence[Caption]) -> tuple[list[Typed], list[str]]:
    """(the rows whose caption is there, a line a row that is left out). InputError where nothing is left."""
    sentences: dict[str, list[str]] = {}
    for caption in captions:
        sentences.setdefault(caption.file, []).append(caption.text)
    found, skipped = [], []
    for number, cells in read_table(table):
        if cells == HEADER:
            continue
        if len(cells) != len(HEADER) or not cells[1].isdigit():
            skipped.append(f"{table.name}:{number}: expected {', '.join(HEADER)}")
            continue
        file, place, kind, query = cells
        own = sentences.get(file, [])
        if not 1 <= int(place) <= len(own):
            skipped.append(f"{table.name}:{number}: {file} has no caption {place}")
            continue
        found.append(Typed(file, own[int(place) - 1], kind, query))
    if not found:
        raise InputError(f"{table} names no caption that is there" + (f": {skipped[0]}" if skipped else ""))
    return found, skipped


def by_kind(rows: Sequence[Typed]) -> dict[str, list[Caption]]:
    """The queries of each kind; first the plain captions, each once."""
    kinds = {PLAIN: list(dict.fromkeys(Caption(row.file, row.plain) for row in rows))}
    for row in rows:
        kinds.setdefault(row.kind, []).append(Caption(row.file, row.query))
    return kinds


def summary(ranks: Ranks) -> dict[str, float]:
    """R@1 and R@5 in percent, and the mean reciprocal rank."""
    return {
        "R@1": float((ranks <= 1).mean() * 100),
        "R@5": float((ranks <= 5).mean() * 100),
        "MRR": float((1 / ranks).mean()),
    }


def table_lines(results: dict[str, tuple[int, dict[str, float]]]) -> list[str]:
    """A line a kind; the last column is the mean reciprocal rank less that of the plain captions."""
    base = results[PLAIN][1]["MRR"]
    lines = [f"{'':<12}{'queries':>8}{'R@1':>8}{'R@5':>8}{'MRR':>8}{'loss':>8}"]
    for kind, (count, found) in results.items():
        cells = f"{found['R@1']:>8.1f}{found['R@5']:>8.1f}{found['MRR']:>8.3f}{base - found['MRR']:>8.3f}"
        lines.append(f"{kind:<12}{count:>8}{cells}")
    return lines


def evaluate(arguments: argparse.Namespace) -> None:
    """The command."""
    folder = arguments.folder.absolute()
    if not folder.is_dir():
        raise PathError(f"{folder} is not a folder of videos")
    captions = read_captions(find_table(folder), folder).captions
    rows, skipped = read_typed(arguments.queries, captions)
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.library import SqliteStore
    from vsearch.search.engine import SearchEngine

    with ExitStack() as stack:
        place = arguments.library or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vsearch-eval-")))
        model = open_model(arguments.model)
        library = stack.enter_context(SqliteStore.open(place, create=True))
        note(f"indexing {folder}")
        for _ in run_index(library, IndexPlan(model), [folder]):
            pass
        key_of = {row.path.resolve(): row.key for row in library.files()}
        search = SearchEngine(library, model).search
        ranks = {kind: rank_captions(search, folder, asked, key_of) for kind, asked in by_kind(rows).items()}
    typed = np.concatenate([found for kind, found in ranks.items() if kind != PLAIN])
    results = {kind: (len(found), summary(found)) for kind, found in (*ranks.items(), ("all typed", typed))}
    notes("queries that were left out", skipped)
    if arguments.json:
        kinds = {kind: {"queries": count, **found} for kind, (count, found) in results.items()}
        print_json({"model": model.space.model, "files": len(set(key_of.values())), "ties": TIE_RULE, "kinds": kinds})
        return
    print(f"{len(typed)} typed queries over {len(set(key_of.values()))} files, model {model.space.model}\n")
    print("\n".join(table_lines(results)))


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m eval.typed", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("folder", type=Path, metavar="DIR", help="folder of videos with captions.tsv or captions.csv")
    p.add_argument("--queries", type=Path, default=TABLE, metavar="FILE", help="default: the table that ships")
    add_model(p)
    add_library(p)
    add_json(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run(partial(evaluate, parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
