"""The search engine: recall per channel -> re-ranking -> fusion -> selection -> moments or best frames -> hits.

The ranking does not depend on how many hits are wanted. Every channel is recalled to the same depth, POOL, and the
channels are fused; `k` only cuts the list. When the pool is used up, a pool GROWTH times as deep is recalled, and its
new candidates follow the others, so that the first hits stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vsearch.errors import QueryError
from vsearch.library.query_terms import has_phrases
from vsearch.media import TRANSCRIPT_CHANNELS, Hit, Space, Vectors
from vsearch.models.protocols import Calibrated, SentenceEncoder, TextEncoder, UsualScore
from vsearch.models.registry import load_model
from vsearch.models.sentence_encoder import load_sentences
from vsearch.search.candidates import hit_of
from vsearch.search.example import example_vector, mix_query
from vsearch.search.fuse import Fusion
from vsearch.search.query import Query, Rerank
from vsearch.search.ranking import EncodedQuery, Ranking
from vsearch.search.rerank import chosen_rerank, read_query
from vsearch.search.selection import Selection

if TYPE_CHECKING:
    from vsearch.library import ReadableStore, SpaceRow

POOL = 400
"""Scenes, and passages of each channel of transcripts, in the first pool."""
GROWTH = 4
"""How many times as deep each further pool is."""
MOMENTS_AT_ONCE = 32
"""Candidates whose moments are found together."""


class SearchEngine:
    """Answers queries over a store with one model, or with several whose rankings are fused. Thread-safe."""

    def __init__(
        self,
        store: ReadableStore,
        model: TextEncoder | Sequence[TextEncoder] | None = None,
        fusion: Fusion | None = None,
        sentences: SentenceEncoder | None = None,
    ) -> None:
        """sentences: the encoder for semantic search in transcripts; None: the embedded one, if it has one."""
        self._store = store
        self._fusion = fusion or Fusion()
        models = model if isinstance(model, Sequence) else [load_model() if model is None else model]
        self._models = list({model.space: model for model in models}.values())
        if not self._models:
            raise ValueError("at least one model is needed")
        self._sentences = sentences if sentences is not None else load_sentences(self._models)

    def search(self, query: Query) -> list[Hit]:
        """The best scenes (with `moments`: spans), best first. Empty if no indexed scene passes the filters.

        The first n hits are the same for every k >= n. Quoted text must occur word for word in a transcript; unless
        there is an example, frames are then ignored. Raises QueryError if the library has embeddings of other models
        only, if a model cannot re-rank as asked, or if it cannot encode the example.
        """
        store = self._store
        allowed = store.select_scenes(query.filters)
        reranks = [
            chosen_rerank(query.rerank, model) if query.visual_text else query.rerank or "none"
            for model in self._models
        ]
        exact = query.channel == "all" and query.example is None and has_phrases(query.text)
        by_passage = exact or query.channel in TRANSCRIPT_CHANNELS
        encoded = []
        if not by_passage:
            encoded = [
                (model, rerank)
                for model, rerank in zip(self._models, reranks, strict=True)
                if self._has_space(model.space)
            ]
        if allowed is not None and len(allowed) == 0:
            return []
        ranking = Ranking(
            store,
            query,
            [self._encode(query, model, rerank) for model, rerank in encoded],
            self._sentence_query(query),
            self._fusion,
            self._usual_score(reranks),
            by_passage=by_passage,
        )
        selection = Selection(query.k, query.per_video, by_passage=by_passage, moments=query.moments)
        pool = max(POOL, query.recall)
        while True:
            candidates, complete = ranking.candidates(pool, allowed)
            if query.moments and encoded:
                for at in range(0, len(candidates), MOMENTS_AT_ONCE):
                    if selection.full:
                        break
                    some = [one for one in candidates[at : at + MOMENTS_AT_ONCE] if selection.admits(one)]
                    selection.extend(ranking.with_moments(some))
            else:
                selection.extend(candidates)
            if selection.full or complete:
                break
            if selection.full_videos:
                allowed = store.scenes_outside(selection.full_videos, allowed)
                if len(allowed) == 0:
                    break
            selection.next_pool()
            pool *= GROWTH
        selected = selection.candidates if query.moments else ranking.with_best_frames(selection.candidates)
        return [hit_of(candidate, rank) for rank, candidate in enumerate(selected, start=1)]

    def missing_videos(self) -> int:
        """How many videos a model has not encoded yet, and so cannot find; of several models the most."""
        spaces = self._store.spaces()
        return max(_missing(spaces, model.space) for model in self._models)

    def _usual_score(self, reranks: Sequence[Rerank]) -> UsualScore | None:
        """The usual score of a match, if a single model ranks by its inner product and knows it."""
        (model, *others), rerank = self._models, reranks[0]
        return model.usual_score if not others and rerank == "none" and isinstance(model, Calibrated) else None

    def _sentence_query(self, query: Query) -> tuple[list[Space], Vectors] | None:
        """The spaces of passages to search, and the sentence embedding [D] of the query."""
        if self._sentences is None or not query.transcript_channels or has_phrases(query.text):
            return None
        known = {row.space for row in self._store.spaces() if row.vectors}
        spaces = [space for channel in query.transcript_channels if (space := self._sentences.space(channel)) in known]
        return (spaces, self._sentences.encode_sentences([query.text])[0]) if spaces else None

    def _encode(self, query: Query, model: TextEncoder, rerank: Rerank) -> EncodedQuery:
        if query.example is None:
            return EncodedQuery(model, rerank, *read_query(model, query.visual_text, rerank))
        example = example_vector(self._store, model, query.example)
        if not query.has_text:
            return EncodedQuery(model, rerank, example, None)
        vector, tokens = read_query(model, query.text, rerank)
        return EncodedQuery(model, rerank, mix_query(vector, example, query.example_weight), tokens)

    def _has_space(self, space: Space) -> bool:
        """Whether the library has embeddings in a space. Raises QueryError if it has others instead."""
        known = [row.space for row in self._store.spaces() if row.space.channel == space.channel]
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
            f"The library has no embeddings of the model {space.model!r}, only of {names}: "
            f"query with --model {known[0].model}, or index with --model {space.model}."
        )


def _missing(spaces: Sequence[SpaceRow], space: Space) -> int:
    rows = [row for row in spaces if row.space.channel == space.channel]
    here = sum(row.videos for row in rows if row.space == space)
    return max((row.videos for row in rows), default=here) - here
