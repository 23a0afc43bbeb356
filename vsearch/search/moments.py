"""Where a description holds, inside a scene or across neighbouring scenes of its file: from frame scores to one span.

A moment grows from the frame of a found scene that matches best, as long as that pays: it is the run around that frame
with the largest integral of score - baseline (the maximum-sum subarray of Kadane 1984, made to hold one element). The
baseline lies a share of the way from the score of unrelated frames, measured over a sample of the library, up to the
score of that frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Seconds, Space, Vectors
from vsearch.models.protocols import TextEncoder
from vsearch.search.explain import Found
from vsearch.search.recall import Candidate

if TYPE_CHECKING:
    from vsearch.library import SceneRow, SqliteStore

SHARE = 0.4
"""Of the way from unrelated frames to the best one; measured by eval.moments (docs/experiments.md)."""
REACH_SECONDS = 60.0
"""How far beyond its scene a moment is looked for, on either side."""
SAMPLE = 256
"""Scenes of the library that stand for unrelated frames."""


def find_moments(
    library: SqliteStore,
    model: TextEncoder,
    space: Space,
    vector: Vectors,
    candidates: Sequence[Candidate],
    background: float,
) -> list[Found]:
    """The moment of each candidate. vector: the query [D]. background: see `background_score`."""
    around: dict[int, list[SceneRow]] = {}
    for candidate in candidates:
        row = candidate.row
        near = library.scenes_between(row.video_id, row.start - REACH_SECONDS, row.end + REACH_SECONDS)
        around[row.id] = neighbours(near, row)
    scenes = {scene.id: scene for near in around.values() for scene in near}
    frames = library.frame_vectors(space, list(scenes))
    scores: dict[int, NDArray[np.floating]] = {}
    if frames:
        every = model.frame_scores(vector, np.concatenate([vectors for vectors, _ in frames.values()]))
        ends = np.cumsum([len(times) for _, times in frames.values()])
        scores = dict(zip(frames, np.split(every, ends[:-1]), strict=True))
    times = {scene: seconds for scene, (_, seconds) in frames.items()}
    return [_moment(candidate, around[candidate.row.id], scores, times, background) for candidate in candidates]


def background_score(
    library: SqliteStore, model: TextEncoder, space: Space, vector: Vectors, candidates: Sequence[Candidate]
) -> float:
    """The mean score of the query [D] over frames of scenes spread over the library."""
    # Ids rise by one a scene, and those that are gone have no frames: even steps up to a high id are a sample.
    found = [candidate.row.id for candidate in candidates]
    stored = sum(row.vectors for row in library.spaces() if row.space == space)
    spread = np.unique(np.linspace(1, max([stored, 1, *found]), SAMPLE).astype(np.int64))
    sample = library.frame_vectors(space, spread.tolist()) or library.frame_vectors(space, found)
    if not sample:
        return 0.0
    return float(model.frame_scores(vector, np.concatenate([frames for frames, _ in sample.values()])).mean())


def _moment(
    candidate: Candidate,
    near: Sequence[SceneRow],
    scores_of: Mapping[int, NDArray[np.floating]],
    times_of: Mapping[int, Seconds],
    background: float,
) -> Found:
    """near: the scenes around the candidate's, in time order. Of scenes that have frames: their scores, their times."""
    row = candidate.row
    if row.id not in scores_of:
        return Found(candidate, row.start, row.end, (row.start + row.end) / 2)
    scenes = _unbroken([scene for scene in near if scene.id in scores_of], row)
    scores = np.concatenate([scores_of[scene.id] for scene in scenes])  # [sum T_s]
    edges = frame_edges([((scene.start, scene.end), times_of[scene.id]) for scene in scenes])
    first = sum(len(times_of[scene.id]) for scene in scenes if scene.start < row.start)
    times = times_of[row.id]
    best = int(np.argmax(scores[first : first + len(times)]))
    peak = float(scores[first + best])
    if peak <= background:  # nothing stands out: there is no moment, only the scene that was asked for
        return Found(candidate, row.start, row.end, float(times[best]))
    start, end = span_around(scores, edges, first + best, baseline=background + SHARE * (peak - background))
    return Found(candidate, start, end, float(times[best]))


def neighbours(scenes: Sequence[SceneRow], row: SceneRow) -> list[SceneRow]:
    """Of a video's scenes in time order, `row` and those that follow on it without a gap, within reach."""
    near = [s for s in scenes if s.end > row.start - REACH_SECONDS and s.start < row.end + REACH_SECONDS]
    return _unbroken(near, row)


def _unbroken(scenes: Sequence[SceneRow], row: SceneRow) -> list[SceneRow]:
    at = next((i for i, scene in enumerate(scenes) if scene.id == row.id), None)
    if at is None:  # removed meanwhile
        return [row]
    first = last = at
    while first > 0 and abs(scenes[first].start - scenes[first - 1].end) < 1e-3:
        first -= 1
    while last + 1 < len(scenes) and abs(scenes[last + 1].start - scenes[last].end) < 1e-3:
        last += 1
    return list(scenes[first : last + 1])


def frame_edges(scenes: Sequence[tuple[tuple[float, float], Seconds]]) -> Seconds:
    """((start, end), times [T_s]) of neighbouring scenes to edges [sum T_s + 1] between the frames, in seconds.

    A frame stands for the time up to half-way to its neighbours, and never for time beyond a cut.
    """
    edges: list[float] = []
    for (start, _), times in scenes:
        edges += [start, *((times[1:] + times[:-1]) / 2)]
    return np.array([*edges, scenes[-1][0][1]])


def span_around(scores: NDArray[np.floating], edges: Seconds, anchor: int, *, baseline: float) -> tuple[float, float]:
    """The span [start, end) in seconds around frame `anchor` that maximises the integral of score - baseline.

    scores [T], edges [T + 1] rising: frame i stands for [edges[i], edges[i + 1]). Of equal spans the longest wins.
    Raises ValueError where shapes or order do not fit.
    """
    if scores.ndim != 1 or len(edges) != len(scores) + 1 or not 0 <= anchor < len(scores):
        raise ValueError(f"T scores, T + 1 edges, an anchor among them: {scores.shape}, {edges.shape}, {anchor = }")
    if not (np.isfinite(scores).all() and np.isfinite(edges).all()) or (np.diff(edges) < 0).any():
        raise ValueError(f"scores and edges must be finite and edges rise: {scores}, {edges}")
    gains = (scores.astype(np.float64) - baseline) * np.diff(edges)  # [T]
    after = np.cumsum(gains[anchor:])
    before = np.cumsum(gains[anchor::-1])
    first = anchor - (len(before) - 1 - int(np.argmax(before[::-1])))
    last = anchor + (len(after) - 1 - int(np.argmax(after[::-1])))
    return float(edges[first]), float(edges[last + 1])
