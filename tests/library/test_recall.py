"""The lists of an inverted index hold what is asked for, however deep."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from vsearch.library import vectors
from vsearch.library.vectors import Base, Recipe
from vsearch.models.pooling import unit

COUNT, DIM, LISTS = 20_000, 32, 512


@pytest.fixture(scope="module")
def clustered() -> tuple[Base, np.ndarray]:
    """An index, and its vectors [N, D] in the order of their ids, which begin at 1."""
    chance = np.random.default_rng(1)
    topics = unit(chance.standard_normal((100, DIM)))
    around = topics[chance.integers(len(topics), size=COUNT)] + 0.15 * chance.standard_normal((COUNT, DIM))
    halves = unit(around.astype(np.float32)).astype(np.float16)

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield np.arange(1, COUNT + 1), halves

    recipe = Recipe("ivf", LISTS)
    return Base.of(vectors.build(recipe, DIM, COUNT, chunks), recipe), halves.astype(np.float32)


@pytest.mark.parametrize("one_in", [1, 10])
@pytest.mark.parametrize("k", [10, 100, 400, 1000])
def test_recall_does_not_fall_with_depth(clustered: tuple[Base, np.ndarray], k: int, one_in: int) -> None:
    base, held = clustered
    allowed = None if one_in == 1 else np.arange(1, COUNT + 1, one_in)
    shares = []
    for query in held[7::2001]:
        scores = held @ query
        if allowed is not None:
            scores[np.setdiff1d(np.arange(COUNT), allowed - 1)] = -2
        nearest = np.argsort(-scores)[:k] + 1
        shares.append(np.isin(nearest, base.propose(query[None], k, allowed)).mean())
    assert np.mean(shares) >= 0.98
