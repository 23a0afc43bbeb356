"""The first step of an answer: the nearest scenes by inner product (ITC)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.library.filters import NO_FILTERS, Filters
from vsearch.media import Space, Vectors

if TYPE_CHECKING:
    from vsearch.library import SceneRow, SqliteStore


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scene on its way to be a hit."""

    row: SceneRow
    score: float
    """What it is ranked by."""
    channels: Mapping[str, float]
    """Score of every channel that had a say."""


LeftOut = Callable[[Sequence["SceneRow"]], set[int]]
"""Of scenes, the ids of those that are no answer."""


@dataclass(frozen=True, slots=True)
class Recalled:
    candidates: list[Candidate]
    """Best first."""
    complete: bool
    """No more scenes pass the filters."""


def recall(
    library: SqliteStore,
    space: Space,
    vector: Vectors,
    pool: int,
    *,
    allowed: NDArray[np.int64] | None,
    filters: Filters = NO_FILTERS,
    left_out: LeftOut | None = None,
) -> Recalled:
    """The `pool` scenes nearest to one query [D], without those that are no answer.

    filters: those of the query, for the path of each scene. left_out: which scenes are no answer.
    """
    scores, ids = library.search_scenes(space, vector[None], pool, allowed=allowed)
    found = [int(scene) for scene in ids[0] if scene >= 0]
    # A scene that was removed since the snapshot was read, or whose video no path holds now, has no row.
    rows = library.scenes(found, filters=filters)
    gone = left_out(list(rows.values())) if left_out is not None else set()
    candidates = [
        Candidate(rows[scene], float(score), {space.channel: float(score)})
        for scene, score in zip(found, scores[0], strict=False)
        if scene in rows and scene not in gone
    ]
    return Recalled(candidates, len(found) < pool)
