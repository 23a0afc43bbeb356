"""Hard negatives of the matching head, and re-ranking."""

import pytest

torch = pytest.importorskip("torch")

from vsearch.training.matching import hard_negatives, reranked  # noqa: E402


def test_hard_negatives_are_similar_and_never_positives() -> None:
    torch.manual_seed(0)
    similarity = torch.tensor([[0.9, 0.8, 0.0, 0.1], [0.2, 0.9, 0.8, 0.1], [0.1, 0.1, 0.9, 0.9], [0.9, 0.0, 0.1, 0.9]])
    positives = torch.eye(4, dtype=torch.bool)
    positives[2, 3] = True
    drawn = torch.cat([hard_negatives(similarity, positives, torch.tensor(20.0), 2) for _ in range(50)], dim=1)
    for row in range(4):
        assert not positives[row][drawn[row]].any()
    first = [hard_negatives(similarity, positives, torch.tensor(20.0), 1)[0, 0].item() for _ in range(50)]
    assert first.count(1) > 45
    assert hard_negatives(similarity, torch.ones(4, 4, dtype=torch.bool), torch.tensor(1.0), 2).shape == (4, 0)


def test_items_below_the_candidates_keep_their_order() -> None:
    similarity = torch.tensor([[0.5, 0.4, 0.3, 0.2]])
    best = similarity.topk(2).indices
    scores = reranked(similarity, best, torch.tensor([[-40.0, 1.0]]), 0.1)
    assert scores.argsort(dim=1, descending=True).tolist() == [[1, 0, 2, 3]]
