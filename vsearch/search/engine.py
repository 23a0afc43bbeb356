"""How a query is answered: words or an example -> vector -> recall by FAISS (ITC) -> re-ranking by frames -> scenes or
moments, and beside it words -> passages that hold or mean them; both become one list.

Each step is a function of its own: recall.py, rerank.py, moments.py, explain.py, words.py, fuse.py; the library finds
passages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import QueryError
from vsearch.library.terms import is_exact
from vsearch.media import Hit, Space, Vectors
from vsearch.models.base import Measured, SentenceEncoder, TextEncoder, UsualScore
from vsearch.models.registry import load_model
from vsearch.models.sentences import load_sentences
from vsearch.search.example import SceneExample, example_vector, mix_query, same_instant
from vsearch.search.explain import Found, explain, whole_scenes
from vsearch.search.fuse import Fusion, fuse, hits_of, limit_answers, words_alone
from vsearch.search.fuse_spaces import FUSED, fuse_spaces, limit_found
from vsearch.search.query import MAX_K, Query, Rerank
from vsearch.search.recall import WIDEN, limit_per_video, recall
from vsearch.search.rerank import chosen_rerank, read_query, rerank
from vsearch.search.words import UNLIKE, join_words

if TYPE_CHECKING:
    from vsearch.library import Library, SpaceRow, WordHit

RECALL_WORDS = 50
"""Passages that are looked at, at least."""


class SearchEngine:
    """Answers queries over one library with one model, or with several (fuse_spaces.py). Safe to use from several
    threads."""

    def __init__(
        self,
        library: Library,
        model: TextEncoder | Sequence[TextEncoder] | None = None,
        fusion: Fusion | None = None,
        sentences: SentenceEncoder | None = None,
    ) -> None:
        """sentences: what compares words with words; None is the embedded encoder, where that can."""
        self._library = library
        self._fusion = fusion or Fusion()
        models = model if isinstance(model, Sequence) else [load_model() if model is None else model]
        self._models = list({one.space: one for one in models}.values())
        if not self._models:
            raise ValueError("a query is answered with at least one model")
        self._sentences = sentences if sentences is not None else load_sentences(self._models)

    def search(self, query: Query) -> list[Hit]:
        """The best scenes (with `moments`: spans), best first. Empty where nothing is indexed or passes the filters.

        Words in quotes must be spoken or written exactly so: then pictures have no say, unless one is asked with.
        Raises QueryError where the library holds vectors of other models only, where the model cannot re-rank so, or
        where it knows nothing of the example.
        """
        library = self._library
        allowed = library.select_scenes(
            path_glob=query.path_glob,
            under=query.folder,
            since=query.since_seconds,
            until=query.until_seconds,
            min_duration=query.min_duration,
            max_duration=query.max_duration,
            has_speech=query.has_speech,
            language=query.language,
            labels=query.labels,
        )
        hows = [
            chosen_rerank(query.rerank, model) if query.wording else query.rerank or "none" for model in self._models
        ]
        words = self._words(query, allowed)
        rows = library.scenes([hit.scene_id for hit in words], path_glob=query.path_glob, under=query.folder)
        exact = query.channel == "all" and query.example is None and is_exact(query.text)
        if query.channel in ("speech", "text") or exact:
            answers = words_alone(words, rows)
        else:
            pictures = self._pictures(query, allowed, hows)
            answers = fuse(pictures, words, rows, self._fusion, self._usual(hows))
            if all(answer.words is None for answer in answers):
                return explain(pictures)  # scores stay those of the model
        return hits_of(limit_answers(answers, query.per_video)[: query.k])

    def _usual(self, hows: Sequence[Rerank]) -> UsualScore | None:
        """What the right picture scores, where one model ranks by its own inner product and knows."""
        (model, *more), how = self._models, hows[0]
        return model.usual_score if not more and how == "none" and isinstance(model, Measured) else None

    def _words(self, query: Query, allowed: NDArray[np.int64] | None) -> list[WordHit]:
        """Passages of each channel of words, by words and by meaning, best first; more than are shown, for a file may
        only have so many hits."""
        wanted = max(RECALL_WORDS, WIDEN * query.k)
        found = [
            hit
            for channel in query.word_channels
            for hit in self._library.search_words(query.text, wanted, allowed=allowed, channel=channel)
        ]
        meant = [] if is_exact(query.text) else self._meant(query, wanted, allowed)
        return join_words(found, meant)  # of equals, what is said comes first

    def _meant(self, query: Query, wanted: int, allowed: NDArray[np.int64] | None) -> list[WordHit]:
        """Passages by their meaning, of each channel that is asked and has vectors."""
        if self._sentences is None or not query.word_channels or (allowed is not None and len(allowed) == 0):
            return []
        held = {row.space for row in self._library.spaces() if row.vectors}
        spaces = [space for channel in query.word_channels if (space := self._sentences.space(channel)) in held]
        if not spaces:
            return []
        vector = self._sentences.encode_sentences([query.text])[0]
        found = [self._library.search_passages(space, vector, wanted, allowed=allowed) for space in spaces]
        return [hit for hits in found for hit in hits if hit.similarity > UNLIKE]

    def _pictures(self, query: Query, allowed: NDArray[np.int64] | None, hows: Sequence[Rerank]) -> list[Found]:
        """Scenes or moments by what is seen, best first: at most k, at most `per_video` of a file."""
        if len(self._models) == 1:
            return self._pictures_of(self._models[0], query, allowed, hows[0])
        deep = replace(query, k=min(MAX_K, max(FUSED, WIDEN * query.k)))
        lists = [self._pictures_of(model, deep, allowed, how) for model, how in zip(self._models, hows, strict=True)]
        fused = fuse_spaces([model.space for model in self._models], lists, self._fusion.how)
        return limit_found(fused, query.per_video)[: query.k]

    def _pictures_of(
        self, model: TextEncoder, query: Query, allowed: NDArray[np.int64] | None, how: Rerank
    ) -> list[Found]:
        """The same by one model."""
        library, space, like = self._library, model.space, query.example
        if not self._has_vectors(space) or (allowed is not None and len(allowed) == 0):
            return []
        read = self._read(model, query, how)
        # Neighbours become one moment, and a file may only have so many hits: there, more are needed than are shown.
        wanted = query.k if query.per_video is None and not query.moments else WIDEN * query.k
        reranked = max(query.recall, query.k)
        candidates = recall(
            library,
            space,
            read[0],
            wanted if how == "none" else max(wanted, reranked),
            k=query.k,
            per_video=query.per_video,
            allowed=allowed,
            path_glob=query.path_glob,
            under=query.folder,
            left_out=partial(same_instant, library, space, like.scene_id) if isinstance(like, SceneExample) else None,
        )
        candidates = rerank(library, model, space, how, read, candidates, reranked)
        if query.moments:
            from vsearch.search.moments import find_moments

            return find_moments(library, model, space, read[0], candidates, k=query.k, per_video=query.per_video)
        best = limit_per_video(candidates, query.per_video)[: query.k]
        return whole_scenes(library, model, space, read[0], best)

    def _read(self, model: TextEncoder, query: Query, how: Rerank) -> tuple[Vectors, Vectors | None]:
        """The query's vector [D], and its word tokens [L, W] where the matching head wants them."""
        if query.example is None:
            return read_query(model, query.wording, how)
        example = example_vector(self._library, model, query.example)
        if not query.has_words:
            return example, None
        vector, words = read_query(model, query.text, how)
        return mix_query(vector, example, query.example_weight), words

    def missing_videos(self) -> int:
        """How many videos of the library a model has not encoded yet, and so cannot find; of several the most."""
        spaces = self._library.spaces()
        return max(_missing(spaces, model.space) for model in self._models)

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


def _missing(spaces: Sequence[SpaceRow], space: Space) -> int:
    rows = [row for row in spaces if row.space.channel == space.channel]
    here = sum(row.videos for row in rows if row.space == space)
    return max((row.videos for row in rows), default=here) - here
