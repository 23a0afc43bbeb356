"""Recall in the visual channel: the scenes nearest to the query by inner product (ITC)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.library.filters import NO_FILTERS, Filters
from vsearch.media import Space, Vectors
from vsearch.search.candidates import Candidate, scene_candidate

if TYPE_CHECKING:
    from vsearch.library import ReadableStore, SceneRow


LeftOut = Callable[[Sequence["SceneRow"]], set[int]]
"""Returns the ids of those of the given scenes that are not candidates."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Candidates of one model from a pool of a certain depth."""

    candidates: list[Candidate]
    """Best first."""
    complete: bool
    """There are no more scenes that pass the filters."""


def recall(
    library: ReadableStore,
    space: Space,
    vector: Vectors,
    pool: int,
    *,
    allowed: NDArray[np.int64] | None,
    filters: Filters = NO_FILTERS,
    left_out: LeftOut | None = None,
    model: int = 0,
) -> Recalled:
    """The `pool` scenes nearest to a query [D], best first, without those that `left_out` names.

    filters: those of the query, for the path of each scene. model: index of the model, for the candidates.
    """
    scores, ids = library.search_scenes(space, vector[None], pool, allowed=allowed)
    found = [int(scene) for scene in ids[0] if scene >= 0]
    # Scenes that were removed since the snapshot was read, or whose video has no file now, have no row.
    rows = library.scenes(found, filters=filters)
    gone = left_out(list(rows.values())) if left_out is not None else set()
    candidates = [
        scene_candidate(rows[scene], float(score), {space.channel: float(score)}, model)
        for scene, score in zip(found, scores[0], strict=False)
        if scene in rows and scene not in gone
    ]
    return Recalled(candidates, len(found) < pool)
