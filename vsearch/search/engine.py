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
from vsearch.models.protocols import Calibrated, SentenceEncoder, TextEncoder, UsualScore
from vsearch.models.registry import load_model
from vsearch.models.sentence_encoder import load_sentences
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
    from vsearch.library import PassageHit, SpaceRow, SqliteStore

POOL = 400
"""Scenes, and passages of each channel of words, that are recalled and fused first."""
GROWTH = 4
"""How many times as deep the next pool is."""
AT_ONCE = 32
"""Moments that are worked out together."""

Ids = NDArray[np.int64]
Locate = Callable[[int, Sequence[Found]], Sequence[Found]]
"""Finds in scenes the part of their file, or the frame, that fits the query as the model of that number encodes it."""


@dataclass(frozen=True, slots=True)
class _EncodedQuery:
    """A query as one model encodes it."""

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
        library: SqliteStore,
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
        by_passage = exact or query.channel in ("speech", "text")
        asked = [] if by_passage else [at for at, one in enumerate(self._models) if self._has_vectors(one.space)]
        if allowed is not None and len(allowed) == 0:
            return []
        encoded = [self._encode(query, self._models[at], hows[at]) for at in asked]
        ranking = _Ranking(library, query, encoded, self._sentence(query), self._fusion, self._usual(hows), by_passage)
        selection = Selection(query.k, query.per_video, by_passage=by_passage, moments=query.moments)
        pool = max(POOL, query.recall)
        while True:
            answers, complete = ranking.answers(pool, allowed)
            if query.moments and encoded:
                for at in range(0, len(answers), AT_ONCE):
                    selection.extend(
                        ranking.moments([one for one in answers[at : at + AT_ONCE] if selection.admits(one)])
                    )
            else:
                selection.extend(answers)
            if selection.full or complete:
                break
            if selection.full_videos:
                allowed = library.scenes_outside(selection.full_videos, allowed)
                if len(allowed) == 0:
                    break
            selection.next_pool()
            pool *= GROWTH
        return hits_of(selection.answers if query.moments else ranking.best_frames(selection.answers))

    def _usual(self, hows: Sequence[Rerank]) -> UsualScore | None:
        """What the right picture scores, where one model ranks by its own inner product and knows."""
        (model, *more), how = self._models, hows[0]
        return model.usual_score if not more and how == "none" and isinstance(model, Calibrated) else None

    def _sentence(self, query: Query) -> tuple[list[Space], Vectors] | None:
        """The query as a vector that passages are compared with, and the spaces that hold such."""
        if self._sentences is None or not query.word_channels or is_exact(query.text):
            return None
        held = {row.space for row in self._library.spaces() if row.vectors}
        spaces = [space for channel in query.word_channels if (space := self._sentences.space(channel)) in held]
        return (spaces, self._sentences.encode_sentences([query.text])[0]) if spaces else None

    def _encode(self, query: Query, model: TextEncoder, how: Rerank) -> _EncodedQuery:
        if query.example is None:
            return _EncodedQuery(model, how, *read_query(model, query.wording, how))
        example = example_vector(self._library, model, query.example)
        if not query.has_words:
            return _EncodedQuery(model, how, example, None)
        vector, words = read_query(model, query.text, how)
        return _EncodedQuery(model, how, mix_query(vector, example, query.example_weight), words)

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


class _Ranking:
    """Answers to one query from pools of any depth. Of a deeper pool it says what stands behind the first one."""

    def __init__(
        self,
        library: SqliteStore,
        query: Query,
        encoded: Sequence[_EncodedQuery],
        sentence: tuple[list[Space], Vectors] | None,
        fusion: Fusion,
        usual: UsualScore | None,
        by_passage: bool,
    ) -> None:
        """encoded: by each model that has vectors here. sentence: what passages are compared with, and where. usual:
        see `fuse`. by_passage: passages of words alone are answers."""
        self._library = library
        self._query = query
        self._encoded = encoded
        self._sentence = sentence
        self._fusion = fusion
        self._usual = usual
        self._by_passage = by_passage
        self._evidence: Evidence | None = None
        self._first: list[Found] = []
        """Pictures of the first pool."""
        self._backgrounds: list[float] | None = None
        self._pictures_alone = False
        """No words count: scenes are ranked, and scored, as the model does it."""

    def answers(self, pool: int, allowed: Ids | None) -> tuple[list[Answer], bool]:
        """Answers from a pool of that depth, best first; whether there are no more."""
        words, no_more_words = ([], True) if self._pictures_alone else self._words(pool, allowed)
        rows = self._library.scenes(
            [hit.scene_id for hit in words], path_glob=self._query.path_glob, under=self._query.folder
        )
        if self._by_passage:
            return words_alone(words, rows), no_more_words
        pictures, no_more_pictures = self._pictures(pool, allowed)
        first = self._evidence is None
        if self._evidence is None:
            self._evidence, self._first = weigh_evidence(pictures, words, rows, self._usual), pictures
        answers = fuse(pictures, words, rows, self._fusion, self._usual, self._evidence)
        if first:
            self._pictures_alone = all(answer.words is None for answer in answers)
        if self._pictures_alone:
            answers = [Answer(one.candidate.row, one.candidate.score, one) for one in pictures]
        return answers, no_more_words and no_more_pictures

    def _words(self, pool: int, allowed: Ids | None) -> tuple[list[PassageHit], bool]:
        """The `pool` best passages of each channel of words, by words and by meaning, best first; whether these are
        all."""
        library, query = self._library, self._query
        said = [library.search_text(query.text, pool, allowed=allowed, channel=one) for one in query.word_channels]
        meant: list[list[PassageHit]] = []
        no_more = all(len(hits) < pool for hits in said)
        if self._sentence is not None:
            spaces, vector = self._sentence
            for space in spaces:
                near = library.search_passages(space, vector, pool, allowed=allowed)
                meant.append([hit for hit in near if hit.similarity > UNLIKE])
                no_more = no_more and len(meant[-1]) < pool
        # Of equals, what is said comes first.
        return join_words([hit for hits in said for hit in hits], [hit for hits in meant for hit in hits]), no_more

    def _pictures(self, pool: int, allowed: Ids | None) -> tuple[list[Found], bool]:
        """The `pool` best scenes of each model by what is seen, best first; whether these are all."""
        library, query, like = self._library, self._query, self._query.example
        lists: list[list[Found]] = []
        no_more = True
        for at, encoded in enumerate(self._encoded):
            space = encoded.model.space
            alike = partial(same_instant, library, space, like.scene_id) if isinstance(like, SceneExample) else None
            recalled = recall(
                library,
                space,
                encoded.vector,
                pool,
                allowed=allowed,
                path_glob=query.path_glob,
                under=query.folder,
                left_out=alike,
            )
            no_more = no_more and recalled.complete
            candidates = rerank(
                library,
                encoded.model,
                space,
                encoded.how,
                (encoded.vector, encoded.words),
                recalled.candidates,
                query.recall,
            )
            lists.append([whole_scene(candidate, at) for candidate in candidates])
        if len(lists) < 2:
            return (lists[0] if lists else []), no_more
        return fuse_spaces([one.model.space for one in self._encoded], lists, self._fusion.how), no_more

    def moments(self, answers: Sequence[Answer]) -> list[Answer]:
        """The answers, each with the span of its file in which the query holds."""
        from vsearch.search.moments import background_score, find_moments

        if self._backgrounds is None:
            first = [one.candidate for one in self._first]
            self._backgrounds = [
                background_score(self._library, one.model, one.model.space, one.vector, first) for one in self._encoded
            ]
        backgrounds = self._backgrounds

        def locate(at: int, found: Sequence[Found]) -> Sequence[Found]:
            one, candidates = self._encoded[at], [each.candidate for each in found]
            return find_moments(self._library, one.model, one.model.space, one.vector, candidates, backgrounds[at])

        return self._located(answers, locate)

    def best_frames(self, answers: Sequence[Answer]) -> list[Answer]:
        """The answers, each with the time of the frame that fits best."""

        def locate(at: int, found: Sequence[Found]) -> Sequence[Found]:
            one = self._encoded[at]
            return with_best_frames(self._library, one.model, one.model.space, one.vector, found)

        return self._located(answers, locate)

    def _located(self, answers: Sequence[Answer], locate: Locate) -> list[Answer]:
        located: dict[int, Found] = {}
        for at in range(len(self._encoded)):
            own = [one.picture for one in answers if one.picture is not None and one.picture.model == at]
            located.update({one.candidate.row.id: one for one in locate(at, own)})
        return [replace(answer, picture=located.get(answer.row.id)) for answer in answers]


def _missing(spaces: Sequence[SpaceRow], space: Space) -> int:
    rows = [row for row in spaces if row.space.channel == space.channel]
    here = sum(row.videos for row in rows if row.space == space)
    return max((row.videos for row in rows), default=here) - here
