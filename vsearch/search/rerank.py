"""Re-ranking: the best recalled scenes are scored again by their frames (BLIP: recall by ITC, re-ranking by ITM).

    itm     itc + weight * logit of the model's matching head, the sum of BLIP (Li et al. 2022)
    late    the mean of itc and the score of the query against the frames that match it best (late_interaction.py)

Frame embeddings come from the catalog: no video is decoded. Candidates that are not re-ranked follow in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import QueryError
from vsearch.media import Space, Vectors
from vsearch.models.protocols import Reranker, TextEncoder
from vsearch.search.candidates import Candidate
from vsearch.search.query import Rerank

if TYPE_CHECKING:
    from vsearch.library import ReadableStore

LATE_TEMPERATURE = 0.2
LATE_WEIGHT = 0.5
"""Temperature of the attention over frames, and weight of its score; tuned on the validation split
(docs/experiments.md)."""

Scores = NDArray[np.float32]


def chosen_rerank(asked: Rerank | None, model: TextEncoder) -> Rerank:
    """The re-ranking that is asked for; by default the matching head if the model has one, else none.

    Raises QueryError if the model has no matching head but "itm" is asked for.
    """
    has_head = isinstance(model, Reranker) and model.head is not None
    if asked is None:
        return "itm" if has_head else "none"
    if asked == "itm" and not has_head:
        raise QueryError(
            f"The model {model.space.model!r} has no matching head to re-rank with: use --rerank late or none."
        )
    return asked


def read_query(model: TextEncoder, text: str, how: Rerank) -> tuple[Vectors, Vectors | None]:
    """A text, encoded once: its embedding [D], and its token embeddings [L, W] if the matching head needs them."""
    if how == "itm":
        assert isinstance(model, Reranker)
        return model.read_query(text)
    return model.encode_texts([text])[0], None


def late_rerank(vector: Vectors, itc: Scores, scenes: Sequence[Vectors]) -> tuple[Scores, Scores]:
    """Query [D], S scenes of frames [T_s, D] and their scores [S] -> scores to rank by [S], scores of the frames [S].

    Raises QueryError where texts cannot be compared with frames.
    """
    from vsearch.models.late_interaction import late_scores, mix_scores

    if scenes and scenes[0].shape[1] != len(vector):
        raise QueryError("This model keeps frames that texts cannot be compared with: use --rerank none.")
    late = late_scores(vector, scenes, temperature=LATE_TEMPERATURE)
    return mix_scores(itc, late, LATE_WEIGHT), late


def itm_rerank(model: Reranker, words: Vectors, itc: Scores, scenes: Sequence[Vectors]) -> tuple[Scores, Scores]:
    """Word tokens [L, W], S scenes of frames [T_s, F] and their scores [S] -> scores to rank by [S], logits [S]."""
    assert model.head is not None
    logits = model.match(words, scenes)
    return (itc + np.float32(model.head.weight) * logits).astype(np.float32), logits


def behind(rest: Scores, lowest: float) -> Scores:
    """Shift the scores of candidates that were not re-ranked below `lowest`; their order stays."""
    if len(rest) == 0:
        return rest
    return rest - max(0.0, float(rest.max()) - lowest + 1e-3)


def rerank(
    library: ReadableStore,
    model: TextEncoder,
    space: Space,
    how: Rerank,
    query: tuple[Vectors, Vectors | None],
    candidates: Sequence[Candidate],
    count: int,
) -> list[Candidate]:
    """Re-rank the first `count` candidates by their frames; the others follow. Candidates are best first.

    query: the result of `read_query`. A scene without stored frames stays with the others.
    """
    if how == "none":
        return list(candidates)
    vector, words = query
    head = candidates[:count]
    frames = library.frame_vectors(space, [candidate.scene.id for candidate in head])
    seen = [candidate for candidate in head if candidate.scene.id in frames]
    rest = [candidate for candidate in head if candidate.scene.id not in frames] + list(candidates[count:])
    if not seen:
        return rest
    itc = np.array([candidate.score for candidate in seen], dtype=np.float32)
    scenes = [frames[candidate.scene.id][0] for candidate in seen]
    if how == "late":
        scores, other = late_rerank(vector, itc, scenes)
    else:
        assert isinstance(model, Reranker) and words is not None
        scores, other = itm_rerank(model, words, itc, scenes)
    order = np.argsort(-scores, kind="stable")
    best = [
        replace(seen[at], score=float(scores[at]), channels={**seen[at].channels, how: float(other[at])})
        for at in order
    ]
    moved = behind(np.array([candidate.score for candidate in rest], dtype=np.float32), best[-1].score)
    return best + [replace(candidate, score=float(score)) for candidate, score in zip(rest, moved, strict=True)]
