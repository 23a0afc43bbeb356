from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.queries import make_query
from tests.search.made import HeadedModel, add
from vsearch.library import SceneRow, SqliteStore
from vsearch.models.fake import FakeModel
from vsearch.search import Query, SearchEngine
from vsearch.search.engine import MOMENTS_AT_ONCE
from vsearch.search.moments import REACH_SECONDS, background_score, frame_edges, neighbours, span_around
from vsearch.search.recall import recall

# Quarters of small whole numbers: sums are exact, so that equal spans are truly equal.
steps = st.integers(-8, 8).map(lambda n: n / 4)
gaps = st.integers(1, 8).map(lambda n: n / 4)


@st.composite
def clips(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    count = draw(st.integers(1, 9))
    scores = np.array(draw(st.lists(steps, min_size=count, max_size=count)), dtype=np.float32)
    edges = np.cumsum(draw(st.lists(gaps, min_size=count + 1, max_size=count + 1)))
    return scores, edges, draw(st.integers(0, count - 1))


def by_force(scores: np.ndarray, edges: np.ndarray, anchor: int, baseline: float) -> tuple[float, float]:
    """Every span that holds the anchor tried: the largest integral, then the most frames."""
    best = None
    for first in range(anchor + 1):
        for last in range(anchor, len(scores)):
            gain = sum((scores[i] - baseline) * (edges[i + 1] - edges[i]) for i in range(first, last + 1))
            key = (gain, last - first)
            if best is None or key > best[0]:
                best = (key, (edges[first], edges[last + 1]))
    assert best is not None
    return best[1]


@given(clips(), steps)
def test_it_is_the_span_that_brute_force_finds(clip: tuple, baseline: float) -> None:
    scores, edges, anchor = clip
    assert span_around(scores, edges, anchor, baseline=baseline) == by_force(scores, edges, anchor, baseline)


@given(clips(), steps, steps, gaps)
def test_later_and_higher_is_the_same_span_later(clip: tuple, baseline: float, higher: float, later: float) -> None:
    scores, edges, anchor = clip
    start, end = span_around(scores, edges, anchor, baseline=baseline)
    assert edges[0] <= start <= edges[anchor] < edges[anchor + 1] <= end <= edges[-1]
    moved = span_around(scores + np.float32(higher), edges + later, anchor, baseline=baseline + higher)
    assert moved == (start + later, end + later)


def test_a_dip_is_crossed_where_what_follows_is_worth_it() -> None:
    scores = np.array([0.3, 0.3, 0.1, 0.3, 0.3, 0.0, 0.0, 0.3])
    assert span_around(scores, np.arange(9.0), 0, baseline=0.2) == (0, 5)


@pytest.mark.parametrize(
    ("scores", "edges", "anchor"),
    [
        ([], [0], 0),
        ([0.1, 0.2], [0, 1], 0),
        ([0.1, 0.2], [0, 2, 1], 0),
        ([0.1], [0, 1], 1),
        ([0.1], [0, 1], -1),
        ([float("nan")], [0, 1], 0),
        ([0.1], [0, float("inf")], 0),
    ],
)
def test_what_makes_no_sense_is_refused(scores: list[float], edges: list[float], anchor: int) -> None:
    with pytest.raises(ValueError):
        span_around(np.array(scores), np.array(edges), anchor, baseline=0)


def test_a_frame_stands_for_no_time_beyond_a_cut() -> None:
    edges = frame_edges([((0, 4), np.array([1.0, 2.0])), ((4, 5), np.array([4.9]))])
    assert edges.tolist() == [0, 1.5, 4, 5]


def test_neighbours_are_those_without_a_gap_and_within_reach() -> None:
    from pathlib import Path

    spans = [(0, 10), (10, 20), (25, 30), (30, 40), (40, 90), (90, 95), (95, 200), (200, 201)]
    scenes = [SceneRow(at, 1, Path("/v"), float(a), float(b)) for at, (a, b) in enumerate(spans)]
    assert [scene.id for scene in neighbours(scenes, scenes[3])] == [2, 3, 4, 5, 6]
    assert [scene.id for scene in neighbours(scenes, scenes[1])] == [0, 1]
    gone = SceneRow(99, 1, Path("/v"), 0, 1)
    assert neighbours(scenes, gone) == [gone]
    assert scenes[3].end + REACH_SECONDS > scenes[6].start


@pytest.fixture
def filler(library: SqliteStore) -> SqliteStore:
    """Unrelated footage, so that the background is that of a real library."""
    for at in range(6):
        add(library, f"/v/filler{at}.mp4", ["ggkk", "kkww", "mmcc"])
    return library


def spans(library: SqliteStore, query: Query, model: FakeModel | None = None) -> list[tuple[str, float, float]]:
    return [(h.video.stem, h.start, h.end) for h in SearchEngine(library, model or FakeModel()).search(query)]


def test_a_moment_inside_a_long_scene_is_cut_out(filler: SqliteStore) -> None:
    add(filler, "/v/a.mp4", ["ggggggrrrgggg"])
    assert spans(filler, Query("red", k=1)) == [("a", 0, 13)]
    assert spans(filler, Query("red", k=1, moments=True)) == [("a", 6, 9)]


def test_a_moment_goes_across_cuts_and_ends_at_one(filler: SqliteStore) -> None:
    add(filler, "/v/a.mp4", ["gg", "gr", "rr", "rrr", "bb"])
    assert spans(filler, make_query("red", k=5, moments=True, path="a.mp4"))[0] == ("a", 3, 9 - 0)


def test_scenes_of_one_moment_are_one_hit_and_two_moments_are_two(filler: SqliteStore) -> None:
    add(filler, "/v/a.mp4", ["rr", "rr", "gggg", "gggg", "rrr", "rg"])
    found = spans(filler, Query("red", k=2, moments=True))
    assert sorted(found) == [("a", 0, 4), ("a", 12, 16)]
    assert len(spans(filler, make_query("red", k=2, moments=True, per_video=1, path="a.mp4"))) == 1


def test_a_file_that_fits_throughout_is_one_moment(filler: SqliteStore) -> None:
    add(filler, "/v/a.mp4", ["rrr", "rr", "rrrr"])
    assert spans(filler, Query("red", k=1, moments=True)) == [("a", 0, 9)]


def test_a_scene_in_which_nothing_stands_out_is_kept_whole(filler: SqliteStore) -> None:
    assert spans(filler, make_query("red", k=1, moments=True, path="filler3.mp4")) in (
        [("filler3", 0, 4)],
        [("filler3", 4, 8)],
        [("filler3", 8, 12)],
    )


def test_moments_are_worked_out_until_there_are_enough_hits(
    library: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "/v/a.mp4", ["rrgg", "gggg"] * 3 * MOMENTS_AT_ONCE)
    looked_at: list[int] = []
    between = library.scenes_between

    def counted(video_id: int, start: float, end: float) -> list[SceneRow]:
        looked_at.append(video_id)
        return between(video_id, start, end)

    monkeypatch.setattr(library, "scenes_between", counted)
    assert len(spans(library, Query("red", k=2, moments=True))) == 2
    assert len(looked_at) <= MOMENTS_AT_ONCE


def test_the_background_is_that_of_the_library_however_few_are_recalled(library: SqliteStore) -> None:
    add(library, "/v/a.mp4", ["rr", "ww", "rr"])
    for at in range(30):
        add(library, f"/v/filler{at}.mp4", ["gg", "ww"])
    model = FakeModel()
    vector = model.encode_texts(["red"])[0]
    candidates = recall(library, model.space, vector, 2, allowed=None).candidates
    assert [candidate.score for candidate in candidates] == [1, 1]
    score = background_score(library, model, model.space, vector, candidates)
    assert score == pytest.approx(4 / (6 + 30 * 4), abs=1e-3)


def test_the_best_frame_and_the_scores_stay_those_of_the_scene(filler: SqliteStore) -> None:
    add(filler, "/v/a.mp4", ["ggr", "rgg"])
    (hit,) = SearchEngine(filler, HeadedModel()).search(Query("red", k=1, moments=True))
    assert (hit.start, hit.end) == (2, 4)
    assert hit.start <= hit.best_time < hit.end
    assert set(hit.channels) == {"visual", "itm"}
    assert hit.score == pytest.approx(1 + 5**-0.5, abs=1e-3)
