"""The ranking of one query: candidates from pools of any depth, and the spans and frames that answer in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Space, Vectors
from vsearch.models.protocols import TextEncoder, UsualScore
from vsearch.search.candidates import Candidate
from vsearch.search.example import SceneExample, same_moment
from vsearch.search.fuse import Evidence, Fusion, fuse, passage_candidates, weigh_evidence
from vsearch.search.fuse_spaces import fuse_spaces
from vsearch.search.moments import background_score, find_moments
from vsearch.search.passage_scores import SCORING, join_passages
from vsearch.search.query import Query, Rerank
from vsearch.search.recall import recall
from vsearch.search.rerank import rerank

if TYPE_CHECKING:
    from vsearch.library import PassageHit, ReadableStore

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A query as encoded by one model."""

    model: TextEncoder
    rerank: Rerank
    vector: Vectors
    """[D]"""
    tokens: Vectors | None
    """Token embeddings [L, W] for the matching head."""


class Ranking:
    """Ranks candidates for one query. Deeper pools are judged by the evidence of the first one."""

    def __init__(
        self,
        store: ReadableStore,
        query: Query,
        encoded: Sequence[EncodedQuery],
        sentence: tuple[list[Space], Vectors] | None,
        fusion: Fusion,
        usual: UsualScore | None,
        *,
        by_passage: bool,
    ) -> None:
        """encoded: by each model that has embeddings in the library. sentence: spaces of passages, and the sentence
        embedding [D] of the query. usual: see `fuse`. by_passage: candidates are passages only."""
        self._store = store
        self._query = query
        self._encoded = encoded
        self._sentence = sentence
        self._fusion = fusion
        self._usual = usual
        self._by_passage = by_passage
        self._evidence: Evidence | None = None
        self._first: list[Candidate] = []
        """Scenes of the first pool."""
        self._backgrounds: list[float] | None = None
        self._visual_only = False
        """No passage counts: scenes are ranked and scored by the models alone."""

    def candidates(self, pool: int, allowed: Ids | None) -> tuple[list[Candidate], bool]:
        """Candidates from a pool of a depth, best first; whether there are no more. allowed: ids of scenes."""
        passages, no_more_passages = ([], True) if self._visual_only else self._passages(pool, allowed)
        rows = self._store.scenes([hit.scene_id for hit in passages], filters=self._query.filters)
        if self._by_passage:
            return passage_candidates(passages, rows), no_more_passages
        scenes, no_more_scenes = self._scenes(pool, allowed)
        first = self._evidence is None
        if self._evidence is None:
            self._evidence, self._first = weigh_evidence(scenes, passages, rows, self._usual), scenes
        fused = fuse(scenes, passages, rows, self._fusion, self._usual, self._evidence)
        if first:
            self._visual_only = not any(candidate.passages for candidate in fused)
        return scenes if self._visual_only else fused, no_more_passages and no_more_scenes

    def _passages(self, pool: int, allowed: Ids | None) -> tuple[list[PassageHit], bool]:
        """The `pool` best passages of each channel by full-text and by semantic search, best first; whether there are
        no more."""
        by_text = [
            self._store.search_text(self._query.text, pool, allowed=allowed, channel=channel)
            for channel in self._query.transcript_channels
        ]
        by_meaning: list[list[PassageHit]] = []
        no_more = all(len(hits) < pool for hits in by_text)
        if self._sentence is not None:
            spaces, vector = self._sentence
            for space in spaces:
                near = self._store.search_passages(space, vector, pool, allowed=allowed)
                by_meaning.append([hit for hit in near if hit.similarity > SCORING.unrelated_cosine])
                no_more = no_more and len(by_meaning[-1]) < pool
        # Of equal scores, speech comes first.
        return join_passages(
            [hit for hits in by_text for hit in hits], [hit for hits in by_meaning for hit in hits]
        ), no_more

    def _scenes(self, pool: int, allowed: Ids | None) -> tuple[list[Candidate], bool]:
        """The `pool` best scenes of each model in the visual channel, re-ranked and fused, best first; whether there
        are no more."""
        store, query = self._store, self._query
        rankings: list[list[Candidate]] = []
        no_more = True
        for index, encoded in enumerate(self._encoded):
            space = encoded.model.space
            same = None
            if isinstance(query.example, SceneExample):
                same = partial(same_moment, store, space, query.example.scene_id)
            recalled = recall(
                store,
                space,
                encoded.vector,
                pool,
                allowed=allowed,
                filters=query.filters,
                left_out=same,
                model=index,
            )
            no_more = no_more and recalled.complete
            rankings.append(
                rerank(
                    store,
                    encoded.model,
                    space,
                    encoded.rerank,
                    (encoded.vector, encoded.tokens),
                    recalled.candidates,
                    query.recall,
                )
            )
        if len(rankings) < 2:
            return (rankings[0] if rankings else []), no_more
        return fuse_spaces([encoded.model.space for encoded in self._encoded], rankings), no_more

    def with_moments(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, each with the span of its file in which the query holds."""
        if self._backgrounds is None:
            self._backgrounds = [
                background_score(self._store, one.model, one.model.space, one.vector, self._first)
                for one in self._encoded
            ]
        backgrounds = self._backgrounds

        def locate(index: int, some: Sequence[Candidate]) -> Sequence[Candidate]:
            encoded = self._encoded[index]
            model = encoded.model
            return find_moments(self._store, model, model.space, encoded.vector, some, backgrounds[index])

        return self._located(candidates, locate)

    def with_best_frames(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, each with the time of the frame that matches best."""

        def locate(index: int, some: Sequence[Candidate]) -> Sequence[Candidate]:
            encoded = self._encoded[index]
            frames = self._store.frame_vectors(encoded.model.space, [one.scene.id for one in some])
            if not frames:
                return some
            vectors = np.concatenate([vectors for vectors, _ in frames.values()])
            ends = np.cumsum([len(times) for _, times in frames.values()])
            scores = np.split(encoded.model.frame_scores(encoded.vector, vectors), ends[:-1])
            best = {
                scene: float(times[int(np.argmax(part))])
                for (scene, (_, times)), part in zip(frames.items(), scores, strict=True)
            }
            return [replace(one, best_time=best.get(one.scene.id, one.best_time)) for one in some]

        return self._located(candidates, locate)

    def _located(
        self, candidates: Sequence[Candidate], locate: Callable[[int, Sequence[Candidate]], Sequence[Candidate]]
    ) -> list[Candidate]:
        """Apply `locate` to the candidates of each model, in the order given."""
        located: dict[int, Candidate] = {}
        for index in range(len(self._encoded)):
            some = [candidate for candidate in candidates if candidate.model == index]
            located.update({candidate.scene.id: candidate for candidate in locate(index, some)})
        return [located.get(candidate.scene.id, candidate) for candidate in candidates]
