"""Zero-shot classification: python -m eval.labels --images TAR_OR_FOLDER --labels FILE.tsv.

A table of file, set, split, phrase. In each set every phrase of that set is a candidate, as the mean of its prompts; a
photograph is a video of one frame. Top-1 and top-5 over photographs, and mean average precision over phrases.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.metrics import TIE_RULE, Estimate, Indices, Scores, as_json, mean_estimate
from eval.models import open_model
from eval.options import add_json, add_model, add_pictures, command, new_parser
from eval.pictures import Pictures
from eval.report import figures_table, note, notes, print_json, track
from vsearch.clip_table import read_table
from vsearch.errors import InputError, MediaError
from vsearch.media import Vectors
from vsearch.metrics import ranks as ranks_of
from vsearch.models.protocols import Model
from vsearch.search.labels import TEMPLATES, encode_phrases

METRICS = ("top-1", "top-5", "mAP")
COLUMNS = ["file", "set", "split", "phrase"]
BATCH = 32


@dataclass(frozen=True, slots=True)
class Label:
    file: str
    set: str
    phrase: str


@dataclass(frozen=True, slots=True)
class LabelTable:
    labels: tuple[Label, ...]
    """Rows of the split asked for."""
    phrases: dict[str, tuple[str, ...]]
    """The candidates of each set: the phrases of all its splits."""
    problems: tuple[str, ...]
    """A line a row that was skipped, with its cause."""


def read_labels(path: Path, split: str | None, there: Collection[str] | Pictures) -> LabelTable:
    """Usable rows of the split, and a line for each other row. `there`: the names of the pictures.

    A phrase in two spellings (case, blanks, hyphens) is one phrase: the most common spelling is kept, and rows of
    another one are skipped, since the annotator may have meant two phrases.
    """
    rows, problems = _well_formed(path)
    spelling = _usual_spelling(rows)
    phrases: dict[str, dict[str, None]] = {}
    labels = []
    for number, (file, group, row_split, phrase) in rows:
        where = f"{path.name}:{number}: {file}"
        usual = spelling[group, _letters(phrase)]
        if phrase != usual:
            problems.append(f"{where}: {phrase!r} is another spelling of {usual!r}")
            continue
        phrases.setdefault(group, {})[phrase] = None
        if split is not None and row_split != split:
            continue
        if file not in there:
            problems.append(f"{where}: there is no such picture")
            continue
        labels.append(Label(file, group, phrase))
    if not labels:
        cause = f": {problems[0]}" if problems else f": no row is of split {split!r}"
        raise InputError(f"{path} has no row that can be used{cause}")
    return LabelTable(tuple(labels), {group: tuple(known) for group, known in phrases.items()}, tuple(problems))


def _well_formed(path: Path) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """Rows of four cells with a set and a phrase, and a line for each other row."""
    table = read_table(path)
    if not table or [cell.strip().lower() for cell in table[0][1]] != COLUMNS:
        raise InputError(f"{path} must begin with the columns {', '.join(COLUMNS)}")
    rows, problems = [], []
    for number, cells in table[1:]:
        cells = [cell.strip() for cell in cells]
        if len(cells) != len(COLUMNS):
            problems.append(f"{path.name}:{number}: {len(cells)} columns instead of {len(COLUMNS)}")
        elif not cells[1] or not _letters(cells[3]):
            problems.append(f"{path.name}:{number}: {cells[0]}: the {'phrase' if cells[1] else 'set'} is empty")
        else:
            rows.append((number, cells))
    return rows, problems


def _usual_spelling(rows: Sequence[tuple[int, list[str]]]) -> dict[tuple[str, str], str]:
    """For each set and phrase the spelling that most rows use, the first of equally common ones."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for _, (_, group, _, phrase) in rows:
        counts.setdefault((group, _letters(phrase)), Counter())[phrase] += 1
    return {key: spellings.most_common(1)[0][0] for key, spellings in counts.items()}


def _letters(phrase: str) -> str:
    """The form that all spellings of a phrase share."""
    return " ".join(phrase.casefold().replace("-", " ").replace("_", " ").split())


def encode_pictures(
    model: Model, pictures: Pictures, labels: Sequence[Label]
) -> tuple[list[Label], Vectors, list[str]]:
    """Labels whose picture can be read, their embeddings [N, D] as videos of one frame, and a line for each other."""
    used: list[Label] = []
    parts: list[Vectors] = []
    problems = []
    for start in track(range(0, len(labels), BATCH), "pictures"):
        pixels = []
        for label in labels[start : start + BATCH]:
            try:
                pixels.append(pictures.read(label.file, model.frame_size))
                used.append(label)
            except MediaError as error:
                problems.append(str(error))
        if pixels:
            parts.append(model.aggregate([frame[None] for frame in model.encode_frames(np.stack(pixels))]))
    if not parts:
        raise InputError(f"none of {len(labels)} pictures can be read: {problems[0]}")
    return used, np.concatenate(parts), problems


def measure_set(scores: Scores, right: Indices) -> dict[str, Estimate]:
    """METRICS in percent. scores [N, P] of pictures against phrases, right [N] the column of each picture's phrase."""
    ranks = ranks_of(scores, right)
    present = np.unique(right)
    precisions = np.array([average_precision(scores[:, phrase], right == phrase) for phrase in present])
    return {
        "top-1": mean_estimate(np.where(ranks <= 1, 100.0, 0.0)),
        "top-5": mean_estimate(np.where(ranks <= 5, 100.0, 0.0)),
        "mAP": mean_estimate(100.0 * precisions),
    }


def average_precision(scores: NDArray[np.float32], relevant: NDArray[np.bool_]) -> float:
    """Mean over the relevant items of the precision at each one's rank; ties count against it.

    scores [N] of one query, relevant [N] with at least one True.
    """
    order = np.lexsort((relevant, -scores))  # best first, and of equal scores the wrong ones first
    hits = relevant[order]
    return float((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())


def evaluate_labels(
    model: Model, pictures: Pictures, table: LabelTable
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Estimate]], list[str]]:
    """Per set: its counts, its figures; and the pictures that could not be read."""
    used, vectors, problems = encode_pictures(model, pictures, table.labels)
    counts: dict[str, dict[str, Any]] = {}
    figures: dict[str, dict[str, Estimate]] = {}
    for group in sorted({label.set for label in used}):
        column = {phrase: i for i, phrase in enumerate(table.phrases[group])}
        rows = [i for i, label in enumerate(used) if label.set == group]
        right = np.array([column[used[i].phrase] for i in rows], dtype=np.int64)
        counts[group] = {"pictures": len(rows), "phrases": len(column)}
        figures[group] = measure_set(vectors[rows] @ encode_phrases(model, list(column)).T, right)
    return counts, figures, problems


def evaluate(arguments: argparse.Namespace) -> None:
    """Classify the photographs and print the figures."""
    with Pictures(arguments.images) as pictures:
        table = read_labels(arguments.labels, arguments.split, pictures)
        model = open_model(arguments.model)
        counts, figures, unreadable = evaluate_labels(model, pictures, table)
    problems = [*table.problems, *unreadable]
    used = sum(count["pictures"] for count in counts.values())
    notes("rows that were skipped", problems)
    if arguments.json:
        sets = {group: {**counts[group], **as_json(figures[group])} for group in counts}
        head = {"model": model.space.model, "split": arguments.split, "templates": list(TEMPLATES), "ties": TIE_RULE}
        print_json({**head, "used": used, "skipped": len(problems), "sets": sets})
        return
    print(f"{used} pictures used, {len(problems)} rows skipped; split {arguments.split or 'all'}; {model.space.model}")
    print(f"prompts {', '.join(TEMPLATES)}; ties {TIE_RULE}\n")
    names = {group: f"{group} ({counts[group]['phrases']} phrases)" for group in counts}
    print("\n".join(figures_table({names[group]: figures[group] for group in counts}, METRICS)))
    if problems:
        note(f"{used} rows were used")


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.labels", __doc__)
    add_pictures(p)
    add_model(p)
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
