"""Any folder of videos with a table of captions, through the product itself: python -m eval.clips DIR.

Every video of the folder is indexed into a library, those without a caption too: they are distractors. Each caption is
a query, and the rank of a file is the rank of its best scene among the best scenes of all files.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.captions import Caption, read_captions
from eval.metrics import TIE_RULE, Ranks, as_json, figures
from eval.models import open_model
from eval.options import add_captions, add_json, add_library, add_model, add_rerank
from eval.report import figures_table, note, notes, print_json, run
from vsearch.errors import InputError, PathError
from vsearch.media import Hit
from vsearch.search.query import Query, Rerank

if TYPE_CHECKING:
    from vsearch.library import SqliteStore
    from vsearch.models.base import Model

METRICS = ("R@1", "R@5", "R@10", "MdR")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    ranks: Ranks
    """One a caption; a file that was not found at all ranks behind every file of the gallery."""
    files: int
    """How many are in the gallery."""
    failed: tuple[str, ...]


def rank_of_right(scores: Sequence[tuple[float, bool]], behind: int) -> int:
    """Rank of the right one among (score, is it right), one a file; ties count against it."""
    own = max((score for score, right in scores if right), default=None)
    if own is None:
        return behind
    return 1 + sum(score >= own for score, right in scores if not right)


def evaluate_clips(
    folder: Path, captions: Sequence[Caption], library: SqliteStore, model: Model, rerank: Rerank | None = None
) -> Outcome:
    """Index the folder, then ask every caption. Other videos of the library are distractors."""
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.indexer.events import Skipped
    from vsearch.search.engine import SearchEngine

    events = run_index(library, IndexPlan(model), [folder])
    failed = tuple(f"{event.path}: {event.cause}" for event in events if isinstance(event, Skipped))
    key_of = {row.path.resolve(): row.key for row in library.files()}
    if not any(path.is_relative_to(folder.resolve()) for path in key_of):
        raise InputError(f"no video of {folder} could be indexed" + (f": {failed[0]}" if failed else ""))
    ranks = rank_captions(SearchEngine(library, model).search, folder, captions, key_of, rerank)
    return Outcome(ranks, len(set(key_of.values())), failed)


def rank_captions(
    search: Callable[[Query], Sequence[Hit]],
    folder: Path,
    captions: Sequence[Caption],
    key_of: Mapping[Path, str],
    rerank: Rerank | None = None,
) -> Ranks:
    """For each caption the rank of its file. key_of: the content key of every indexed file, by its resolved path.

    Copies of one file are one video: finding either is right.
    """
    gallery = len(set(key_of.values()))
    ranks = []
    for caption in captions:
        key = key_of.get((folder / caption.file).resolve())
        hits = search(Query(text=caption.text, k=gallery, per_video=1, rerank=rerank))
        scores = [(hit.score, key is not None and key_of.get(hit.video.resolve()) == key) for hit in hits]
        ranks.append(rank_of_right(scores, behind=gallery + 1))
    return np.array(ranks, dtype=np.int64)


def find_table(folder: Path) -> Path:
    """captions.tsv or captions.csv of the folder."""
    for name in ("captions.tsv", "captions.csv"):
        if (folder / name).is_file():
            return folder / name
    raise PathError(f"{folder} has neither captions.tsv nor captions.csv: file and caption, a line each")


def evaluate(arguments: argparse.Namespace) -> None:
    """The command."""
    folder = arguments.folder.absolute()
    if not folder.is_dir():
        raise PathError(f"{folder} is not a folder of videos")
    table = read_captions(arguments.captions or find_table(folder), folder)
    from vsearch.library import SqliteStore

    with ExitStack() as stack:
        place = arguments.library or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vsearch-eval-")))
        model = open_model(arguments.model)
        library = stack.enter_context(SqliteStore.open(place, create=True))
        note(f"indexing {folder}")
        outcome = evaluate_clips(folder, table.captions, library, model, arguments.rerank)
    names = sorted({caption.file for caption in table.captions})
    number = {name: i for i, name in enumerate(names)}
    groups = np.array([number[caption.file] for caption in table.captions], dtype=np.int64)
    estimates = {name: e for name, e in figures(outcome.ranks, groups).items() if name in METRICS}
    notes("rows of the table that were skipped", table.skipped)
    notes("files that failed", outcome.failed)
    if arguments.json:
        print_json(
            {
                "model": model.space.model,
                "videos": outcome.files,
                "failed": len(outcome.failed),
                "captioned_files": len(names),
                "captions": len(table.captions),
                "skipped_rows": len(table.skipped),
                "ties": TIE_RULE,
                **as_json(estimates),
            }
        )
        return
    print(
        f"{len(table.captions)} captions of {len(names)} files, over {outcome.files} files, model {model.space.model}"
    )
    print(f"{len(outcome.failed)} files failed; ties {TIE_RULE}\n")
    print("\n".join(figures_table({"caption to file": estimates}, METRICS)))
    if arguments.library:
        note(f"the library stays in {arguments.library}")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m eval.clips", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("folder", type=Path, metavar="DIR", help="folder of videos")
    add_captions(p)
    add_model(p)
    add_rerank(p)
    add_library(p)
    add_json(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run(partial(evaluate, parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
