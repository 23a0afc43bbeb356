"""The queue keeps what came last, the twin follows slowly, and the loss knows positives among queued pairs."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from vsearch.training.losses import itc, positive_targets  # noqa: E402
from vsearch.training.matching import hard_negatives, reranked  # noqa: E402
from vsearch.training.momentum import Entries, Queue, Twin, queue_itc, same_item  # noqa: E402


def entries(items: list[int], labels: list[int] | None = None, seed: int = 0) -> Entries:
    generator = torch.Generator().manual_seed(seed)

    def vectors(width: int) -> Any:
        return nn.functional.normalize(torch.randn(len(items), width, generator=generator), dim=1)

    labelled = torch.tensor(labels) if labels else torch.full((len(items),), -1)
    return Entries(vectors(8), vectors(8), vectors(4), torch.tensor(items), labelled)


def test_the_oldest_leave_first() -> None:
    queue = Queue(5, 8, 4)
    assert len(queue.entries().items) == 0
    queue.push(entries([1, 2, 3]))
    assert queue.entries().items.tolist() == [1, 2, 3]
    last = entries([4, 5, 6, 7], seed=1)
    queue.push(last)
    assert sorted(queue.entries().items.tolist()) == [3, 4, 5, 6, 7]
    assert torch.equal(queue.video[queue.items == 6][0], last.video[2])
    queue.push(entries(list(range(10, 22))))
    assert sorted(queue.entries().items.tolist()) == [17, 18, 19, 20, 21]


def test_the_twin_follows_and_never_learns() -> None:
    original = nn.Linear(2, 2)
    twin = Twin(original)
    before = twin.module.weight.clone()
    with torch.no_grad():
        original.weight += 1
    twin.follow(original, 0.9)
    assert torch.allclose(twin.module.weight, before + 0.1)
    assert not any(p.requires_grad for p in twin.parameters())


def test_positives_are_the_item_and_its_label() -> None:
    keys = entries([1, 2, 1, 9], [-1, 5, -1, 5])
    same = same_item(torch.tensor([1, 2]), torch.tensor([-1, 5]), keys)
    assert same.tolist() == [[True, False, True, False], [False, True, False, True]]


def test_with_an_empty_queue_and_no_twin_it_is_plain_itc() -> None:
    batch = entries([0, 1, 2, 3])
    scale = torch.tensor(10.0)
    options = {"distilled": 0.0, "soft_share": 0.0, "soft_temperature": 0.05}
    found = queue_itc(batch.text, batch.video, batch, Queue(4, 8, 4).entries(), scale, **options)
    assert found == pytest.approx(float(itc(batch.text, batch.video, positive_targets(batch.labels), scale)), rel=1e-5)
    # more wrong candidates can only make it harder
    queue = Queue(6, 8, 4)
    queue.push(entries([10, 11, 12], seed=4))
    assert queue_itc(batch.text, batch.video, batch, queue.entries(), scale, **options) > found


def test_hard_negatives_are_likely_ones_and_never_positives() -> None:
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


def test_what_was_not_recalled_stays_behind_in_order() -> None:
    similarity = torch.tensor([[0.5, 0.4, 0.3, 0.2]])
    best = similarity.topk(2).indices
    scores = reranked(similarity, best, torch.tensor([[-40.0, 1.0]]), 0.1)
    assert scores.argsort(dim=1, descending=True).tolist() == [[1, 0, 2, 3]]
