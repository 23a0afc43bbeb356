from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.indexer.sample import Sample, Sampler
from vsearch.indexer.scenes import split_shot
from vsearch.media import Pixels, Scene


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame whose picture is its time, in thousandths, so that tests see which frame was taken."""

    time: float
    end: float

    def small(self) -> Pixels:
        raise AssertionError("only the detector looks at these")

    def pixels(self) -> Pixels:
        return np.full((1, 1, 3), round(self.time * 10) % 256, np.uint8)

    def large(self) -> Pixels:
        return np.full((2, 2, 3), round(self.time * 10) % 256, np.uint8)


def sample(times: list[float], cuts: set[float], end: float, **options: Any) -> tuple[list[Sample], list[Scene]]:
    sampler = Sampler(**options)
    latency = options.get("latency", 2)
    items = []
    for i, time in enumerate(times):
        nxt = times[i + 1] if i + 1 < len(times) else end
        cut = i >= latency and times[i - latency] in cuts
        items += list(sampler.push(Frame(time, nxt), cut))
    items += list(sampler.finish())
    return [i for i in items if isinstance(i, Sample)], [i for i in items if isinstance(i, Scene)]


def ticks(seconds: float, fps: int = 10) -> list[float]:
    return [i / fps for i in range(round(seconds * fps))]


def test_the_grid_starts_with_each_shot() -> None:
    samples, scenes = sample(ticks(5), {2.2}, 5.0)
    assert [s.time for s in samples] == pytest.approx([0.5, 1.5, 2.7, 3.7, 4.7])
    assert [int(s.pixels[0, 0, 0]) for s in samples if s.pixels is not None] == [5, 15, 27, 37, 47]
    assert scenes == [Scene(0.0, 2.2), Scene(2.2, 5.0)]


def test_the_first_sample_of_a_shot_and_every_third_come_large() -> None:
    samples, _ = sample(ticks(9), {5.2, 5.6}, 9.0, shortest=0.3, large_every=3)
    large = [(round(s.time, 1), int(s.large[0, 0, 0])) for s in samples if s.large is not None]
    assert large == [(0.5, 5), (3.5, 35), (5.4, 54), (6.1, 61)]
    assert all(s.large is None for s in sample(ticks(9), {5.2}, 9.0)[0])


def test_a_picture_that_stays_is_sent_once() -> None:
    samples, scenes = sample([0.0, 4.0], set(), 6.0)
    assert [s.time for s in samples] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert [s.pixels is None for s in samples] == [False, True, True, True, False, True]
    assert scenes == [Scene(0.0, 6.0)]


def test_a_short_shot_gives_its_middle() -> None:
    samples, _ = sample(ticks(3), {0.8, 1.6}, 3.0, interval=2.0)
    assert [s.time for s in samples] == pytest.approx([0.4, 1.2, 2.6])
    assert [int(s.pixels[0, 0, 0]) for s in samples if s.pixels is not None] == [4, 12, 26]


def test_a_single_frame_is_a_scene() -> None:
    samples, scenes = sample([0.0], set(), 0.04)
    assert [s.time for s in samples] == [0.02] and samples[0].pixels is not None
    assert scenes == [Scene(0.0, 0.04)]


def test_flashes_join_their_neighbours() -> None:
    inside, scenes = sample(ticks(5), {2.0, 2.2}, 5.0)
    assert scenes == [Scene(0.0, 2.2), Scene(2.2, 5.0)]
    assert [s.time for s in inside] == pytest.approx([0.5, 1.5, 2.7, 3.7, 4.7])
    assert sample(ticks(3), {0.3}, 3.0)[1] == [Scene(0.0, 3.0)]  # at the beginning: with what follows
    assert sample(ticks(3), {2.7}, 3.0)[1] == [Scene(0.0, 3.0)]  # at the end: with what came before


def test_long_shots_are_cut_into_equal_parts() -> None:
    assert split_shot(1.0, 11.0) == [Scene(1.0, 11.0)]
    assert split_shot(0.0, 25.0) == [Scene(0.0, 25 / 3), Scene(25 / 3, 50 / 3), Scene(50 / 3, 25.0)]


def test_an_interval_that_would_leave_scenes_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="interval"):
        Sampler(interval=6.0)


@given(
    st.lists(st.tuples(st.floats(0.02, 3.0), st.booleans()), min_size=1, max_size=80),
    st.floats(0.0, 2.0),
    st.sampled_from([0.2, 1.0, 2.0, 5.0]),
)
def test_scenes_tile_and_none_is_empty(steps: list[tuple[float, bool]], first: float, interval: float) -> None:
    times, cuts, now = [], set(), first
    for step, cut in steps:
        times.append(now)
        if cut and now > first:
            cuts.add(now)
        now += step
    samples, scenes = sample(times, cuts, now, interval=interval)
    assert scenes[0].start == first and scenes[-1].end == now
    assert all(a.end == b.start for a, b in itertools.pairwise(scenes))
    assert [s.time for s in samples] == sorted(s.time for s in samples)
    for scene in scenes:
        assert any(scene.start <= s.time < scene.end for s in samples)
        assert scene.duration <= 10.0 + 1e-6
        assert scene.duration >= 0.5 - 1e-6 or len(scenes) == 1
