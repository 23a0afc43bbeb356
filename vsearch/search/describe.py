"""Descriptions: which of some sentences describe a file or its scenes best (video-to-text retrieval).

The score of a sentence is its inner product with the embedding of the frames, as in a query.
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
    from vsearch.library import ReadableStore


@dataclass(frozen=True, slots=True, eq=False)
class DescribedSpan:
    """A span of a file with its embedding."""

    vector: Vectors
    """Embedding [D] of unit length."""
    start: float
    """Seconds."""
    end: float | None
    """Seconds; None: to the end of the file."""


@dataclass(frozen=True, slots=True)
class Description:
    """The sentences that describe a span of a file best."""

    start: float
    """Seconds."""
    end: float | None
    """Seconds; None: to the end of the file."""
    sentences: tuple[tuple[str, float], ...]
    """Sentences with their scores, best first."""

    def as_json(self, file: Path) -> dict[str, Any]:
        """An object of `vsearch describe --json`."""
        return {
            "file": str(file),
            "start": round(self.start, 3),
            "end": None if self.end is None else round(self.end, 3),
            "sentences": [{"text": text, "score": round(score, 6)} for text, score in self.sentences],
        }


def describe(model: TextEncoder, spans: Sequence[DescribedSpan], sentences: Sequence[str], k: int) -> list[Description]:
    """For each span the k sentences that describe it best; of equal scores, the earlier sentence comes first."""
    scores = np.stack([span.vector for span in spans]) @ encode_texts(model, sentences).T  # [spans, sentences]
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return [
        Description(span.start, span.end, tuple((sentences[i], float(row[i])) for i in best))
        for span, row, best in zip(spans, scores, order, strict=True)
    ]


def stored_scenes(store: ReadableStore, model: TextEncoder, video_id: int) -> list[DescribedSpan]:
    """The scenes of a video that are encoded with this model, in time order."""
    rows = store.scenes_of(video_id)
    vectors = store.scene_vectors(model.space, [row.id for row in rows])
    return [DescribedSpan(unit(vectors[row.id]), row.start, row.end) for row in rows if row.id in vectors]


def whole(scenes: Sequence[DescribedSpan]) -> DescribedSpan:
    """Scenes as one span: the mean of their embeddings, weighted by duration."""
    seconds = np.array([(scene.end or scene.start) - scene.start for scene in scenes])
    vector = (np.stack([scene.vector for scene in scenes]) * seconds[:, None]).sum(axis=0)
    return DescribedSpan(unit(vector), scenes[0].start, scenes[-1].end)
