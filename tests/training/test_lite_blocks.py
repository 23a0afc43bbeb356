"""Blocks with their own backward pass equal the network's convolutions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from vsearch.training.backbone import CUT, Lite, Lite0, Lite2  # noqa: E402
from vsearch.training.lite_blocks import features_from, features_of, is_slow  # noqa: E402


def learnt(made: Lite) -> Lite:
    """The network with statistics other than 0 and 1, as after training."""
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2.0)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return made.eval()


@pytest.fixture
def network() -> Lite:
    torch.manual_seed(0)
    return learnt(Lite2())


def from_block(network: Lite, maps: Tensor, first: int) -> Tensor:
    """Features by the network's own modules."""
    for block in network.blocks[first:]:
        maps = block(maps)
    return network.pooled(maps)


def assert_same(network: Lite, given: Tensor, ways: list, *, each: bool = False) -> None:
    """Compare features and the gradients of the input and of all parameters; each: element by element."""
    features, gradients = [], []
    for way in ways:
        network.zero_grad()
        seen = given.clone().requires_grad_()
        found = way(seen)
        (found * torch.linspace(-1, 1, 1280)).sum().backward()
        features.append(found.detach())
        parts = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
        gradients.append({"given": seen.grad, **parts})
    assert torch.allclose(*features, atol=1e-4)
    one, other = gradients
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        if each:
            bound = 1e-4 * float(gradient.abs().max()) + 1e-5
            assert torch.allclose(gradient, other[name], rtol=1e-3, atol=bound), name
        # through many blocks a rounding error can put a point on the other side of a kink of relu6: not each alone
        assert float((gradient - other[name]).norm()) <= 0.01 * float(gradient.norm()) + 1e-6, name


@pytest.mark.parametrize(("first", "channels", "side"), [(CUT, 208, 9), (14, 120, 17)])
def test_features_and_gradients_equal_convolutions(network: Lite, first: int, channels: int, side: int) -> None:
    """Blocks from 14 on include a stride of two and padding on one side."""
    maps = torch.randn(2, channels, side, side)
    ways = [lambda seen: from_block(network, seen, first), lambda seen: features_from(network, seen, first)]
    assert_same(network, maps, ways, each=first == CUT)


def test_whole_network_equals_convolutions(network: Lite) -> None:
    for whole in (network, learnt(Lite0())):
        side = 224 if isinstance(whole, Lite0) else 260
        pixels = torch.rand(1, 3, side, side) * 255
        assert_same(whole, pixels, [whole, lambda seen, whole=whole: features_of(whole, seen)])


def test_frozen_kernels_do_not_change_other_gradients(network: Lite) -> None:
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not is_slow(name))
    maps = torch.randn(2, 208, 9, 9)
    ways = [lambda seen: from_block(network, seen, CUT), lambda seen: features_from(network, seen, CUT)]
    assert_same(network, maps, ways)
    assert network.blocks[CUT].depthwise[0].weight.grad is None


def test_autocast_computes_in_bfloat16_and_returns_float32(network: Lite) -> None:
    maps = torch.randn(2, 208, 9, 9)
    with torch.no_grad():
        exact = features_from(network, maps)
        with torch.autocast("cpu", torch.bfloat16):
            rough = features_from(network, maps)
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    assert float(nn.functional.cosine_similarity(exact, rough).min()) > 0.99


def test_training_continues_after_an_evaluation(network: Lite) -> None:
    maps = torch.randn(1, 208, 9, 9)
    with torch.inference_mode():
        features_from(network, maps)
    features_from(network, maps).sum().backward()
    assert network.head[0].weight.grad is not None
