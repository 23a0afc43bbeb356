"""The last step: where in its scene a candidate fits best, and what a person is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vsearch.media import Hit, Space, Vectors
from vsearch.models.base import TextEncoder
from vsearch.search.recall import Candidate

if TYPE_CHECKING:
    from vsearch.library import Library


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate and the part of its file that answers, [start, end) in seconds."""

    candidate: Candidate
    start: float
    end: float
    best_time: float
    """Seconds: the frame that matched best."""


def whole_scenes(
    library: Library, model: TextEncoder, space: Space, vector: Vectors, candidates: Sequence[Candidate]
) -> list[Found]:
    """Every candidate's scene from start to end, with the frame that matches the query [D] best."""
    frames = library.frame_vectors(space, [candidate.row.id for candidate in candidates])
    found = []
    for candidate in candidates:
        row = candidate.row
        best_time = (row.start + row.end) / 2
        if row.id in frames:
            frame_vectors, times = frames[row.id]
            best_time = float(times[int(np.argmax(model.frame_scores(vector, frame_vectors)))])
        found.append(Found(candidate, row.start, row.end, best_time))
    return found


def explain(found: Sequence[Found]) -> list[Hit]:
    """Hits, ranked in the order given."""
    return [
        Hit(
            rank=rank,
            score=one.candidate.score,
            video=one.candidate.row.path,
            start=one.start,
            end=one.end,
            channels=one.candidate.channels,
            best_time=one.best_time,
            scene_id=one.candidate.row.id,
        )
        for rank, one in enumerate(found, start=1)
    ]
