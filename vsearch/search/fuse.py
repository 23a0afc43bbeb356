"""One list out of several: what pictures say, what is said and what is written, each recalled apart.

Two ways, of which eval/fusion.py measures both:

    rrf         weighted reciprocal rank (Cormack, Clarke and Büttcher 2009): sum of weight / (60 + rank), scaled so
                that the best picture alone has 1
    calibrated  1 - (1 - p of the picture) (1 - p of the words), each score first made a probability

A scene that several channels know has the sum of all, or what the doubts of all leave. Words count by how little they
can be a coincidence (words.py), in the spirit of Socratic Models (Zeng et al. 2022): a scene in which nothing is said
loses nothing by that, and a common word or two that also stand in the query are no evidence. A passage that holds the
whole of a short query, which may well be a coincidence, comes in behind the best picture, and so do those that are
nearest to it in meaning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from vsearch.media import Hit
from vsearch.search.explain import Found
from vsearch.search.query import TEXT
from vsearch.search.words import NEAR, UNKNOWN, meant, strength, told

if TYPE_CHECKING:
    from vsearch.library import PassageHit, SceneRow
    from vsearch.models.protocols import UsualScore

How = Literal["rrf", "calibrated"]
HOWS: tuple[How, ...] = get_args(How)

RANK = 60
"""The constant of reciprocal rank fusion."""
WHOLE = 0.98
"""What a passage is worth that holds the whole query and nothing more can be said for: less than the best picture."""
MEANT = 0.36
"""The cosine from which on the passages nearest in meaning are worth as much."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """How channels become one list."""

    how: How = "rrf"
    visual: float = 1.0
    speech: float = 2.0
    text: float = 2.0
    """Weights. Words that hold the whole query then stand before the best picture."""

    def __post_init__(self) -> None:
        if self.how not in HOWS or not min(self.visual, self.speech, self.text) >= 0:
            raise ValueError(f"how is one of {', '.join(HOWS)}, weights are not negative: {self}")

    def weight(self, channel: str) -> float:
        """Of a channel of words, as the library calls it."""
        return self.text if channel == TEXT else self.speech


@dataclass(frozen=True, slots=True)
class Answer:
    """A scene on its last step: what each channel found in it."""

    row: SceneRow
    score: float
    picture: Found | None = None
    words: PassageHit | None = None
    """Those that did most for it."""
    by_words: bool = False
    """The words did more for it than the picture."""
    also: tuple[PassageHit, ...] = ()
    """What other channels of words found there."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What meaning is judged by."""

    similarity: float
    """The highest cosine of all passages."""
    shown: float
    """As in words.meant."""
    counts: float
    """How little it is sure that some passage holds the query to the letter: what others mean hardly matters then."""


def weigh_evidence(
    pictures: Sequence[Found],
    words: Sequence[PassageHit],
    rows: Mapping[int, SceneRow],
    usual: UsualScore | None = None,
) -> Evidence:
    """What meaning is judged by, from the lists of the first pool. See `fuse`."""
    nearest = max((hit.similarity for hit in words if hit.scene_id in rows), default=0.0)
    certain = max((told(hit) for hit in words if hit.scene_id in rows and hit.score >= 1.0), default=0.0)
    shown = UNKNOWN if usual is None or not pictures else (_top(pictures) - usual.mean) / usual.spread
    return Evidence(nearest, shown, 1 - certain)


def fuse(
    pictures: Sequence[Found],
    words: Sequence[PassageHit],
    rows: Mapping[int, SceneRow],
    fusion: Fusion,
    usual: UsualScore | None = None,
    evidence: Evidence | None = None,
) -> list[Answer]:
    """Both lists are best first. rows: of the scenes of the words; passages of scenes that are gone are left out.

    Of several passages of one scene the best counts; what may be a coincidence is left out. usual: what the right
    picture scores, where the model knows. evidence: what meaning is judged by, where these lists continue others;
    by default it is taken from these lists.
    """
    near = evidence or weigh_evidence(pictures, words, rows, usual)
    seen = {found.candidate.row.id: found for found in pictures}
    calibrated = fusion.how == "calibrated"
    by_picture = _probabilities(pictures, fusion) if calibrated else _ranks(seen, fusion.visual)
    best = max(by_picture.values(), default=1.0)
    said: dict[int, list[_Said]] = {}
    for channel in dict.fromkeys(hit.channel for hit in words):
        of_channel = [hit for hit in words if hit.channel == channel and hit.scene_id in rows]
        for found in _weighed(of_channel, fusion.weight(channel), near, best, calibrated):
            said.setdefault(found.hit.scene_id, []).append(found)
    answers = []
    for scene in dict.fromkeys([*seen, *said]):
        picture = by_picture.get(scene, 0.0)
        counted = sorted(said.get(scene, ()), key=lambda one: -one.most)  # stable
        doubt, together = 1 - picture, picture
        for one in counted:
            doubt *= 1 - one.counts
            together += one.counts
        whole = max((one.whole for one in counted), default=0.0)
        row = seen[scene].candidate.row if scene in seen else rows[scene]
        answers.append(
            Answer(
                row,
                max(1 - doubt if calibrated else together, whole),
                seen.get(scene),
                counted[0].hit if counted else None,
                by_words=bool(counted) and counted[0].most > picture,
                also=tuple(one.hit for one in counted[1:]),
            )
        )
    return sorted(answers, key=lambda answer: -answer.score)  # stable: pictures before words of the same score


@dataclass(frozen=True, slots=True)
class _Said:
    """The best passage of a channel in one scene."""

    hit: PassageHit
    counts: float
    """What it brings, as a weighted reciprocal rank or a probability."""
    whole: float
    """What the scene is worth at least, because it holds the whole query or means it."""

    @property
    def most(self) -> float:
        return max(self.counts, self.whole)


def _top(pictures: Sequence[Found]) -> float:
    return max(found.candidate.score for found in pictures)


def _weighed(words: Sequence[PassageHit], weight: float, near: Evidence, best: float, calibrated: bool) -> list[_Said]:
    """The best passage a scene of one channel; without those that may be a coincidence. best: what the best picture
    has."""
    said: dict[int, PassageHit] = {}
    for passage in sorted(words, key=strength, reverse=True):
        said.setdefault(passage.scene_id, passage)
    weighed = []
    for scene, rank in _ranks(said, 1.0).items():
        hit = said[scene]
        likely = max(told(hit), near.counts * meant(hit, near.similarity, near.shown))
        counts = min(0.99, likely) if calibrated else weight * likely * rank
        second = hit.score >= 1.0 or hit.similarity >= max(MEANT, near.similarity - NEAR)
        weighed.append(_Said(hit, counts, WHOLE * best * rank if second else 0.0))
    return [one for one in weighed if weight > 0 and one.most > 0]


def _ranks(scenes: Mapping[int, object], weight: float) -> dict[int, float]:
    return {scene: weight * (RANK + 1) / (RANK + rank) for rank, scene in enumerate(scenes, start=1)}


def _probabilities(pictures: Sequence[Found], fusion: Fusion) -> dict[int, float]:
    """A score that stands out of those recalled is likely right: logistic of its standard score, two being even."""
    if not pictures:
        return {}
    scores = [found.candidate.score for found in pictures]
    mean = sum(scores) / len(scores)
    spread = math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores)) or 1.0
    share = fusion.visual / max(fusion.visual, fusion.speech, fusion.text, 1e-9)
    return {
        found.candidate.row.id: share / (1 + math.exp(min(50.0, 2.0 - (found.candidate.score - mean) / spread)))
        for found in pictures
    }


def words_alone(words: Sequence[PassageHit], rows: Mapping[int, SceneRow]) -> list[Answer]:
    """Passages as answers, in their order; several of one scene are several answers."""
    return [
        Answer(rows[hit.scene_id], strength(hit), None, hit, by_words=True) for hit in words if hit.scene_id in rows
    ]


def hits_of(answers: Sequence[Answer]) -> list[Hit]:
    """Hits, ranked in the order given. What the words brought begins where they begin."""
    hits = []
    for rank, answer in enumerate(answers, start=1):
        channels: dict[str, float] = {}
        start, end = answer.row.start, answer.row.end
        best_time = (start + end) / 2
        if answer.picture is not None:
            channels.update(answer.picture.candidate.channels)
            start, end, best_time = answer.picture.start, answer.picture.end, answer.picture.best_time
        hit = Hit(rank, answer.score, answer.row.path, start, end, channels, best_time, scene_id=answer.row.id)
        if answer.words is not None:
            parts = (answer.words, *answer.also)
            channels.update({_name(one.channel): strength(one) for one in parts})
            lines = [replace(line, channel=_name(line.channel)) for one in parts for line in one.lines]
            hit = replace(hit, words=tuple(lines), matched=tuple(spans for one in parts for spans in one.spans))
            if answer.by_words:
                begun = answer.words.start
                hit = replace(hit, start=begun, end=max(answer.words.end, begun + 0.1), best_time=begun)
        hits.append(hit)
    return hits


def _name(channel: str) -> str:
    """A channel as a person calls it: see query.Channel."""
    return "text" if channel == TEXT else channel
