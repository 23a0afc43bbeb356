"""Moments: the spans in which a query holds, inside a scene or across neighbouring scenes, from scores of frames.

A moment is the run of frames around the best frame of a scene with the largest integral of score - baseline (the
maximum-sum subarray of Kadane 1984, constrained to contain one element). The baseline is between the score of unrelated
frames, measured over a sample of the library, and the score of the best frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vsearch.media import Seconds, Space, Vectors
from vsearch.models.protocols import TextEncoder
from vsearch.search.candidates import Candidate

if TYPE_CHECKING:
    from vsearch.library import ReadableStore, SceneRow

SHARE = 0.4
"""The baseline, as a share of the distance from the score of unrelated frames to that of the best frame; measured by
eval.moments (docs/experiments.md)."""
REACH_SECONDS = 60.0
"""How far a moment may extend beyond its scene, on either side."""
SAMPLE = 256
"""How many scenes of the library are sampled for unrelated frames."""


def find_moments(
    library: ReadableStore,
    model: TextEncoder,
    space: Space,
    vector: Vectors,
    candidates: Sequence[Candidate],
    background: float,
) -> list[Candidate]:
    """The moment of each candidate. vector: the query [D]. background: see `background_score`."""
    around: dict[int, list[SceneRow]] = {}
    for candidate in candidates:
        row = candidate.scene
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
    return [_moment(candidate, around[candidate.scene.id], scores, times, background) for candidate in candidates]


def background_score(
    library: ReadableStore, model: TextEncoder, space: Space, vector: Vectors, candidates: Sequence[Candidate]
) -> float:
    """The mean score of the query [D] over frames of scenes spread over the library."""
    # Ids rise by one a scene, and those that are gone have no frames: even steps up to a high id are a sample.
    found = [candidate.scene.id for candidate in candidates]
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
) -> Candidate:
    """The candidate with the span and the best frame of its moment.

    near: the scenes around the candidate's, in time order. scores_of, times_of: by scene id, for scenes with frames.
    """
    row = candidate.scene
    if row.id not in scores_of:
        return candidate
    scenes = _unbroken([scene for scene in near if scene.id in scores_of], row)
    scores = np.concatenate([scores_of[scene.id] for scene in scenes])  # [sum T_s]
    edges = frame_edges([((scene.start, scene.end), times_of[scene.id]) for scene in scenes])
    first = sum(len(times_of[scene.id]) for scene in scenes if scene.start < row.start)
    times = times_of[row.id]
    best = int(np.argmax(scores[first : first + len(times)]))
    peak = float(scores[first + best])
    if peak <= background:  # no frame scores above unrelated ones: the whole scene is the answer
        return replace(candidate, best_time=float(times[best]))
    start, end = span_around(scores, edges, first + best, baseline=background + SHARE * (peak - background))
    return replace(candidate, start=start, end=end, best_time=float(times[best]))


def neighbours(scenes: Sequence[SceneRow], row: SceneRow) -> list[SceneRow]:
    """The scenes that adjoin `row` without a gap, and `row` itself, within reach. scenes: of its video, by time."""
    near = [s for s in scenes if s.end > row.start - REACH_SECONDS and s.start < row.end + REACH_SECONDS]
    return _unbroken(near, row)


def _unbroken(scenes: Sequence[SceneRow], row: SceneRow) -> list[SceneRow]:
    at = next((i for i, scene in enumerate(scenes) if scene.id == row.id), None)
    if at is None:  # it was removed in the meantime
        return [row]
    first = last = at
    while first > 0 and abs(scenes[first].start - scenes[first - 1].end) < 1e-3:
        first -= 1
    while last + 1 < len(scenes) and abs(scenes[last + 1].start - scenes[last].end) < 1e-3:
        last += 1
    return list(scenes[first : last + 1])


def frame_edges(scenes: Sequence[tuple[tuple[float, float], Seconds]]) -> Seconds:
    """The edges [sum T_s + 1] between the frames of neighbouring scenes, in seconds.

    scenes: (start, end) and times [T_s] of each. A frame covers the time half-way to its neighbours, but no time beyond
    a cut.
    """
    parts = [part for (start, _), times in scenes for part in ([start], (times[1:] + times[:-1]) / 2)]
    return np.concatenate([*parts, [scenes[-1][0][1]]])


def span_around(scores: NDArray[np.floating], edges: Seconds, anchor: int, *, baseline: float) -> tuple[float, float]:
    """The span [start, end) in seconds around frame `anchor` that maximises the integral of score - baseline.

    scores [T], edges [T + 1] ascending: frame i covers [edges[i], edges[i + 1]). Of equal spans the longest is chosen.
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
