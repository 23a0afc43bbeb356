"""The first step of an answer: the nearest scenes by inner product (ITC), and how many of one file may stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Space, Vectors

if TYPE_CHECKING:
    from vsearch.library import Library, SceneRow

WIDEN = 4
"""Recall grows by this factor where the limit a file left too few."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scene on its way to be a hit."""

    row: SceneRow
    score: float
    """What it is ranked by."""
    channels: Mapping[str, float]
    """Score of every channel that had a say."""


LeftOut = Callable[[Sequence["SceneRow"]], set[int]]
"""Of scenes, the ids of those that are no answer."""


def recall(
    library: Library,
    space: Space,
    vector: Vectors,
    wanted: int,
    *,
    k: int,
    per_video: int | None,
    allowed: NDArray[np.int64] | None,
    path_glob: str | None = None,
    under: Path | None = None,
    left_out: LeftOut | None = None,
) -> list[Candidate]:
    """The scenes nearest to one query [D], best first: about `wanted`, which is at least k.

    More where fewer than k would be left with at most `per_video` of a file, so that a single file with many scenes
    cannot crowd out the rest; fewer where there are no more. path_glob, under: which file to name where several hold a
    scene. left_out: which scenes are no answer.
    """
    while True:
        scores, ids = library.search_vectors(space, vector[None], wanted, allowed=allowed)
        found = [int(scene) for scene in ids[0] if scene >= 0]
        # A scene that was removed since the snapshot was read, or whose video no path holds now, has no row.
        rows = library.scenes(found, path_glob=path_glob, under=under)
        if left_out is not None:
            gone = left_out(list(rows.values()))
            rows = {scene: row for scene, row in rows.items() if scene not in gone}
        candidates = [
            Candidate(rows[scene], float(score), {space.channel: float(score)})
            for scene, score in zip(found, scores[0], strict=False)
            if scene in rows
        ]
        if len(found) < wanted or len(limit_per_video(candidates, per_video)) >= k:
            return candidates
        wanted *= WIDEN


def limit_per_video(candidates: Sequence[Candidate], per_video: int | None) -> list[Candidate]:
    """The candidates in their order, without those that come after `per_video` others of their file."""
    if per_video is None:
        return list(candidates)
    kept: list[Candidate] = []
    of_video: dict[int, int] = {}
    for candidate in candidates:
        video = candidate.row.video_id
        of_video[video] = of_video.get(video, 0) + 1
        if of_video[video] <= per_video:
            kept.append(candidate)
    return kept
