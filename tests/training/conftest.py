"""Small generated sets and towers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.made_data import write_data


@pytest.fixture
def made_up() -> Any:
    """A function (name, items, labelled) -> SetData whose sentences and features depend on a common topic."""
    torch = pytest.importorskip("torch")
    from vsearch.training.batches import SetData
    from vsearch.training.data import Item, PictureSet
    from vsearch.training.features import FeatureCache

    def make(name: str = "msrvtt", items: int = 24, labelled: bool = False) -> SetData:
        rng = np.random.default_rng(7)
        topics = rng.standard_normal((items, 384)).astype(np.float32)
        topics /= np.linalg.norm(topics, axis=1, keepdims=True)
        features = np.abs(topics @ rng.standard_normal((384, 2560)))[:, None].repeat(2, 0).repeat(2, 1)
        listed = tuple(
            Item(f"video{i}", (2 * i, 2 * i + 1), (f"first of {i}", f"second of {i}"), i // 3 if labelled else -1)
            for i in range(items)
        )
        pictures = PictureSet(name, (Path("none"),), tuple(str(i) for i in range(2 * items)), listed)
        maps = tuple(np.zeros((2 * items, 208, 9, 9), np.float16) for _ in range(2))
        cache = FeatureCache(features.astype(np.float16), maps, np.ones(2 * items, np.bool_))
        sentences = torch.from_numpy(topics.repeat(2, 0)).half()
        ids = [[1, 2 + i % 40, 3] for i in range(2 * items)]
        return SetData(pictures, cache, sentences, np.arange(0, 2 * items + 1, 2), ids)

    return make


@pytest.fixture
def fresh_towers() -> Any:
    """A function () -> Towers, always with the same random weights."""
    torch = pytest.importorskip("torch")
    from vsearch.training.backbone import Lite2
    from vsearch.training.minilm import MiniLM
    from vsearch.training.towers import PictureTower, TextTower, Towers

    def make() -> Towers:
        torch.manual_seed(0)
        vectors = torch.nn.functional.normalize(torch.randn(1000, 384), dim=-1)
        return Towers(PictureTower(Lite2(), vectors, hidden=16), TextTower(MiniLM(words=50, positions=8), hidden=16))

    return make


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of sets in the layout that training reads (made_data.py)."""
    return write_data(tmp_path / "data")
