"""Candidates: scenes, and passages in them, on the way from recall to hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vsearch.media import Hit
from vsearch.search.passage_scores import passage_score

if TYPE_CHECKING:
    from vsearch.library import PassageHit, SceneRow


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scene that is being ranked, with what each channel contributes."""

    scene: SceneRow
    score: float
    """What candidates are ranked by."""
    channels: Mapping[str, float]
    """Scores of the visual channel and of re-ranking: "visual", "late", "itm", with several models "visual:NAME"."""
    start: float
    """Seconds; [start, end) is the part of the file that answers the query."""
    end: float
    best_time: float
    """Seconds: the time of the frame that matches best."""
    model: int | None = None
    """Index of the model that ranks the scene highest; None: the visual channel did not recall it."""
    passages: tuple[PassageHit, ...] = ()
    """Passages that match in the scene, one per channel of transcripts, the strongest first."""
    by_text: bool = False
    """A passage contributes more to the score than the frames: the passage is the answer, not the scene."""


def scene_candidate(
    scene: SceneRow, score: float, channels: Mapping[str, float], model: int | None = None
) -> Candidate:
    """A whole scene as a candidate. Its best frame is not known yet; until then it is the middle."""
    return Candidate(scene, score, channels, scene.start, scene.end, (scene.start + scene.end) / 2, model)


def hit_of(candidate: Candidate, rank: int) -> Hit:
    """The hit for a candidate. A hit found by its text starts where the passage starts."""
    channels = dict(candidate.channels)
    channels.update({passage.channel: passage_score(passage) for passage in candidate.passages})
    start, end, best_time = candidate.start, candidate.end, candidate.best_time
    if candidate.by_text:
        passage = candidate.passages[0]
        start = best_time = passage.start
        end = max(passage.end, start + 0.1)
    return Hit(
        rank,
        candidate.score,
        candidate.scene.path,
        start,
        end,
        channels,
        best_time,
        segments=tuple(segment for passage in candidate.passages for segment in passage.segments),
        matched=tuple(spans for passage in candidate.passages for spans in passage.spans),
        scene_id=candidate.scene.id,
    )
