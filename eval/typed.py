"""Queries as users type them, compared with the plain captions that they stand for: python -m eval.typed DIR.

DIR is a folder of videos with its table of captions, as for eval.clips. `splits/typed.tsv` holds six hand-written
variants of the query for a captioned video (file, number of its caption, kind, query): one word, a phrase, a question,
capitals, a typing error of one letter, and the other grammatical number. The loss is the mean reciprocal rank of the
captions less that of the variants.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.captions import Caption
from eval.clips import rank_captions
from eval.indexed import captioned, indexed
from eval.metrics import TIE_RULE, retrieval_figures
from eval.models import open_model
from eval.options import add_json, add_library, add_model, command, new_parser
from eval.report import notes, print_json
from vsearch.clip_table import read_table
from vsearch.errors import InputError

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
    """Rows whose caption exists, and a line for each row that is skipped. Raises InputError where no row is left."""
    sentences: dict[str, list[str]] = {}
    for caption in captions:
        sentences.setdefault(caption.file, []).append(caption.text)
    typed, skipped = [], []
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
        typed.append(Typed(file, own[int(place) - 1], kind, query))
    if not typed:
        raise InputError(f"{table} names no caption of this folder" + (f": {skipped[0]}" if skipped else ""))
    return typed, skipped


def by_kind(rows: Sequence[Typed]) -> dict[str, list[Caption]]:
    """The queries of each kind, after the distinct plain captions."""
    kinds = {PLAIN: list(dict.fromkeys(Caption(row.file, row.plain) for row in rows))}
    for row in rows:
        kinds.setdefault(row.kind, []).append(Caption(row.file, row.query))
    return kinds


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
    from vsearch.search.engine import SearchEngine

    folder = arguments.folder.absolute()
    rows, skipped = read_typed(arguments.queries, captioned(folder).captions)
    model = open_model(arguments.model)
    with indexed([folder], model, arguments.library) as (library, _):
        key_of = {row.path.resolve(): row.key for row in library.files()}
        search = SearchEngine(library, model).search
        ranks = {kind: rank_captions(search, folder, asked, key_of) for kind, asked in by_kind(rows).items()}
    typed = np.concatenate([found for kind, found in ranks.items() if kind != PLAIN])
    results = {kind: (len(found), retrieval_figures(found)) for kind, found in (*ranks.items(), ("all typed", typed))}
    notes("queries that were skipped", skipped)
    if arguments.json:
        kinds = {kind: {"queries": count, **found} for kind, (count, found) in results.items()}
        print_json({"model": model.space.model, "files": len(set(key_of.values())), "ties": TIE_RULE, "kinds": kinds})
        return
    print(f"{len(typed)} typed queries over {len(set(key_of.values()))} files, model {model.space.model}\n")
    print("\n".join(table_lines(results)))


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.typed", __doc__)
    p.add_argument("folder", type=Path, metavar="DIR", help="folder of videos with captions.tsv or captions.csv")
    p.add_argument("--queries", type=Path, default=TABLE, metavar="FILE", help="default: the table that ships")
    add_model(p)
    add_library(p)
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
