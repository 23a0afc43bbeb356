"""The linear classifier finds what features know, and nothing where they know nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vsearch.training.data import Item, PictureSet  # noqa: E402
from vsearch.training.probe import fit, probe  # noqa: E402


def labelled(items: range, classes: int) -> PictureSet:
    listed = tuple(Item(str(place), (place,), ("words",), place % classes) for place in items)
    return PictureSet("places", (Path("none"),), tuple(map(str, range(80))), listed)


def test_features_that_tell_the_labels_apart_do_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((80, 2, 12)).astype(np.float32)
    telling = noise.copy()
    telling[np.arange(80), :, np.arange(80) % 4] += 6
    train, held = labelled(range(60), 4), labelled(range(60, 80), 4)
    assert probe(train, held, telling, 0.1) == 100.0
    assert probe(train, held, noise, 0.1) < 60


def test_decay_shrinks_the_weights() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(40, 6), torch.arange(40) % 3
    sizes = [float(fit(features, labels, 3, decay)[0].norm()) for decay in (0.01, 0.1, 1.0)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0] / 2
