"""The cut detector agrees with its reference, PySceneDetect's AdaptiveDetector."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from vsearch.indexer.scenes import CutDetector, hue_saturation_value, split_shot
from vsearch.media import Pixels


def noisy_shots(seed: int) -> list[Pixels]:
    """Frames, BGR: short shots of a colour with noise that moves, some nearly alike, one of a single frame."""
    rng = np.random.default_rng(seed)
    frames = []
    for length in rng.integers(1, 14, 12):
        colour, noise, drift = rng.integers(0, 256, 3), rng.integers(0, 60), rng.integers(0, 12)
        for number in range(length):
            picture = colour + number * drift + rng.integers(-noise - 1, noise + 1, (128, 128, 3))
            frames.append(np.clip(picture, 0, 255).astype(np.uint8))
    return frames


@pytest.mark.parametrize("blue", range(0, 256, 64))
def test_hsv_conversion_equals_opencv_for_every_colour(blue: int) -> None:
    cv2 = pytest.importorskip("cv2")
    axes = np.meshgrid(np.arange(blue, blue + 64, 9), np.arange(256), np.arange(256), indexing="ij")
    picture = np.stack(axes, -1).astype(np.uint8).reshape(-1, 256, 3)
    expected = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    assert np.array_equal(hue_saturation_value(picture).transpose(1, 2, 0), expected)


@pytest.mark.parametrize("seed", range(4))
def test_cut_detector_finds_the_cuts_of_its_reference(seed: int) -> None:
    pytest.importorskip("scenedetect")
    from scenedetect.common import FrameTimecode
    from scenedetect.detectors import AdaptiveDetector

    reference = AdaptiveDetector(min_scene_len=0, window_width=CutDetector.latency)
    detector = CutDetector()
    cuts, expected = [], []
    for number, picture in enumerate(noisy_shots(seed)):
        cuts.append(detector.push(picture))
        expected.append(bool(reference.process_frame(FrameTimecode(number, 25.0), picture)))
    assert cuts == expected
    assert sum(cuts) >= 3


def test_cut_detector_finds_a_cut_between_still_pictures() -> None:
    frames = [np.full((8, 8, 3), 20, np.uint8)] * 6 + [np.full((8, 8, 3), 200, np.uint8)] * 6
    detector = CutDetector()
    assert [number - CutDetector.latency for number, picture in enumerate(frames) if detector.push(picture)] == [6]


def test_long_shot_is_split_into_equal_parts() -> None:
    scenes = split_shot(1.0, 26.0, longest=10.0)
    assert [scenes[0].start, scenes[-1].end] == [1.0, 26.0]
    assert all(left.end == right.start for left, right in pairwise(scenes))
    assert [scene.end - scene.start for scene in scenes] == pytest.approx([25 / 3] * 3)
