"""The searchable index of one space: a snapshot, and the changes of the catalog since it was written."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsearch.library import snapshots, vectors
from vsearch.library.connection import CatalogState
from vsearch.library.faults import raise_if_exhausted
from vsearch.library.ids import ascending
from vsearch.library.reader import Reader
from vsearch.library.snapshots import Snapshot
from vsearch.library.vectors import Base, Ids, Recent, Recipe
from vsearch.media import Space, Vectors

_log = logging.getLogger(__name__)

_MATRIX_LIMIT = 20_000
"""Without a usable snapshot, up to this many vectors are kept as a matrix in memory. More are put into a FAISS index,
which needs half the memory."""
_MERGE_AT = 16
"""Batches of recent vectors beyond which they are merged into one."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """The space at one change number. Immutable, so threads can search it while another one updates it."""

    library_id: str
    change: int
    base: Base | None
    recent: tuple[Recent, ...]
    tried: int = -1
    """Change number of the newest snapshot that was tried: that of the base, or of one that was unusable."""


class SpaceIndex:
    """Follows the catalog: a search first adopts a newer snapshot, if any, and replays what was committed since."""

    def __init__(self, folder: Path, space_id: int, space: Space, reader: Reader) -> None:
        self._folder = folder
        self._space_id = space_id
        self._space = space
        self._reader = reader
        self._guard = threading.Lock()
        self._view: _View | None = None

    def search(
        self, queries: Vectors, k: int, allowed: Ids | None, exact_below: int
    ) -> tuple[NDArray[np.float32], Ids]:
        """Scores [Q, k'] and ids [Q, k'], best first. allowed: ascending ids; up to `exact_below` of
        them are compared without an index."""
        with self._reader.transaction():
            if allowed is not None and len(allowed) <= exact_below:
                proposed = allowed
            else:
                view = self._bring_up_to_date()
                parts = [recent.propose(queries, k, allowed) for recent in view.recent]
                if view.base is not None:
                    parts.append(view.base.propose(queries, k, allowed))
                proposed = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
            held = self._reader.vectors(self._space_id, self._space.dim, proposed.tolist())
        if not held:
            return np.empty((len(queries), 0), dtype=np.float32), np.empty((len(queries), 0), dtype=np.int64)
        ids = np.fromiter(held, dtype=np.int64, count=len(held))
        return vectors.best(queries, ids, np.stack(list(held.values())).astype(np.float32), k)

    def _bring_up_to_date(self) -> _View:
        """The view at the state that this thread's transaction sees, or later. Call inside a transaction: a thread that
        waits here already has its connection, so the thread that it waits for never waits for one."""
        with self._guard:
            # Listed before the first read of this transaction, so that no snapshot is ahead of it.
            view = self._view
            try:
                offered = snapshots.changes(self._folder, self._space_id)
            except OSError:  # out of file descriptors
                if view is None:
                    raise
                offered = []  # a newer snapshot can wait
            state = self._reader.state()
            if view is not None and (view.library_id != state.library_id or view.change < state.pruned_through):
                view = None
            newest = max((change for change in offered if change <= state.change), default=-1)
            if view is None or view.tried < newest:
                view = self._adopt(view, newest, state)
            if view.change < state.change:
                view = self._replay(view, state)
            self._view = view
            return view

    def _adopt(self, view: _View | None, newest: int, state: CatalogState) -> _View:
        """The newest usable snapshot; else the current view; else everything from the catalog."""
        for snapshot in snapshots.find(self._folder, self._space_id, self._space, state.library_id):
            if view is not None and snapshot.header.change <= view.tried:
                break
            base = usable(snapshot, state)
            if base is not None:
                return _View(state.library_id, snapshot.header.change, base, (), newest)
        if view is not None:
            return replace(view, tried=newest)
        count = self._reader.count_vectors(self._space_id)
        if count <= _MATRIX_LIMIT:
            return _View(state.library_id, -1, None, (), newest)
        _log.info("no usable snapshot of space %d: reading %d vectors from the catalog", self._space_id, count)
        recipe = Recipe("flat")
        index = vectors.build(recipe, self._space.dim, count, self.chunks)
        return _View(state.library_id, state.change, Base.of(index, recipe), (), newest)

    def _replay(self, view: _View, state: CatalogState) -> _View:
        added = list(self._reader.vectors_since(self._space_id, self._space.dim, view.change))
        gone = [self._reader.removed_since(self._space_id, view.change), *(ids for ids, _ in added)]
        base, recent = view.base, view.recent
        touched = ascending(*gone)
        if len(touched):
            if base is not None:
                base = replace(base, hidden=ascending(base.hidden, touched))
            recent = tuple(part for part in (old.without(touched) for old in recent) if len(part.ids))
        if added:
            ids = np.concatenate([ids for ids, _ in added])
            recent = (*recent, Recent(ids, np.concatenate([halves for _, halves in added]).astype(np.float32)))
        if len(recent) > _MERGE_AT:
            ids = np.concatenate([part.ids for part in recent])
            recent = (Recent(ids, np.concatenate([part.vectors for part in recent])),)
        return replace(view, change=state.change, base=base, recent=recent)

    def chunks(self) -> Iterator[tuple[Ids, vectors.Halves]]:
        """All vectors of the space. Call inside a transaction."""
        return self._reader.vectors_since(self._space_id, self._space.dim, -1)


def usable(snapshot: Snapshot, state: CatalogState) -> Base | None:
    """Open a snapshot as a base; None if the catalog cannot bring it up to date."""
    header = snapshot.header
    if header.change > state.change:
        _log.warning("ignoring the snapshot %s: it is ahead of the catalog", snapshot.file.name)
        return None
    if header.change < state.pruned_through:
        _log.info("ignoring the snapshot %s: it is too old to be brought up to date", snapshot.file.name)
        return None
    kinds: dict[str, vectors.Kind] = {"flat": "flat", "ivf": "ivf"}
    if header.kind not in kinds:
        return None
    try:
        index = vectors.open_snapshot(snapshot)
    except (RuntimeError, OSError, ValueError) as error:
        raise_if_exhausted(error)
        _log.warning("ignoring the snapshot %s: %s", snapshot.file.name, str(error).splitlines()[0])
        return None
    return Base.of(index, Recipe(kinds[header.kind], header.lists))
