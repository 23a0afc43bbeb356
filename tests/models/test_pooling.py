from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vsearch.models.pooling import mean_pool, unit

frames = arrays(np.float32, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(0.125, 8, width=32))


@given(frames)
def test_the_mean_is_of_unit_length_whatever_the_lengths_of_the_frames(scene: np.ndarray) -> None:
    assert np.allclose(np.linalg.norm(mean_pool([scene], 4), axis=-1), 1, atol=1e-5)


@given(frames)
def test_the_order_and_scale_of_frames_do_not_count(scene: np.ndarray) -> None:
    np.testing.assert_allclose(mean_pool([scene], 4), mean_pool([scene[::-1] * 3], 4), atol=1e-5)


@given(st.lists(frames, min_size=1, max_size=4))
def test_a_batch_of_unequal_scenes_equals_the_scenes_one_by_one(scenes: list[np.ndarray]) -> None:
    together = mean_pool(scenes, 4)
    np.testing.assert_array_equal(together, np.concatenate([mean_pool([scene], 4) for scene in scenes]))


def test_a_row_of_zeros_stays_finite() -> None:
    assert np.isfinite(unit(np.zeros((1, 4), dtype=np.float32))).all()
