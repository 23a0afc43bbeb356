"""How a query is answered: words or an example -> vector -> recall by FAISS (ITC) -> re-ranking by frames -> scenes or
moments, and beside it words -> passages that hold or mean them; both become one list.

Each step is a function of its own: recall.py, rerank.py, fuse.py, words.py, selection.py, moments.py, explain.py; the
library finds passages.

The ranking does not depend on how many hits are asked for. Every channel is recalled to the same depth, POOL, and the
channels are fused; `k` only says where the list is cut. Where the pool is used up, a pool GROWTH times as deep is
recalled, and what it adds comes behind, so that the first hits stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from vsearch.search.explain import Found, whole_scene, with_best_frames
from vsearch.search.fuse import Answer, Evidence, Fusion, fuse, hits_of, weigh_evidence, words_alone
from vsearch.search.fuse_spaces import fuse_spaces
from vsearch.search.query import Query, Rerank
from vsearch.search.recall import recall
from vsearch.search.rerank import chosen_rerank, read_query, rerank
from vsearch.search.selection import Selection
from vsearch.search.words import UNLIKE, join_words

if TYPE_CHECKING:
    from vsearch.library import Library, SpaceRow, WordHit

POOL = 400
"""Scenes, and passages of each channel of words, that are recalled and fused first."""
GROWTH = 4
"""How many times as deep the next pool is."""
AT_ONCE = 32
"""Moments that are worked out together."""

Ids = NDArray[np.int64]
MomentFinder = Callable[[Sequence[Answer]], list[Answer]]
"""Gives answers the span of their file in which the query holds."""


@dataclass(frozen=True, slots=True)
class _Voice:
    """A model with the query as it reads it."""

    model: TextEncoder
    how: Rerank
    vector: Vectors
    """[D]"""
    words: Vectors | None
    """Word tokens [L, W] for the matching head."""


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

        The first n hits are the same for every k >= n. Words in quotes must be spoken or written exactly so: then
        pictures do not count, unless one is asked with. Raises QueryError where the library holds vectors of other
        models only, where the model cannot re-rank so, or where it knows nothing of the example.
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
        exact = query.channel == "all" and query.example is None and is_exact(query.text)
        seen = not exact and query.channel not in ("speech", "text")
        selection = Selection(query.k, query.per_video, by_passage=not seen, moments=query.moments)
        models = [at for at, model in enumerate(self._models) if self._has_vectors(model.space)] if seen else []
        voices: list[_Voice] | None = None
        sentence = self._sentence(query)
        evidence: Evidence | None = None
        silent = False  # no words count: scenes are ranked, and scored, as the model does it
        moments = None
        pool = max(POOL, query.recall)
        while True:
            if allowed is not None and len(allowed) == 0:
                break
            words, words_end = ([], True) if silent else self._words(query, sentence, pool, allowed)
            rows = library.scenes([hit.scene_id for hit in words], path_glob=query.path_glob, under=query.folder)
            if not seen:
                answers, end = words_alone(words, rows), words_end
            else:
                if voices is None:
                    voices = [self._voice(query, self._models[at], hows[at]) for at in models]
                pictures, pictures_end = self._pictures(query, voices, pool, allowed)
                usual = self._usual(hows)
                if evidence is None:
                    evidence = weigh_evidence(pictures, words, rows, usual)
                    answers = fuse(pictures, words, rows, self._fusion, usual)
                    silent = all(answer.words is None for answer in answers)
                else:
                    answers = fuse(pictures, words, rows, self._fusion, usual, evidence)
                if silent:
                    answers = [Answer(one.candidate.row, one.candidate.score, one) for one in pictures]
                if query.moments and moments is None:
                    moments = self._moments(voices, pictures)
                end = words_end and pictures_end
            if moments is None:
                selection.extend(answers)
            else:
                for at in range(0, len(answers), AT_ONCE):
                    selection.extend(moments([one for one in answers[at : at + AT_ONCE] if selection.admits(one)]))
                    if selection.full:
                        break
            if selection.full or end:
                break
            selection.next_pool()
            pool *= GROWTH
            if selection.full_videos:
                allowed = library.scenes_outside(selection.full_videos, allowed)
        return hits_of(selection.answers if moments else self._with_best_frames(selection.answers, voices or []))

    def _usual(self, hows: Sequence[Rerank]) -> UsualScore | None:
        """What the right picture scores, where one model ranks by its own inner product and knows."""
        (model, *more), how = self._models, hows[0]
        return model.usual_score if not more and how == "none" and isinstance(model, Measured) else None

    def _sentence(self, query: Query) -> tuple[list[Space], Vectors] | None:
        """The query as a vector that passages are compared with, and the spaces that hold such."""
        if self._sentences is None or not query.word_channels or is_exact(query.text):
            return None
        held = {row.space for row in self._library.spaces() if row.vectors}
        spaces = [space for channel in query.word_channels if (space := self._sentences.space(channel)) in held]
        return (spaces, self._sentences.encode_sentences([query.text])[0]) if spaces else None

    def _words(
        self, query: Query, sentence: tuple[list[Space], Vectors] | None, pool: int, allowed: Ids | None
    ) -> tuple[list[WordHit], bool]:
        """The `pool` best passages of each channel of words, by words and by meaning, best first; whether these are
        all."""
        library = self._library
        said = [library.search_words(query.text, pool, allowed=allowed, channel=one) for one in query.word_channels]
        meant: list[list[WordHit]] = []
        end = all(len(hits) < pool for hits in said)
        if sentence is not None:
            spaces, vector = sentence
            for space in spaces:
                near = library.search_passages(space, vector, pool, allowed=allowed)
                meant.append([hit for hit in near if hit.similarity > UNLIKE])
                end = end and len(meant[-1]) < pool
        # Of equals, what is said comes first.
        return join_words([hit for hits in said for hit in hits], [hit for hits in meant for hit in hits]), end

    def _pictures(
        self, query: Query, voices: Sequence[_Voice], pool: int, allowed: Ids | None
    ) -> tuple[list[Found], bool]:
        """The `pool` best scenes of each model by what is seen, best first; whether these are all."""
        library, like = self._library, query.example
        lists: list[list[Found]] = []
        end = True
        for at, voice in enumerate(voices):
            space = voice.model.space
            alike = partial(same_instant, library, space, like.scene_id) if isinstance(like, SceneExample) else None
            recalled = recall(
                library,
                space,
                voice.vector,
                pool,
                allowed=allowed,
                path_glob=query.path_glob,
                under=query.folder,
                left_out=alike,
            )
            end = end and recalled.complete
            candidates = rerank(
                library,
                voice.model,
                space,
                voice.how,
                (voice.vector, voice.words),
                recalled.candidates,
                query.recall,
            )
            lists.append([whole_scene(candidate, at) for candidate in candidates])
        if len(lists) < 2:
            return (lists[0] if lists else []), end
        return fuse_spaces([voice.model.space for voice in voices], lists, self._fusion.how), end

    def _moments(self, voices: Sequence[_Voice], pictures: Sequence[Found]) -> MomentFinder:
        """pictures: of the first pool."""
        from vsearch.search.moments import background_score, find_moments

        library = self._library
        candidates = [one.candidate for one in pictures]
        backgrounds = [
            background_score(library, voice.model, voice.model.space, voice.vector, candidates) for voice in voices
        ]

        def localised(answers: Sequence[Answer]) -> list[Answer]:
            found: dict[int, Found] = {}
            for at, (voice, background) in enumerate(zip(voices, backgrounds, strict=True)):
                own = [one.picture.candidate for one in answers if one.picture is not None and one.picture.voice == at]
                moments = find_moments(library, voice.model, voice.model.space, voice.vector, own, background)
                found.update({moment.candidate.row.id: moment for moment in moments})
            return [replace(answer, picture=found.get(answer.row.id)) for answer in answers]

        return localised

    def _with_best_frames(self, answers: Sequence[Answer], voices: Sequence[_Voice]) -> list[Answer]:
        """The answers, each with the time of the frame that fits best."""
        found: dict[int, Found] = {}
        for at, voice in enumerate(voices):
            own = [one.picture for one in answers if one.picture is not None and one.picture.voice == at]
            best = with_best_frames(self._library, voice.model, voice.model.space, voice.vector, own)
            found.update({one.candidate.row.id: one for one in best})
        return [replace(answer, picture=found.get(answer.row.id)) for answer in answers]

    def _voice(self, query: Query, model: TextEncoder, how: Rerank) -> _Voice:
        if query.example is None:
            return _Voice(model, how, *read_query(model, query.wording, how))
        example = example_vector(self._library, model, query.example)
        if not query.has_words:
            return _Voice(model, how, example, None)
        vector, words = read_query(model, query.text, how)
        return _Voice(model, how, mix_query(vector, example, query.example_weight), words)

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
