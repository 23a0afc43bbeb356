"""How good the labels of `vsearch label` are: python -m eval.tags --images TAR_OR_FOLDER --labels FILE.tsv.

The same tables as eval.labels. Each set is a library whose scenes are its photographs, and its phrases are the list of
labels; a photograph has one right label, so any other label counts as wrong. Precision is over the labels that
were given, recall over the photographs, both together over all sets. Ways to calibrate, all in standard deviations but
the first:

    cosine      none
    background  a scene against everyday phrases (T-norm): what the program does
    library     a label against all scenes of the library (Z-norm)
    both        the mean of these two (S-norm)

The last columns ask what becomes of a label that half of the library shows: for each phrase a library of its
photographs (repeated) and as many others, at the threshold of recall 30.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.labels import Label, LabelTable, encode_pictures, read_labels
from eval.models import open_model
from eval.options import add_json, add_model, add_pictures, command, new_parser
from eval.pictures import Pictures
from eval.report import notes, print_json
from vsearch.media import Vectors
from vsearch.models.protocols import Model
from vsearch.search.labels import THRESHOLD, TOP, Labeller, encode_phrases

Matrix = NDArray[np.float32]
WAYS = ("cosine", "background", "library", "both")
RECALLS = (0.2, 0.3, 0.4)
"""Recalls at which precision is reported, each way at its own threshold."""
HALF_AT = 0.3
"""Of these, the one whose thresholds are used where half of the library shows a label."""
HALF = 60
"""Photographs with the label, and as many others."""


def calibrated(model: Model, scenes: Vectors, phrases: Sequence[str]) -> dict[str, Matrix]:
    """Scenes [N, D] against phrases: [N, P] for each of WAYS."""
    cosine = scenes @ encode_phrases(model, phrases).T
    background = Labeller(model, phrases).scores(scenes)
    library = against_library(cosine)
    return {"cosine": cosine, "background": background, "library": library, "both": (background + library) / 2}


def against_library(cosine: Matrix) -> Matrix:
    """[N, P]: standard deviations above each phrase's mean over the scenes."""
    scores: Matrix = ((cosine - cosine.mean(axis=0)) / np.maximum(cosine.std(axis=0), 1e-3)).astype(np.float32)
    return scores


def at_half(
    cosine: Matrix, background: Matrix, right: NDArray[np.int64], thresholds: dict[str, float]
) -> dict[str, list[tuple[float, float]]]:
    """For each way and each phrase, where half of the library has it: the share of the scenes with it, and of those
    without, that get it."""
    random = np.random.default_rng(0)
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in thresholds}
    for phrase in np.unique(right):
        own = np.resize(np.flatnonzero(right == phrase), HALF)
        rows = np.concatenate([own, random.choice(np.flatnonzero(right != phrase), HALF)])
        plain, scene = cosine[rows, phrase], background[rows, phrase]
        library = against_library(plain[:, None])[:, 0]
        ways = {"cosine": plain, "background": scene, "library": library, "both": (scene + library) / 2}
        for way, threshold in thresholds.items():
            given = ways[way] >= threshold
            found[way].append((float(given[:HALF].mean()), float(given[HALF:].mean())))
    return found


def best_labels(scores: Matrix, right: NDArray[np.int64], top: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scores [N, P] and the column of each scene's label [N]: the `top` best of a scene, which are right; flat."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return np.take_along_axis(scores, best, axis=1).ravel(), (best == right[:, None]).ravel()


def at_threshold(
    given: NDArray[np.float32], right: NDArray[np.bool_], scenes: int, threshold: float
) -> tuple[float, float]:
    """(precision, recall); no label at all is a precision of 1."""
    kept = right[given >= threshold]
    return (float(kept.mean()) if len(kept) else 1.0), float(kept.sum() / scenes)


def precision_at(
    given: NDArray[np.float32], right: NDArray[np.bool_], scenes: int, recall: float
) -> tuple[float, float] | None:
    """(precision, threshold) where this recall is first reached; None where it never is."""
    order = np.argsort(-given, kind="stable")
    hits = np.cumsum(right[order])
    reached = np.flatnonzero(hits >= recall * scenes)
    if not len(reached):
        return None
    # Of equal scores all are given or none.
    last = int(np.flatnonzero(given[order] == given[order][reached[0]])[-1])
    return float(hits[last] / (last + 1)), float(given[order][last])


def evaluate_tags(
    model: Model, used: Sequence[Label], vectors: Vectors, table: LabelTable, top: int, threshold: float
) -> dict[str, Any]:
    """Figures a set at the threshold, and precision at RECALLS for each of WAYS."""
    found: dict[str, list[tuple[NDArray[np.float32], NDArray[np.bool_]]]] = {way: [] for way in WAYS}
    sets: dict[str, dict[str, float]] = {}
    measured: list[tuple[Matrix, Matrix, NDArray[np.int64]]] = []
    for group in sorted({label.set for label in used}):
        column = {phrase: i for i, phrase in enumerate(table.phrases[group])}
        rows = [i for i, label in enumerate(used) if label.set == group]
        right = np.array([column[used[i].phrase] for i in rows], dtype=np.int64)
        calibrations = calibrated(model, vectors[rows], list(column))
        measured.append((calibrations["cosine"], calibrations["background"], right))
        for way, scores in calibrations.items():
            found[way].append(best_labels(scores, right, top))
        precision, recall = at_threshold(*found["background"][-1], len(rows), threshold)
        sets[group] = {"pictures": len(rows), "phrases": len(column), "precision": precision, "recall": recall}
    joined = {
        way: (np.concatenate([scores for scores, _ in parts]), np.concatenate([right for _, right in parts]))
        for way, parts in found.items()
    }
    precision, recall = at_threshold(*joined["background"], len(used), threshold)
    ways = {
        way: {f"{recall:.1f}": precision_at(*parts, len(used), recall) for recall in RECALLS}
        for way, parts in joined.items()
    }
    thresholds = {way: cell[1] for way, row in ways.items() if (cell := row[f"{HALF_AT:.1f}"]) is not None}
    parts = [at_half(*part, thresholds) for part in measured if len(np.unique(part[2])) > 1]
    pairs = {way: [pair for part in parts for pair in part[way]] for way in thresholds}
    half = {way: np.mean(of_way, axis=0).tolist() for way, of_way in pairs.items() if of_way}
    everything = {"precision": precision, "recall": recall}
    return {"sets": sets, "all": everything, "precision_at_recall": ways, "half": half}


def evaluate(arguments: argparse.Namespace) -> None:
    """The command."""
    with Pictures(arguments.images) as pictures:
        table = read_labels(arguments.labels, arguments.split, pictures)
        model = open_model(arguments.model)
        used, vectors, unreadable = encode_pictures(model, pictures, table.labels)
    notes("rows that were skipped", [*table.problems, *unreadable])
    result = evaluate_tags(model, used, vectors, table, arguments.top, arguments.threshold)
    if arguments.json:
        head = {"model": model.space.model, "top": arguments.top, "threshold": arguments.threshold}
        print_json({**head, "used": len(used), **result})
        return
    print(f"{len(used)} pictures, {model.space.model}, top {arguments.top}, threshold {arguments.threshold:g}\n")
    print("| labels | pictures | phrases | precision | recall |\n|---|---|---|---|---|")
    for group, row in result["sets"].items():
        figures = f"{100 * row['precision']:.1f} | {100 * row['recall']:.1f}"
        print(f"| {group} | {row['pictures']} | {row['phrases']} | {figures} |")
    print(f"| all | {len(used)} | | {100 * result['all']['precision']:.1f} | {100 * result['all']['recall']:.1f} |\n")
    heads = [f"precision at recall {100 * recall:.0f} (threshold)" for recall in RECALLS]
    print("| " + " | ".join(["calibration", *heads, "of half: found", "wrongly"]) + " |")
    print("|---" * (3 + len(RECALLS)) + "|")
    for way, row in result["precision_at_recall"].items():
        cells = ["never" if cell is None else f"{100 * cell[0]:.1f} ({cell[1]:.2f})" for cell in row.values()]
        cells += [f"{100 * share:.1f}" for share in result["half"][way]] if way in result["half"] else ["", ""]
        print(f"| {way} | " + " | ".join(cells) + " |")


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.tags", __doc__)
    add_pictures(p)
    p.add_argument("--top", type=int, default=TOP, metavar="N", help="labels of a scene; default: %(default)s")
    p.add_argument("--threshold", type=float, default=THRESHOLD, metavar="X", help="default: %(default)s")
    add_model(p)
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
