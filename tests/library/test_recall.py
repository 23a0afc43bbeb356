"""Searches of an inverted file index find the nearest vectors at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vsearch.library import probing, vectors
from vsearch.library.probing import nearest_by_steps
from vsearch.library.untyped import load_faiss
from vsearch.library.vectors import Base, Recipe
from vsearch.models.pooling import unit

COUNT, DIM, LISTS = 20_000, 32, 512


def around_topics(chance: np.random.Generator) -> np.ndarray:
    topics = unit(chance.standard_normal((100, DIM)))
    return topics[chance.integers(len(topics), size=COUNT)] + 0.15 * chance.standard_normal((COUNT, DIM))


def around_small_topics(chance: np.random.Generator) -> np.ndarray:
    """Small clusters: the nearest of a query are in many of them, at similar distances."""
    common = unit(chance.standard_normal((1, DIM)))
    topics = unit(common + unit(chance.standard_normal((400, DIM))))
    return topics[chance.integers(len(topics), size=COUNT)] + 0.1 * chance.standard_normal((COUNT, DIM))


def anywhere(chance: np.random.Generator) -> np.ndarray:
    return chance.standard_normal((COUNT, DIM))


@pytest.fixture(scope="module", params=[around_topics, around_small_topics, anywhere], ids=lambda made: made.__name__)
def indexed(request: pytest.FixtureRequest) -> tuple[Base, np.ndarray]:
    """An index, and its vectors [N, D] by id; ids start at 1."""
    halves = unit(request.param(np.random.default_rng(1)).astype(np.float32)).astype(np.float16)

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield np.arange(1, COUNT + 1), halves

    recipe = Recipe("ivf", LISTS)
    return Base.of(vectors.build(recipe, DIM, COUNT, chunks), recipe), halves.astype(np.float32)


@pytest.mark.parametrize("one_in", [1, 10])
@pytest.mark.parametrize("k", [10, 100, 400, 1000])
def test_recall_does_not_fall_with_depth(indexed: tuple[Base, np.ndarray], k: int, one_in: int) -> None:
    base, held = indexed
    allowed = None if one_in == 1 else np.arange(1, COUNT + 1, one_in)
    shares = []
    for query in held[7::2001]:
        scores = held @ query
        if allowed is not None:
            scores[np.setdiff1d(np.arange(COUNT), allowed - 1)] = -2
        nearest = np.argsort(-scores)[:k] + 1
        shares.append(np.isin(nearest, base.propose(query[None], k, allowed)).mean())
    assert np.mean(shares) >= 0.98


def test_search_that_repeats_lists_has_the_same_recall(indexed: tuple[Base, np.ndarray]) -> None:
    base, held = indexed
    faiss = load_faiss()

    def search(probes: int) -> np.ndarray:
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        return np.asarray(base.index.search(held[7:8], 150, params=parameters)[1])

    found = nearest_by_steps(search, 100, 4, LISTS)
    assert found is not None
    assert np.isin(np.argsort(-(held @ held[7]))[:100] + 1, found).mean() >= 0.98
    assert nearest_by_steps(lambda probes: search(probes) if probes < 8 else None, 100, 4, LISTS) is None


def test_search_stops_after_the_lists_with_the_nearest(
    indexed: tuple[Base, np.ndarray], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    base, held = indexed
    steps: list[int] = []
    compare = probing._compare

    def counted(*values: Any) -> tuple[np.ndarray, np.ndarray]:
        steps.append(values[3].shape[1])
        return compare(*values)

    monkeypatch.setattr(probing, "_compare", counted)
    base.propose(held[7:8], 10, None)
    assert sum(steps) <= LISTS
    if "around_topics" in request.node.name:
        assert sum(steps) <= LISTS // 8
