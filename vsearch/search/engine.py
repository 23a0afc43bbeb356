"""How a query is answered: words -> vector -> recall by FAISS (ITC) -> at most N scenes a file -> Hit.

Recall is asked for a little more than is wanted and again for more where the limit a file leaves too few, so that a
single file with many scenes cannot crowd out the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import QueryError
from vsearch.media import Hit, Space, Vectors
from vsearch.models.base import TextEncoder
from vsearch.models.registry import load_model
from vsearch.search.query import Query

if TYPE_CHECKING:
    from vsearch.library import Library, SceneRow

WIDEN = 4
"""Recall grows by this factor where the limit a file left too few hits."""


class SearchEngine:
    """Answers queries over one library with one model. Safe to use from several threads."""

    def __init__(self, library: Library, model: TextEncoder | None = None) -> None:
        self._library = library
        self._model: TextEncoder = model if model is not None else load_model()

    def search(self, query: Query) -> list[Hit]:
        """The best scenes, best first. Empty where nothing is indexed or nothing passes the filters.

        Raises QueryError where the library holds vectors of other models only.
        """
        space = self._model.space
        if not self._has_vectors(space):
            return []
        allowed = self._library.select_scenes(
            path_glob=query.path_glob,
            since=query.since_seconds,
            until=query.until_seconds,
            min_duration=query.min_duration,
        )
        if allowed is not None and len(allowed) == 0:
            return []
        vector = self._model.encode_texts([query.text])  # [1, D]
        best = self._recall(space, vector, query, allowed)
        return self._explain(space, vector[0], best)

    def _has_vectors(self, space: Space) -> bool:
        known = [row.space for row in self._library.spaces() if row.space.channel == space.channel]
        if space in known:
            return True
        if not known:
            return False
        if any(other.model == space.model for other in known):
            raise QueryError(
                f"The library was indexed with another version of the model {space.model!r}: "
                "run `vsearch index` on its folders again."
            )
        names = ", ".join(sorted({other.model for other in known}))
        raise QueryError(
            f"The library holds no vectors of the model {space.model!r}, only of {names}: "
            f"query with --model {known[0].model}, or index with --model {space.model}."
        )

    def _recall(
        self, space: Space, vector: Vectors, query: Query, allowed: NDArray[np.int64] | None
    ) -> list[tuple[SceneRow, float]]:
        wanted = query.k if query.per_video is None else WIDEN * query.k
        while True:
            scores, ids = self._library.search_vectors(space, vector, wanted, allowed=allowed)
            found = [int(scene) for scene in ids[0] if scene >= 0]
            rows = self._library.scenes(found)
            best: list[tuple[SceneRow, float]] = []
            of_video: dict[int, int] = {}
            for scene, score in zip(found, scores[0], strict=False):
                row = rows.get(scene)
                if row is None:  # removed since the snapshot was read
                    continue
                of_video[row.video_id] = of_video.get(row.video_id, 0) + 1
                if query.per_video is None or of_video[row.video_id] <= query.per_video:
                    best.append((row, float(score)))
            if len(best) >= query.k or len(found) < wanted:
                return best[: query.k]
            wanted *= WIDEN

    def _explain(self, space: Space, text_vector: Vectors, best: list[tuple[SceneRow, float]]) -> list[Hit]:
        frames = self._library.frame_vectors(space, [row.id for row, _ in best])
        hits = []
        for rank, (row, score) in enumerate(best, start=1):
            best_time = (row.start + row.end) / 2
            if row.id in frames:
                frame_vectors, times = frames[row.id]
                best_time = float(times[int(np.argmax(self._model.frame_scores(text_vector, frame_vectors)))])
            hits.append(
                Hit(
                    rank=rank,
                    score=score,
                    video=row.path,
                    start=row.start,
                    end=row.end,
                    channels={space.channel: score},
                    best_time=best_time,
                )
            )
        return hits
