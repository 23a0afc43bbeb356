from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.search.moments import best_span

# Quarters of small whole numbers: sums are exact, so that equal spans are truly equal.
steps = st.integers(-8, 8).map(lambda n: n / 4)
gaps = st.integers(1, 8).map(lambda n: n / 4)


@st.composite
def clips(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    count = draw(st.integers(1, 9))
    scores = np.array(draw(st.lists(steps, min_size=count, max_size=count)), dtype=np.float32)
    times = np.cumsum(draw(st.lists(gaps, min_size=count, max_size=count)))
    return scores, times, (float(times[0]) - draw(gaps), float(times[-1]) + draw(gaps))


def by_force(scores: np.ndarray, times: np.ndarray, within: tuple[float, float], baseline: float) -> tuple[float, ...]:
    """Every span tried: the largest integral, then the most frames, then the earliest."""
    bounds = [within[0], *((a + b) / 2 for a, b in pairwise(times)), within[1]]
    best = None
    for first in range(len(scores)):
        for last in range(first, len(scores)):
            gain = sum((scores[i] - baseline) * (bounds[i + 1] - bounds[i]) for i in range(first, last + 1))
            key = (gain, last - first, -first)
            if best is None or key > best[0]:
                best = (key, (bounds[first], bounds[last + 1]))
    assert best is not None
    return best[1]


@given(clips(), steps)
def test_it_is_the_span_that_brute_force_finds(clip: tuple, baseline: float) -> None:
    scores, times, within = clip
    assert best_span(scores, times, within, baseline=baseline) == by_force(scores, times, within, baseline)


@given(clips(), steps, gaps)
def test_later_and_higher_is_the_same_span_later(clip: tuple, higher: float, later: float) -> None:
    scores, times, within = clip
    start, end = best_span(scores, times, within)
    assert within[0] <= start < end <= within[1]
    moved = best_span(scores + np.float32(higher), times + later, (within[0] + later, within[1] + later))
    assert moved == (start + later, end + later)


def test_a_long_moment_outweighs_a_single_better_frame() -> None:
    scores = np.array([0.30, 0.30, 0.30, 0.10, 0.10, 0.32])
    assert best_span(scores, np.arange(6.0), (0, 6)) == (0, 2.5)


def test_a_moment_in_the_middle_is_cut_half_way_to_its_neighbours() -> None:
    scores = np.array([0.1, 0.1, 0.3, 0.28, 0.1])
    assert best_span(scores, np.arange(5.0), (0, 5)) == (1.5, 3.5)


def test_frames_that_are_all_equal_are_one_moment() -> None:
    assert best_span(np.full(4, 0.3), np.arange(4.0), (0, 4)) == (0, 4)


def test_a_low_baseline_keeps_a_scene_that_matches_throughout_whole() -> None:
    scores = np.array([0.30, 0.33, 0.31])
    assert best_span(scores, np.arange(3.0), (0, 3), baseline=0.2) == (0, 3)
    assert best_span(scores, np.arange(3.0), (0, 3)) == (0.5, 1.5)


def test_one_frame_is_its_whole_scene_even_below_the_baseline() -> None:
    assert best_span(np.array([0.1]), np.array([2.0]), (1.0, 4.0), baseline=0.5) == (1.0, 4.0)


@pytest.mark.parametrize(
    ("scores", "times", "within"),
    [
        ([], [], (0, 1)),
        ([0.1, 0.2], [0.0], (0, 1)),
        ([0.1, 0.2], [1.0, 0.5], (0, 2)),
        ([0.1, 0.2], [1.0, 1.0], (0, 2)),
        ([0.1], [3.0], (0, 2)),
        ([float("nan")], [1.0], (0, 2)),
        ([0.1], [1.0], (1, 1)),
    ],
)
def test_what_makes_no_sense_is_refused(scores: list[float], times: list[float], within: tuple[float, float]) -> None:
    with pytest.raises(ValueError):
        best_span(np.array(scores), np.array(times), within)
