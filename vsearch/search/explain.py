"""The last step: which part of its file a candidate stands for, and which frame of it fits best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vsearch.media import Space, Vectors
from vsearch.models.protocols import TextEncoder
from vsearch.search.recall import Candidate

if TYPE_CHECKING:
    from vsearch.library import SqliteStore


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate and the part of its file that answers, [start, end) in seconds."""

    candidate: Candidate
    start: float
    end: float
    best_time: float
    """Seconds: the frame that matched best."""
    model: int = 0
    """The number of the model that ranks it highest, among those that are asked."""


def whole_scene(candidate: Candidate, model: int = 0) -> Found:
    """The candidate's scene from start to end. Its best frame is not looked for: that is the middle meanwhile."""
    row = candidate.row
    return Found(candidate, row.start, row.end, (row.start + row.end) / 2, model)


def with_best_frames(
    library: SqliteStore, model: TextEncoder, space: Space, vector: Vectors, found: Sequence[Found]
) -> list[Found]:
    """The same, each with the time of the frame that matches the query [D] best."""
    frames = library.frame_vectors(space, [one.candidate.row.id for one in found])
    best = []
    for one in found:
        scene = one.candidate.row.id
        if scene in frames:
            frame_vectors, times = frames[scene]
            time = float(times[int(np.argmax(model.frame_scores(vector, frame_vectors)))])
            best.append(replace(one, best_time=time))
        else:
            best.append(one)
    return best
