"""Saving snapshots: always complete and from the catalog, in chunks, so that errors cannot accumulate."""

from __future__ import annotations

import logging
from pathlib import Path

from vsearch.errors import LibraryError
from vsearch.library import snapshots, vectors
from vsearch.library.reader import Reader
from vsearch.library.rows import SpaceRow
from vsearch.library.vectors import Recipe

_log = logging.getLogger(__name__)


def save_snapshots(folder: Path, reader: Reader, stale_share: float) -> int:
    """Save the snapshots that are outdated. Returns the change number that every snapshot includes."""
    covered = reader.state().change
    spaces = reader.spaces()
    snapshots.sweep_unknown(folder, {row.id for row in spaces})
    for row in spaces:
        covered = min(covered, _save_space(folder, reader, row, stale_share))
    return covered


def _save_space(folder: Path, reader: Reader, row: SpaceRow, stale_share: float) -> int:
    with reader.transaction():
        state = reader.state()
        count = reader.count_vectors(row.id)
        if count == 0:
            snapshots.sweep(folder, row.id, None)
            return state.change
        recipe = Recipe.for_count(count)
        newest = next(snapshots.find(folder, row.id, row.space, state.library_id), None)
        if newest is not None and state.pruned_through <= newest.header.change <= state.change:
            since = newest.header.change
            changed = count - reader.count_vectors(row.id, since) + len(reader.removed_since(row.id, since))
            if changed <= stale_share * count and newest.header.kind == recipe.kind:
                snapshots.sweep(folder, row.id, newest.file)  # left by a killed process
                return since
        _log.info("taking a snapshot of %d vectors of space %d", count, row.id)
        try:
            index = vectors.build(recipe, row.space.dim, count, lambda: reader.vectors_since(row.id, row.space.dim, -1))
            saved = snapshots.save(
                folder,
                row.id,
                row.space,
                library_id=state.library_id,
                change=state.change,
                count=count,
                kind=recipe.kind,
                lists=recipe.lists,
                code_bytes=recipe.code_bytes(row.space.dim),
                index=index,
            )
        except RuntimeError as error:
            raise LibraryError(f"no snapshot could be saved: {str(error).splitlines()[0]}") from error
    snapshots.sweep(folder, row.id, saved.file)
    return state.change
