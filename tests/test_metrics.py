"""Ranks, recall and accuracy computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vsearch.errors import InputError
from vsearch.metrics import accuracy, ranks, recall_at, summarize


def test_tie_counts_against_the_query() -> None:
    similarity = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.3, 0.2, 0.1]], np.float32)
    found = ranks(similarity, np.arange(3))
    assert found.tolist() == [1, 2, 3] and found.dtype == np.int64
    assert recall_at(found, 1) == pytest.approx(100 / 3)
    assert summarize(found) == pytest.approx({"R@1": 100 / 3, "R@5": 100, "R@10": 100, "MdR": 2, "MnR": 2})


def test_negative_infinity_leaves_an_item_out() -> None:
    assert ranks(np.array([[0.9, 0.5], [-np.inf, 0.5]], np.float32), np.array([1, 1])).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("similarity", "target"),
    [
        (np.zeros((2, 3)), np.array([0])),
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.zeros((2, 3)), np.array([0, -1])),
        (np.zeros(3), np.array([0])),
        (np.zeros((0, 3)), np.array([], np.int64)),
        (np.zeros((1, 3), np.int64), np.array([0])),
        (np.array([[0.1, np.nan]]), np.array([0])),
        (np.array([[np.inf, 0.1]]), np.array([0])),
        (np.array([[-np.inf, 0.1]]), np.array([0])),
    ],
)
def test_unusable_matrix_is_an_error(similarity: np.ndarray, target: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError):
        ranks(similarity, target)


def test_accuracy_is_the_share_of_best_columns_that_are_true() -> None:
    assert accuracy(np.array([[0.1, 0.9], [0.8, 0.2]], np.float32), np.array([1, 1])) == 50.0
