"""Ranks worked out by hand, and what must hold of any matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eval.metrics import (
    as_json,
    figures,
    mean_estimate,
    video_to_text_ranks,
)
from vsearch.errors import InputError
from vsearch.metrics import ranks as ranks_of

# Few distinct values, so that ties are common.
MATRICES = st.integers(1, 7).flatmap(
    lambda n: arrays(np.float32, (n, n), elements=st.sampled_from([np.float32(v) for v in (-1, 0, 0.25, 0.5, 1)]))
)


def test_ranks_worked_out_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.8, 0.3, 0.4], [0.2, 0.7, 0.6]], dtype=np.float32)
    assert ranks_of(scores, np.array([0, 1, 2])).tolist() == [1, 3, 2]


def test_each_tie_counts_against_the_right_item_once() -> None:
    scores = np.array([[0.5, 0.5, 0.1], [0.5, 0.5, 0.5]], dtype=np.float32)
    assert ranks_of(scores, np.array([0, 1])).tolist() == [2, 3]


def test_a_constant_matrix_has_one_rank_a_query_and_finds_nothing() -> None:
    scores = np.ones((4, 4), dtype=np.float32)
    for ranks in (ranks_of(scores, np.arange(4)), video_to_text_ranks(scores, np.arange(4))):
        assert ranks.tolist() == [4, 4, 4, 4]
        assert figures(ranks)["R@1"].value == 0


def test_ranks_do_not_depend_on_how_many_rows_are_compared_at_once() -> None:
    scores = np.zeros((3, 2**23), dtype=np.float32)  # two rows a part
    scores[:, 5] = 1
    assert ranks_of(scores, np.array([5, 5, 5])).tolist() == [1, 1, 1]


def test_several_captions_a_video() -> None:
    # captions 0, 1 belong to video 0, captions 2, 3 to video 1
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.6], [0.3, 0.4]], dtype=np.float32)
    owners = np.array([0, 0, 1, 1])
    assert ranks_of(scores, owners).tolist() == [2, 1, 2, 1]
    # video 0: its best caption has 0.8, video 1's best 0.7; video 1: its own 0.6, but caption 0 has 0.9
    assert video_to_text_ranks(scores.T, owners).tolist() == [1, 2]


def test_captions_may_come_in_any_order() -> None:
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.7, 0.6], [0.3, 0.4]], dtype=np.float32)
    order = np.array([2, 0, 3, 1])
    assert video_to_text_ranks(scores[order].T, np.array([0, 0, 1, 1])[order]).tolist() == [1, 2]


def test_an_identical_caption_elsewhere_is_left_out() -> None:
    scores = np.array([[0.9, 0.2, 0.1], [0.9, 0.8, 0.1], [0.1, 0.3, 0.2]], dtype=np.float32).T  # [videos, captions]
    owners = np.arange(3)
    assert video_to_text_ranks(scores, owners, ["a", "b", "c"]).tolist() == [2, 1, 1]
    assert video_to_text_ranks(scores, owners, ["a", "a", "c"]).tolist() == [1, 1, 1]


@given(MATRICES, st.randoms(use_true_random=False))
def test_the_order_of_the_items_changes_nothing(scores: np.ndarray, random: object) -> None:
    order = np.array(random.sample(range(len(scores)), len(scores)))  # type: ignore[attr-defined]
    right = np.arange(len(scores))
    place = np.argsort(order)  # where each item went
    assert (ranks_of(scores[:, order], place) == ranks_of(scores, right)).all()
    texts = [f"text {i // 2}" for i in right]
    moved = video_to_text_ranks(scores[:, order], order, [texts[i] for i in order])
    assert (moved == video_to_text_ranks(scores, right, texts)).all()


@given(MATRICES)
def test_ranks_lie_within_the_gallery_and_follow_the_sorted_row(scores: np.ndarray) -> None:
    ranks = ranks_of(scores, np.arange(len(scores)))
    for row, (rank, own) in enumerate(zip(ranks, np.diag(scores), strict=True)):
        assert np.sort(scores[row])[::-1][rank - 1] == own  # the last place that such a score can have
        assert rank == len(scores) or np.sort(scores[row])[::-1][rank] < own


@given(MATRICES)
def test_both_directions_agree_on_the_transposed_matrix(scores: np.ndarray) -> None:
    right = np.arange(len(scores))
    assert (video_to_text_ranks(scores, right) == ranks_of(scores, right)).all()


def test_figures_worked_out_by_hand() -> None:
    found = figures(np.array([1, 1, 3, 8, 12, 20]))
    values = {name: estimate.value for name, estimate in found.items()}
    assert values == pytest.approx({"R@1": 100 / 3, "R@5": 50, "R@10": 400 / 6, "MdR": 5.5, "MnR": 7.5})


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_figures_equal_numpy_and_lie_in_their_interval_bounds(ranks: list[int]) -> None:
    found = figures(np.array(ranks), replicates=20)
    assert found["MdR"].value == np.median(ranks)
    assert found["MnR"].value == pytest.approx(np.mean(ranks))
    assert found["R@5"].value == pytest.approx(100 * np.mean(np.array(ranks) <= 5))
    for name in ("MdR", "MnR"):
        assert min(ranks) <= found[name].low <= found[name].high <= max(ranks)


def test_the_interval_is_the_same_for_the_same_seed_and_narrows_with_more_queries() -> None:
    ranks = np.random.default_rng(1).integers(1, 20, 100)
    assert figures(ranks) == figures(ranks)
    assert figures(ranks) != figures(ranks, seed=1)
    many = figures(np.tile(ranks, 25))["R@10"]
    few = figures(ranks)["R@10"]
    assert many.value == few.value
    # a mean over 25 times as many queries has a fifth of the deviation
    assert (many.high - many.low) / (few.high - few.low) == pytest.approx(0.2, abs=0.06)


def test_captions_of_one_video_are_drawn_together() -> None:
    ranks = np.repeat([1, 20, 1, 20, 1, 20], 30)
    together = figures(ranks, np.repeat(np.arange(6), 30))["R@1"]
    alone = figures(ranks)["R@1"]
    assert together.value == alone.value == 50
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_mean_estimate_of_equal_values_is_certain() -> None:
    estimate = mean_estimate(np.full(5, 0.5))
    assert (estimate.low, estimate.value, estimate.high) == (0.5, 0.5, 0.5)


def test_json_has_one_decimal_and_the_intervals() -> None:
    result = as_json(figures(np.array([1, 2, 4])))
    assert result["R@1"] == 33.3
    assert set(result["ci95"]) == {"R@1", "R@5", "R@10", "MdR", "MnR"}


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((0, 3), dtype=np.float32),
        np.zeros(3, dtype=np.float32),
        np.zeros((2, 2), dtype=np.int64),
        np.array([[np.nan, 0], [0, 1]], dtype=np.float32),
    ],
)
def test_a_matrix_without_ranks_is_refused(scores: np.ndarray) -> None:
    with pytest.raises(InputError, match="similarity matrix"):
        ranks_of(scores, np.zeros(len(scores), dtype=np.int64))


def test_wrong_right_items_are_refused() -> None:
    scores = np.zeros((2, 2), dtype=np.float32)
    for right in (np.array([0]), np.array([0, 2]), np.array([-1, 0])):
        with pytest.raises(InputError, match="one right item"):
            ranks_of(scores, right)
    with pytest.raises(InputError, match="every video has a caption"):
        video_to_text_ranks(scores, np.array([0, 0]))
