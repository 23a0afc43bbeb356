"""ITC, soft targets and positives of one phrase."""

import math

import pytest

torch = pytest.importorskip("torch")

from vsearch.training.losses import itc, positive_targets, soft_targets  # noqa: E402


def test_items_of_one_phrase_are_positives_of_each_other() -> None:
    targets = positive_targets(torch.tensor([4, 7, 4]))
    assert torch.allclose(targets, torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]))


def test_items_without_a_phrase_are_positives_of_themselves_alone() -> None:
    assert torch.equal(positive_targets(torch.tensor([-1, -1, -1])), torch.eye(3))


def test_soft_targets_keep_rows_that_sum_to_one_and_favour_alike_captions() -> None:
    judge = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1]]), dim=-1)
    targets = soft_targets(torch.eye(3), judge, share=0.3, temperature=0.05)
    assert torch.allclose(targets.sum(1), torch.ones(3))
    assert targets[0, 1] > 0.1 > targets[0, 2]


def test_no_soft_share_leaves_the_targets_alone() -> None:
    assert torch.equal(soft_targets(torch.eye(2), torch.eye(2), 0, 0.05), torch.eye(2))


def test_itc_of_indifferent_vectors_is_the_log_of_the_batch() -> None:
    same = torch.ones(5, 1)
    loss = itc(same, same, torch.eye(5), torch.tensor(20.0))
    assert float(loss) == pytest.approx(math.log(5), abs=1e-5)


def test_itc_of_perfect_matches_is_near_zero_and_of_a_shuffle_large() -> None:
    vectors = torch.eye(4)
    scale = torch.tensor(20.0)
    assert float(itc(vectors, vectors, torch.eye(4), scale)) < 1e-6
    assert float(itc(vectors, vectors.roll(1, 0), torch.eye(4), scale)) > 10


def test_a_swap_inside_a_phrase_costs_nothing() -> None:
    text, scale = torch.eye(3), torch.tensor(20.0)
    swapped = text[[1, 0, 2]]
    alike = positive_targets(torch.tensor([1, 1, 2]))
    assert float(itc(text, swapped, alike, scale)) == pytest.approx(float(itc(text, text, alike, scale)), abs=1e-5)
    assert float(itc(text, swapped, torch.eye(3), scale)) > float(itc(text, text, torch.eye(3), scale)) + 5
