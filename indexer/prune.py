"""Forgetting files that are gone, but never because a disk is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.events import Pruned, Skipped
from indexer.plan import Store, is_gone


def prune(store: Store, roots: Sequence[Path], *, act: bool = True) -> Iterator[Pruned | Skipped]:
    """Forget the files and failures under `roots` that are not there any more, in one transaction a root.

    A root that is missing, or a folder that is empty as a mount point without its disk is, is refused with a Skipped.
    """
    for root in roots:
        gone = [row.path for row in store.files(under=root) if is_gone(row.path)]
        failed = [failure.stamp.path for failure in store.status().failures]
        lost = [path for path in failed if (path == root or root in path.parents) and is_gone(path)]
        if not gone and not lost:
            continue
        doubt = _doubt(root)
        if doubt:
            if gone:
                yield Skipped(
                    root, f"{doubt}: its {len(gone)} known files are kept; use `vsearch remove` to forget them"
                )
            continue
        if act:
            store.forget_files(gone + lost)
        for path in gone:
            yield Pruned(path)


def _doubt(root: Path) -> str | None:
    """Why what is missing under `root` may only be out of reach."""
    try:
        if not root.is_dir():
            return None if root.exists() else "it is not there (a disk that is not mounted?)"
        return None if any(root.iterdir()) else "the folder is empty (a disk that is not mounted?)"
    except OSError as error:
        return (error.strerror or str(error)).lower()
