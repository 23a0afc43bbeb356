"""Fusion: one ranking from the ranked lists of the visual, speech and OCR channels.

Weighted reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): the score of a scene is the sum over the channels
of weight * 61 / (60 + rank), so that the best scene of the visual channel alone has the score 1. A passage counts in
proportion to how unlikely its match is a coincidence (passage_scores.py), in the spirit of Socratic Models (Zeng et al.
2022): a scene without speech is not penalised, and a common word or two that also occur in the query are no evidence. A
passage that contains the whole of a short query, which may well be a coincidence, ranks behind the best scene of the
visual channel, and so do the passages that are most similar to the query. eval/fusion.py measures the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vsearch.search.candidates import Candidate, scene_candidate
from vsearch.search.passage_scores import SCORING, passage_score, semantic_confidence, text_confidence
from vsearch.settings import OCR_WEIGHT, SPEECH_WEIGHT

if TYPE_CHECKING:
    from vsearch.library import PassageHit, SceneRow
    from vsearch.models.protocols import UsualScore

RANK = 60
"""The constant of reciprocal rank fusion."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """Weights of the channels. With the defaults, a passage that contains the whole query ranks before the best scene
    of the visual channel."""

    visual: float = 1.0
    speech: float = SPEECH_WEIGHT
    ocr: float = OCR_WEIGHT

    def __post_init__(self) -> None:
        if not min(self.visual, self.speech, self.ocr) >= 0:
            raise ValueError(f"weights must not be negative: {self}")

    def weight(self, channel: str) -> float:
        """The weight of a channel of transcripts."""
        return self.ocr if channel == "ocr" else self.speech


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the similarity of a passage is compared with: measured in the first pool, the same for all pools."""

    similarity: float
    """The highest cosine of all passages."""
    deviation: float
    """By how many standard deviations the best scene scores above what is usual for a match."""
    doubt: float
    """[0, 1]: how unsure it is that any passage contains the query word for word. If one does, similar ones hardly
    count."""


def weigh_evidence(
    scenes: Sequence[Candidate],
    passages: Sequence[PassageHit],
    rows: Mapping[int, SceneRow],
    usual: UsualScore | None = None,
) -> Evidence:
    """The evidence in the lists of the first pool. Arguments as of `fuse`."""
    nearest = max((hit.similarity for hit in passages if hit.scene_id in rows), default=0.0)
    certain = max((text_confidence(hit) for hit in passages if hit.scene_id in rows and hit.score >= 1.0), default=0.0)
    deviation = SCORING.assumed_deviation
    if usual is not None and scenes:
        deviation = (max(scene.score for scene in scenes) - usual.mean) / usual.spread
    return Evidence(nearest, deviation, 1 - certain)


def fuse(
    scenes: Sequence[Candidate],
    passages: Sequence[PassageHit],
    rows: Mapping[int, SceneRow],
    fusion: Fusion,
    usual: UsualScore | None = None,
    evidence: Evidence | None = None,
) -> list[Candidate]:
    """Fuse scenes of the visual channel with passages, both best first, into candidates, best first.

    rows: the scenes of the passages; passages of removed scenes are left out. Only the best passage of each channel
    counts in a scene, and passages that may be a coincidence do not count. usual: the usual score of a match, if the
    model knows it. evidence: that of the first pool; None: these lists are the first pool.
    """
    evidence = evidence or weigh_evidence(scenes, passages, rows, usual)
    visual = {candidate.scene.id: candidate for candidate in scenes}
    visual_scores = _reciprocal_ranks(visual, fusion.visual)
    best = max(visual_scores.values(), default=1.0)
    contributions: dict[int, list[_Contribution]] = {}
    for channel in dict.fromkeys(hit.channel for hit in passages):
        of_channel = [hit for hit in passages if hit.channel == channel and hit.scene_id in rows]
        for one in _contributions(of_channel, fusion.weight(channel), evidence, best):
            contributions.setdefault(one.passage.scene_id, []).append(one)
    fused = []
    for scene in dict.fromkeys([*visual, *contributions]):
        parts = sorted(contributions.get(scene, ()), key=lambda part: -part.most)  # stable
        total = visual_scores.get(scene, 0.0) + sum(part.score for part in parts)
        candidate = visual[scene] if scene in visual else scene_candidate(rows[scene], 0.0, {})
        fused.append(
            replace(
                candidate,
                score=max([total, *(part.minimum for part in parts)]),
                passages=tuple(part.passage for part in parts),
                by_text=bool(parts) and parts[0].most > visual_scores.get(scene, 0.0),
            )
        )
    return sorted(fused, key=lambda candidate: -candidate.score)  # stable: visual before text where scores are equal


@dataclass(frozen=True, slots=True)
class _Contribution:
    """The contribution of the best passage of one channel to its scene."""

    passage: PassageHit
    score: float
    """Added to the score of the scene."""
    minimum: float
    """The scene's score is at least this, because the passage contains the whole query or is very similar to it."""

    @property
    def most(self) -> float:
        return max(self.score, self.minimum)


def _contributions(
    passages: Sequence[PassageHit], weight: float, evidence: Evidence, best: float
) -> list[_Contribution]:
    """The contributions of one channel. best: the highest score of the visual channel."""
    best_in_scene: dict[int, PassageHit] = {}
    for passage in sorted(passages, key=passage_score, reverse=True):
        best_in_scene.setdefault(passage.scene_id, passage)
    contributions = []
    for scene, rank in _reciprocal_ranks(best_in_scene, 1.0).items():
        passage = best_in_scene[scene]
        similar = semantic_confidence(passage, evidence.similarity, evidence.deviation)
        confidence = max(text_confidence(passage), evidence.doubt * similar)
        nearest = max(SCORING.second_place_cosine, evidence.similarity - SCORING.cosine_margin)
        takes_second_place = passage.score >= 1.0 or passage.similarity >= nearest
        minimum = SCORING.second_place * best * rank if takes_second_place else 0.0
        contributions.append(_Contribution(passage, weight * confidence * rank, minimum))
    return [one for one in contributions if weight > 0 and one.most > 0]


def _reciprocal_ranks(scenes: Mapping[int, object], weight: float) -> dict[int, float]:
    """By scene, in the order of the ranking: weight * 61 / (60 + rank)."""
    return {scene: weight * (RANK + 1) / (RANK + rank) for rank, scene in enumerate(scenes, start=1)}


def passage_candidates(passages: Sequence[PassageHit], rows: Mapping[int, SceneRow]) -> list[Candidate]:
    """Passages as candidates, in their order; several passages of one scene are several candidates."""
    return [
        replace(scene_candidate(rows[hit.scene_id], passage_score(hit), {}), passages=(hit,), by_text=True)
        for hit in passages
        if hit.scene_id in rows
    ]
