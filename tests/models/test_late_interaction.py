from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.models.late_interaction import late_scores, mix_scores
from vsearch.models.pooling import mean_pool, unit

DIM = 8


def clip(length: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng([seed, length]).normal(size=(length, DIM)).astype(np.float32))


QUERY = clip(1, 99)[0]
lengths = st.lists(st.integers(1, 7), min_size=1, max_size=5)
seeds = st.integers(0, 1000)


@given(lengths=lengths, seed=seeds)
def test_scenes_score_the_same_together_and_alone(lengths: list[int], seed: int) -> None:
    scenes = [clip(length, seed + at) for at, length in enumerate(lengths)]
    alone = [late_scores(QUERY, [scene])[0] for scene in scenes]
    np.testing.assert_allclose(late_scores(QUERY, scenes), alone, atol=1e-6)


@given(seed=seeds)
def test_scene_of_one_frame_scores_its_inner_product(seed: int) -> None:
    frame = clip(1, seed)
    np.testing.assert_allclose(late_scores(QUERY, [frame]), frame @ QUERY, atol=1e-6)


@given(length=st.integers(1, 7), seed=seeds)
def test_order_of_frames_does_not_change_the_score(length: int, seed: int) -> None:
    frames = clip(length, seed)
    shuffled = frames[np.random.default_rng(seed).permutation(length)]
    np.testing.assert_allclose(late_scores(QUERY, [frames]), late_scores(QUERY, [shuffled]), atol=1e-6)


@given(length=st.integers(1, 7), seed=seeds)
def test_duplicated_frames_do_not_change_the_score(length: int, seed: int) -> None:
    frames = clip(length, seed)
    twice = np.concatenate([frames, frames])
    np.testing.assert_allclose(late_scores(QUERY, [frames]), late_scores(QUERY, [twice]), atol=1e-6)


@given(length=st.integers(1, 7), seed=seeds)
def test_score_equals_the_formula(length: int, seed: int) -> None:
    frames = clip(length, seed)
    scores = (frames @ QUERY).astype(np.float64)
    pooled = (np.exp(scores / 0.25) / np.exp(scores / 0.25).sum()) @ frames
    expected = pooled @ QUERY / np.linalg.norm(pooled)
    np.testing.assert_allclose(late_scores(QUERY, [frames], temperature=0.25), [expected], atol=1e-5)


@given(lengths=lengths, seed=seeds)
def test_infinite_temperature_is_mean_pooling(lengths: list[int], seed: int) -> None:
    scenes = [clip(length, seed + at) for at, length in enumerate(lengths)]
    scores = late_scores(QUERY, scenes, temperature=float("inf"))
    np.testing.assert_allclose(scores, mean_pool(scenes, DIM) @ QUERY, atol=1e-5)


def test_tiny_temperature_is_the_best_frame_without_overflow() -> None:
    frames = clip(5, 3)
    np.testing.assert_allclose(late_scores(QUERY, [frames], temperature=1e-4), [(frames @ QUERY).max()], atol=1e-3)


def test_half_precision_frames_give_float32_scores() -> None:
    scenes = [clip(4, 1), clip(2, 2)]
    scores = late_scores(QUERY, [scene.astype(np.float16) for scene in scenes])  # type: ignore[misc]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, late_scores(QUERY, scenes), atol=2e-3)


def test_short_moment_hidden_by_the_mean_ranks_first() -> None:
    moment = np.tile(-QUERY, (9, 1)) * 0.3 + clip(9, 4) * 0.1
    moment = unit(np.concatenate([moment, QUERY[None]]))
    bland = unit(np.tile(QUERY, (10, 1)) * 0.2 + clip(10, 5))
    recall = mean_pool([moment, bland], DIM) @ QUERY
    late = late_scores(QUERY, [moment, bland])
    assert recall[0] < recall[1]
    assert late[0] > late[1]


def test_no_scenes_give_no_scores() -> None:
    assert late_scores(QUERY, []).shape == (0,)


def test_mix_scores_interpolates_linearly() -> None:
    itc = np.array([0.1, 0.3], dtype=np.float32)
    np.testing.assert_array_equal(mix_scores(itc, itc, 0.37), itc)
    late = np.array([0.5, 0.3], dtype=np.float32)
    np.testing.assert_array_equal(mix_scores(itc, late, 0), itc)
    np.testing.assert_allclose(mix_scores(itc, late, 0.5), [0.3, 0.3], atol=1e-7)
    np.testing.assert_allclose(mix_scores(itc, late, 1), late, atol=1e-7)


def test_invalid_arguments_raise_value_error() -> None:
    with pytest.raises(ValueError, match="scene 1 has no frames"):
        late_scores(QUERY, [clip(2, 0), np.empty((0, DIM), dtype=np.float32)])
    for temperature in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="temperature must be positive"):
            late_scores(QUERY, [clip(1, 0)], temperature=temperature)
    with pytest.raises(ValueError, match="weight must be from 0 to 1"):
        mix_scores(np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.float32), 1.5)
