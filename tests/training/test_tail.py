"""The last blocks as matrix products are the last blocks as convolutions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from vsearch.training import tail  # noqa: E402
from vsearch.training.backbone import CUT, Lite2  # noqa: E402
from vsearch.training.tail import tail_features  # noqa: E402


def network() -> Lite2:
    torch.manual_seed(0)
    made = Lite2()
    with torch.no_grad():  # as if it had learnt: statistics that are not 0 and 1
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2.0)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return made.eval()


def test_features_and_gradients_are_those_of_the_convolutions() -> None:
    made, maps = network(), torch.randn(3, 208, 9, 9)
    gradients = []
    features = []
    for way in (made.tail, lambda seen: tail_features(made, seen)):
        made.zero_grad()
        seen = maps.clone().requires_grad_()
        found = way(seen)
        (found * torch.linspace(-1, 1, 1280)).sum().backward()
        features.append(found.detach())
        parts = [p.grad.clone() for b in (*made.blocks[CUT:], made.head) for p in b.parameters()]
        gradients.append([seen.grad, *parts])
    assert torch.allclose(*features, atol=1e-4)
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4 * float(one.abs().max()) + 1e-5)


def test_under_autocast_it_computes_in_fewer_bits_and_answers_in_float32() -> None:
    made, maps = network(), torch.randn(2, 208, 9, 9)
    with torch.no_grad():
        exact = tail_features(made, maps)
        with torch.autocast("cpu", torch.bfloat16):
            rough = tail_features(made, maps)
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    assert float(torch.nn.functional.cosine_similarity(exact, rough).min()) > 0.99


def test_training_goes_on_after_an_evaluation() -> None:
    made, maps = network(), torch.randn(1, 208, 9, 9)
    tail._diagonals.cache_clear()
    with torch.inference_mode():
        tail_features(made, maps)
    tail_features(made, maps).sum().backward()
    assert made.head[0].weight.grad is not None
