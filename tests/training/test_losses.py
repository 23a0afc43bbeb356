"""ITC, soft targets and positives with a common label."""

import math

import pytest

torch = pytest.importorskip("torch")

from vsearch.training.losses import itc, positive_targets, soft_targets  # noqa: E402


def test_items_with_one_label_are_positives_of_each_other() -> None:
    targets = positive_targets(torch.tensor([4, 7, 4]))
    assert torch.allclose(targets, torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]))


def test_items_without_a_label_are_their_only_positives() -> None:
    assert torch.equal(positive_targets(torch.tensor([-1, -1, -1])), torch.eye(3))


def test_soft_target_rows_sum_to_one_and_favour_similar_captions() -> None:
    sentences = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1]]), dim=-1)
    targets = soft_targets(torch.eye(3), sentences, share=0.3, temperature=0.05)
    assert torch.allclose(targets.sum(1), torch.ones(3))
    assert targets[0, 1] > 0.1 > targets[0, 2]


def test_soft_share_of_zero_keeps_targets() -> None:
    assert torch.equal(soft_targets(torch.eye(2), torch.eye(2), 0, 0.05), torch.eye(2))


def test_itc_of_equal_vectors_is_the_log_of_the_batch_size() -> None:
    same = torch.ones(5, 1)
    loss = itc(same, same, torch.eye(5), torch.tensor(20.0))
    assert float(loss) == pytest.approx(math.log(5), abs=1e-5)


def test_itc_of_perfect_matches_is_near_zero_and_of_a_shuffle_large() -> None:
    vectors = torch.eye(4)
    scale = torch.tensor(20.0)
    assert float(itc(vectors, vectors, torch.eye(4), scale)) < 1e-6
    assert float(itc(vectors, vectors.roll(1, 0), torch.eye(4), scale)) > 10


def test_swap_within_a_label_has_no_cost() -> None:
    text, scale = torch.eye(3), torch.tensor(20.0)
    swapped = text[[1, 0, 2]]
    labelled = positive_targets(torch.tensor([1, 1, 2]))
    assert float(itc(text, swapped, labelled, scale)) == pytest.approx(
        float(itc(text, text, labelled, scale)), abs=1e-5
    )
    assert float(itc(text, swapped, torch.eye(3), scale)) > float(itc(text, text, torch.eye(3), scale)) + 5
