"""Fusion of several models: one ranking from the visual rankings of all models that answer a query.

Scores of two models cannot be compared, so the ranks are fused as in fuse.py: the score of a scene is the mean over the
models of 61 / (60 + rank); a scene that a model did not recall counts 0 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vsearch.media import Space
from vsearch.search.candidates import Candidate
from vsearch.search.fuse import RANK


def fuse_spaces(spaces: Sequence[Space], lists: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """One list per space, best first, to one list, best first, with scores in [0, 1].

    A scene comes from the list that ranks it highest, with the scores of every model: "visual:NAME". Of scenes of one
    video whose best frame is in a better scene's span, only the better one stays.
    """
    scores: dict[int, float] = {}
    best: dict[int, tuple[int, Candidate]] = {}  # by scene: its best rank, and its entry in that list
    channels: dict[int, dict[str, float]] = {}
    for name, ranking in zip(_names(spaces), lists, strict=True):
        for rank, entry in enumerate(ranking, start=1):
            scene = entry.scene.id
            scores[scene] = scores.get(scene, 0.0) + (RANK + 1) / (RANK + rank)
            if scene not in best or rank < best[scene][0]:
                best[scene] = rank, entry
            channels.setdefault(scene, {}).update(
                {f"{channel}:{name}": score for channel, score in entry.channels.items()}
            )
    fused: list[Candidate] = []
    of_video: dict[int, list[Candidate]] = {}
    for scene in sorted(scores, key=lambda scene: -scores[scene]):
        entry = best[scene][1]
        others = of_video.setdefault(entry.scene.video_id, [])
        if not any(other.start <= entry.best_time < other.end for other in others):
            others.append(entry)
            score = scores[scene] / len(lists)
            fused.append(replace(entry, score=score, channels=channels[scene]))
    return fused


def _names(spaces: Sequence[Space]) -> list[str]:
    """Names of the models; two versions of one model are told apart by their fingerprints."""
    names = [space.model for space in spaces]
    return [
        name if names.count(name) == 1 else f"{name} {space.fingerprint[:8]}"
        for name, space in zip(names, spaces, strict=True)
    ]
