"""One list out of several: what each model finds in the pictures, when more than one is asked.

Scores of two models cannot be compared, so their lists are, as in fuse.py:

    rrf         the mean of 61 / (60 + rank) over the models (Cormack, Clarke and Büttcher 2009); not found counts 0
    calibrated  the mean of how far a score stands out of its own model's list, as a logistic of its standard score;
                not found counts as the last of the list
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vsearch.media import Space
from vsearch.search.explain import Found
from vsearch.search.fuse import RANK, How


def fuse_spaces(spaces: Sequence[Space], lists: Sequence[Sequence[Found]], how: How) -> list[Found]:
    """One list a space, best first, to one list, best first. Its scores are in [0, 1].

    A hit is told as the model tells it that ranks it highest, with the scores of all: "visual:NAME". Of moments that
    overlap the better one stays.
    """
    weigh = _ranks if how == "rrf" else _standing
    weights = [weigh(found) for found in lists]
    names = _names(spaces)
    scores: dict[int, float] = {}
    told: dict[int, tuple[int, Found]] = {}  # by scene: the rank, and how it is told there
    channels: dict[int, dict[str, float]] = {}
    for name, found, (weight, absent) in zip(names, lists, weights, strict=True):
        for rank, one in enumerate(found):
            scene = one.candidate.row.id
            scores[scene] = scores.get(scene, 0.0) + weight[scene] - absent
            if scene not in told or rank < told[scene][0]:
                told[scene] = rank, one
            said = one.candidate.channels.items()
            channels.setdefault(scene, {}).update({f"{channel}:{name}": score for channel, score in said})
    base = sum(absent for _, absent in weights)
    fused: list[Found] = []
    of_video: dict[int, list[Found]] = {}
    for scene in sorted(scores, key=lambda scene: -scores[scene]):
        one = told[scene][1]
        others = of_video.setdefault(one.candidate.row.video_id, [])
        if not any(other.start <= one.best_time < other.end for other in others):
            others.append(one)
            score = (base + scores[scene]) / len(lists)
            fused.append(replace(one, candidate=replace(one.candidate, score=score, channels=channels[scene])))
    return fused


Weights = tuple[Mapping[int, float], float]
"""What each scene is worth, and what one is worth that was not found."""


def _ranks(found: Sequence[Found]) -> Weights:
    return {one.candidate.row.id: (RANK + 1) / (RANK + rank) for rank, one in enumerate(found, start=1)}, 0.0


def _standing(found: Sequence[Found]) -> Weights:
    if not found:
        return {}, 0.0
    scores = np.array([one.candidate.score for one in found])
    standard = (scores - scores.mean()) / (scores.std() or 1.0)
    likely = 1 / (1 + np.exp(2.0 - standard))  # two deviations above the rest: as likely as not
    return {one.candidate.row.id: float(p) for one, p in zip(found, likely, strict=True)}, float(likely.min())


def _names(spaces: Sequence[Space]) -> list[str]:
    """What a person calls them; two versions of one model by their fingerprints, too."""
    names = [space.model for space in spaces]
    return [
        name if names.count(name) == 1 else f"{name} {space.fingerprint[:8]}"
        for name, space in zip(names, spaces, strict=True)
    ]
