"""Forgetting files that are gone, but never because a disk is not there.

A file that is gone may have been deleted, or lie on a disk that is not mounted. What tells is the deepest folder above
it that is still there, at or below the path that was given to index:

* it holds something: the file was deleted, maybe with the folders between, and is forgotten.
* it is empty: that is how a mount point looks without its disk, at the top or anywhere below. What was under it is
  kept, and a Skipped says so. Deleting the empty folder as well, or `vsearch remove`, settles it.
* it cannot be read, or nothing is there at all: likewise.

A path whose content is known at another path that is there is forgotten in any case: no encoding goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vsearch.indexer.decisions import is_gone, stamp_now
from vsearch.indexer.events import Pruned, Skipped
from vsearch.library.rows import FileRow
from vsearch.library.store import Store
from vsearch.media import FileStamp


def forget_gone(store: Store, roots: Sequence[Path], *, prune: bool, act: bool = True) -> Iterator[Pruned | Skipped]:
    """Forget the files under `roots` that are gone, in one transaction a root.

    With `prune` all of them, failures too, but for those in doubt; without, those whose content lies elsewhere.
    """
    reported: set[Path] = set()
    for root in roots:
        doubts: dict[Path, str | None] = {}  # of the folders that were looked at
        forgotten: list[Path] = []
        kept: dict[Path, int] = {}
        for row in store.files(under=root):
            if not is_gone(row.path):
                continue
            if _has_living_copy(store, row):
                forgotten.append(row.path)
            elif prune:
                folder = _deepest(row.path, root)
                if folder not in doubts:
                    doubts[folder] = _doubt(folder)
                if doubts[folder] is None:
                    forgotten.append(row.path)
                else:
                    kept[folder] = kept.get(folder, 0) + 1
        failed = [failure.stamp.path for failure in store.failures(under=root)] if prune else []
        lost = [path for path in failed if is_gone(path) and _doubt(_deepest(path, root)) is None]
        for folder in sorted(kept.keys() - reported):
            yield Skipped(
                folder,
                f"{doubts[folder]}: its {kept[folder]} known files are kept; use `vsearch remove` to forget them",
            )
        reported.update(kept)
        if act and (forgotten or lost):
            store.forget_files(forgotten + lost)
        for path in forgotten:
            yield Pruned(path)


def _has_living_copy(store: Store, row: FileRow) -> bool:
    video = store.find_key(row.key)
    copies = [store.find_file(path) for path in video.paths if path != row.path] if video else []
    return any(copy and stamp_now(copy.path) == FileStamp(copy.path, copy.size, copy.mtime_ns) for copy in copies)


def _deepest(path: Path, root: Path) -> Path:
    """The deepest folder above `path` that is there, or `root`."""
    while path != root:
        path = path.parent
        if not is_gone(path):
            break
    return path


def _doubt(folder: Path) -> str | None:
    """Why what is missing under `folder` may only be out of reach."""
    try:
        if not folder.is_dir():
            return None if folder.exists() else "it is not there (a disk that is not mounted?)"
        return None if any(folder.iterdir()) else "the folder is empty (a disk that is not mounted?)"
    except OSError as error:
        return (error.strerror or str(error)).lower()
