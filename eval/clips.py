"""Any folder of videos with a table of captions, through the product itself: python -m eval.clips DIR.

Every video of the folder is indexed into a library, those without a caption too: they are distractors. Each caption is
a query. The rank of a file is the rank of its best scene among the best scenes of all files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.captions import Caption
from eval.indexed import captioned, indexed
from eval.metrics import TIE_RULE, Ranks, as_json, figures
from eval.models import open_model
from eval.options import add_captions, add_json, add_library, add_model, add_rerank, command, new_parser
from eval.report import figures_table, note, notes, print_json
from vsearch.errors import InputError
from vsearch.media import Hit
from vsearch.search.query import Query, Rerank

METRICS = ("R@1", "R@5", "R@10", "MdR")


def rank_of_right(scores: Sequence[tuple[float, bool]], behind: int) -> int:
    """Rank of the right file among (score, is it the right file), `behind` without one. Ties count against it."""
    own = max((score for score, right in scores if right), default=None)
    if own is None:
        return behind
    return 1 + sum(score >= own for score, right in scores if not right)


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


def evaluate(arguments: argparse.Namespace) -> None:
    """Index the folder and query every caption. Other videos of the library are distractors."""
    from vsearch.search.engine import SearchEngine

    folder = arguments.folder.absolute()
    table = captioned(folder, arguments.captions)
    model = open_model(arguments.model)
    with indexed([folder], model, arguments.library) as (library, failed):
        key_of = {row.path.resolve(): row.key for row in library.files()}
        if not any(path.is_relative_to(folder.resolve()) for path in key_of):
            raise InputError(f"no video of {folder} could be indexed" + (f": {failed[0]}" if failed else ""))
        search = SearchEngine(library, model).search
        ranks = rank_captions(search, folder, table.captions, key_of, arguments.rerank)
    videos = len(set(key_of.values()))
    names = sorted({caption.file for caption in table.captions})
    number = {name: i for i, name in enumerate(names)}
    groups = np.array([number[caption.file] for caption in table.captions], dtype=np.int64)
    estimates = {name: e for name, e in figures(ranks, groups).items() if name in METRICS}
    notes("rows of the table that were skipped", table.skipped)
    notes("files that failed", failed)
    if arguments.json:
        print_json(
            {
                "model": model.space.model,
                "videos": videos,
                "failed": len(failed),
                "captioned_files": len(names),
                "captions": len(table.captions),
                "skipped_rows": len(table.skipped),
                "ties": TIE_RULE,
                **as_json(estimates),
            }
        )
        return
    print(f"{len(table.captions)} captions of {len(names)} files, over {videos} files, model {model.space.model}")
    print(f"{len(failed)} files failed; ties {TIE_RULE}\n")
    print("\n".join(figures_table({"caption to file": estimates}, METRICS)))
    if arguments.library:
        note(f"the library stays in {arguments.library}")


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.clips", __doc__)
    p.add_argument("folder", type=Path, metavar="DIR", help="folder of videos")
    add_captions(p)
    add_model(p)
    add_rerank(p)
    add_library(p)
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
