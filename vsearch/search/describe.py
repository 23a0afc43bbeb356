"""From a video to words (video-to-text retrieval): which of some sentences describe a file or its scenes best.

A sentence's score is its inner product with the vector of what is shown, as in a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vsearch.media import Vectors
from vsearch.models.pooling import unit
from vsearch.models.protocols import TextEncoder
from vsearch.search.labels import encode_texts

if TYPE_CHECKING:
    from vsearch.library import SqliteStore


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is shown in a stretch of a file."""

    vector: Vectors
    """[D] of unit length."""
    start: float
    end: float | None
    """Seconds; None: to the end."""


@dataclass(frozen=True, slots=True)
class Description:
    """The sentences that fit a stretch of a file, best first."""

    start: float
    end: float | None
    sentences: tuple[tuple[str, float], ...]
    """With their scores."""

    def as_json(self, file: Path) -> dict[str, Any]:
        """An object of `vsearch describe --json`."""
        return {
            "file": str(file),
            "start": round(self.start, 3),
            "end": None if self.end is None else round(self.end, 3),
            "sentences": [{"text": text, "score": round(score, 6)} for text, score in self.sentences],
        }


def describe(model: TextEncoder, shown: Sequence[Shown], candidates: Sequence[str], k: int) -> list[Description]:
    """For each stretch the k sentences that fit best; of two that fit as well, the earlier one first."""
    scores = np.stack([one.vector for one in shown]) @ encode_texts(model, candidates).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return [
        Description(one.start, one.end, tuple((candidates[i], float(row[i])) for i in best))
        for one, row, best in zip(shown, scores, order, strict=True)
    ]


def stored_scenes(library: SqliteStore, model: TextEncoder, video_id: int) -> list[Shown]:
    """The scenes of a video that are encoded with this model, in time order."""
    rows = library.scenes_of(video_id)
    vectors = library.scene_vectors(model.space, [row.id for row in rows])
    return [Shown(unit(vectors[row.id]), row.start, row.end) for row in rows if row.id in vectors]


def whole(scenes: Sequence[Shown]) -> Shown:
    """Scenes as one: the mean of their vectors, each weighing its seconds."""
    seconds = np.array([(scene.end or scene.start) - scene.start for scene in scenes])
    vector = (np.stack([scene.vector for scene in scenes]) * seconds[:, None]).sum(axis=0)
    return Shown(unit(vector), scenes[0].start, scenes[-1].end)
