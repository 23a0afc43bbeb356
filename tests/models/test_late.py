from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.models.late_interaction import POOLS, Pool, late_scores, mix_scores
from vsearch.models.pooling import mean_pool, unit

DIM = 8
every_pool = pytest.mark.parametrize("pool", POOLS)


def clip(length: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng([seed, length]).normal(size=(length, DIM)).astype(np.float32))


QUERY = clip(1, 99)[0]
lengths = st.lists(st.integers(1, 7), min_size=1, max_size=5)
seeds = st.integers(0, 1000)


@every_pool
@given(lengths=lengths, seed=seeds)
def test_scenes_of_unequal_length_together_equal_the_scenes_one_by_one(
    pool: Pool, lengths: list[int], seed: int
) -> None:
    scenes = [clip(length, seed + at) for at, length in enumerate(lengths)]
    alone = [late_scores(QUERY, [scene], pool=pool)[0] for scene in scenes]
    np.testing.assert_allclose(late_scores(QUERY, scenes, pool=pool), alone, atol=1e-6)


@every_pool
@given(seed=seeds)
def test_one_frame_gives_its_inner_product(pool: Pool, seed: int) -> None:
    frame = clip(1, seed)
    np.testing.assert_allclose(late_scores(QUERY, [frame], pool=pool), frame @ QUERY, atol=1e-6)


@every_pool
@given(length=st.integers(1, 7), seed=seeds)
def test_the_order_of_frames_does_not_count(pool: Pool, length: int, seed: int) -> None:
    frames = clip(length, seed)
    shuffled = frames[np.random.default_rng(seed).permutation(length)]
    np.testing.assert_allclose(
        late_scores(QUERY, [frames], pool=pool), late_scores(QUERY, [shuffled], pool=pool), atol=1e-6
    )


@every_pool
@given(length=st.integers(1, 7), seed=seeds)
def test_frames_seen_twice_count_once(pool: Pool, length: int, seed: int) -> None:
    frames = clip(length, seed)
    twice = np.concatenate([frames, frames])
    np.testing.assert_allclose(
        late_scores(QUERY, [frames], pool=pool), late_scores(QUERY, [twice], pool=pool), atol=1e-6
    )


@given(length=st.integers(1, 7), seed=seeds)
def test_by_hand(length: int, seed: int) -> None:
    frames = clip(length, seed)
    scores = (frames @ QUERY).astype(np.float64)
    weights = np.exp(scores / 0.25) / np.exp(scores / 0.25).sum()
    pooled = weights @ frames
    expected = {
        "max": scores.max(),
        "softmax": weights @ scores,
        "logmeanexp": 0.25 * np.log(np.exp(scores / 0.25).mean()),
        "attention": pooled @ QUERY / np.linalg.norm(pooled),
    }
    for pool in POOLS:
        got = late_scores(QUERY, [frames], pool=pool, temperature=0.25)
        np.testing.assert_allclose(got, [expected[pool]], atol=1e-5)


@given(lengths=lengths, seed=seeds)
def test_without_preference_attention_is_mean_pooling(lengths: list[int], seed: int) -> None:
    scenes = [clip(length, seed + at) for at, length in enumerate(lengths)]
    scores = late_scores(QUERY, scenes, pool="attention", temperature=float("inf"))
    np.testing.assert_allclose(scores, mean_pool(scenes, DIM) @ QUERY, atol=1e-5)


@every_pool
def test_a_tiny_temperature_is_the_best_frame_and_overflows_nothing(pool: Pool) -> None:
    frames = clip(5, 3)
    np.testing.assert_allclose(
        late_scores(QUERY, [frames], pool=pool, temperature=1e-4), [(frames @ QUERY).max()], atol=1e-3
    )


@every_pool
def test_an_endless_temperature_is_finite(pool: Pool) -> None:
    assert np.isfinite(late_scores(QUERY, [clip(5, 3)], pool=pool, temperature=float("inf"))).all()


@every_pool
def test_stored_half_precision_is_read(pool: Pool) -> None:
    scenes = [clip(4, 1), clip(2, 2)]
    halves = [scene.astype(np.float16) for scene in scenes]
    scores = late_scores(QUERY, halves, pool=pool)  # type: ignore[arg-type]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, late_scores(QUERY, scenes, pool=pool), atol=2e-3)


def test_a_short_moment_that_the_mean_hides_is_found() -> None:
    moment = np.tile(-QUERY, (9, 1)) * 0.3 + clip(9, 4) * 0.1
    moment = unit(np.concatenate([moment, QUERY[None]]))
    bland = unit(np.tile(QUERY, (10, 1)) * 0.2 + clip(10, 5))
    recall = mean_pool([moment, bland], DIM) @ QUERY
    late = late_scores(QUERY, [moment, bland], pool="attention")
    assert recall[0] < recall[1]
    assert late[0] > late[1]


def test_no_candidates_give_no_scores() -> None:
    assert late_scores(QUERY, []).shape == (0,)


def test_mixing_keeps_what_both_agree_on() -> None:
    itc = np.array([0.1, 0.3], dtype=np.float32)
    np.testing.assert_array_equal(mix_scores(itc, itc, 0.37), itc)
    late = np.array([0.5, 0.3], dtype=np.float32)
    np.testing.assert_array_equal(mix_scores(itc, late, 0), itc)
    np.testing.assert_allclose(mix_scores(itc, late, 0.5), [0.3, 0.3], atol=1e-7)
    np.testing.assert_allclose(mix_scores(itc, late, 1), late, atol=1e-7)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="scene 1 has no frames"):
        late_scores(QUERY, [clip(2, 0), np.empty((0, DIM), dtype=np.float32)])
    with pytest.raises(ValueError, match="pool must be one of max, softmax"):
        late_scores(QUERY, [clip(1, 0)], pool="mean")  # type: ignore[arg-type]
    for temperature in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="temperature must be positive"):
            late_scores(QUERY, [clip(1, 0)], temperature=temperature)
    with pytest.raises(ValueError, match="weight must be from 0 to 1"):
        mix_scores(np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.float32), 1.5)
