"""Searching on a GPU: the same as on a CPU where there is one, and where there is none nobody notices."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from vsearch.library.gpu import AFTER, WIDEST, GpuCopy, Search, gpus
from vsearch.library.vectors import Base, Chunks, Recipe, best, build, on_gpu
from vsearch.media import Vectors

DIM, COUNT = 16, 3000


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    made = np.random.default_rng(1).standard_normal((COUNT, DIM)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def chunks_of(vectors: Vectors) -> Chunks:
    return lambda: iter([(np.arange(len(vectors), dtype=np.int64) * 3, vectors.astype(np.float16))])


RECIPES = [Recipe("flat"), Recipe("ivf", 16)]
every = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.kind)


@every
@pytest.mark.skipif(gpus() == 0, reason="needs faiss-gpu and a GPU")
def test_gpu_proposes_the_same_candidates_as_the_cpu(recipe: Recipe, vectors: Vectors) -> None:
    index = build(recipe, DIM, COUNT, chunks_of(vectors))
    cpu = Base(index, recipe, np.empty(0, dtype=np.int64))
    gpu = replace(cpu, gpu=GpuCopy(partial(on_gpu, index, recipe), after=0))
    halves = vectors.astype(np.float16).astype(np.float32)
    for k in (1, 10, 100):
        found = []
        for base in (cpu, gpu):
            ids = base.propose(vectors[:20], k, None)
            found.append(best(vectors[:20], ids, halves[ids // 3], k)[1])  # as a library answers
        np.testing.assert_array_equal(*found)


def recorded(calls: list[int]) -> Search:
    def search(queries: Vectors, k: int, probes: int) -> np.ndarray:
        calls.append(k)
        return np.full((len(queries), k), 42, dtype=np.int64)

    return search


def test_gpu_copy_is_made_only_after_many_searches(vectors: Vectors) -> None:
    recipe, calls = Recipe("flat"), list[int]()
    index = build(recipe, DIM, COUNT, chunks_of(vectors))
    base = replace(Base.of(index, recipe), gpu=GpuCopy(lambda: recorded(calls)))
    for _ in range(AFTER):
        assert base.propose(vectors[:1], 1, None).tolist() == [0]
    assert base.propose(vectors[:1], 5, None).tolist() == [42]
    assert calls == [5]


def test_filtered_and_wide_searches_stay_on_the_cpu(vectors: Vectors) -> None:
    recipe, calls = Recipe("flat"), list[int]()
    index = build(recipe, DIM, COUNT, chunks_of(vectors))
    base = replace(Base.of(index, recipe), gpu=GpuCopy(lambda: recorded(calls), after=0))
    assert base.propose(vectors[:1], 1, np.array([0, 3, 6])).tolist() == [0]
    assert replace(base, hidden=np.array([3])).propose(vectors[:1], 1, None).tolist() == [0]
    assert len(base.propose(vectors[:1], WIDEST + 1, None)) == WIDEST + 1
    assert calls == []


def test_failed_gpu_is_not_used_again_and_the_cpu_searches(vectors: Vectors) -> None:
    asked = []

    def fail() -> Search:
        asked.append(1)
        raise RuntimeError("CUDA error: out of memory")

    recipe = Recipe("flat")
    base = replace(Base.of(build(recipe, DIM, COUNT, chunks_of(vectors)), recipe), gpu=GpuCopy(fail, after=0))
    for row in range(3):
        assert base.propose(vectors[row : row + 1], 1, None).tolist() == [3 * row]
    assert asked == [1]


@pytest.mark.skipif(gpus() > 0, reason="there is a GPU")
@every
def test_no_copy_without_a_gpu(recipe: Recipe, vectors: Vectors) -> None:
    assert on_gpu(build(recipe, DIM, COUNT, chunks_of(vectors)), recipe) is None
