from __future__ import annotations

import numpy as np
import pytest

from vsearch.models.fake import COLOURS, FakeModel
from vsearch.models.protocols import FrameSize, Model


def plain(colour: str, size: int = 4) -> np.ndarray:
    return np.full((1, size, size, 3), COLOURS[colour], dtype=np.uint8)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_word_is_the_vector_of_that_colour(colour: str) -> None:
    model = FakeModel()
    np.testing.assert_array_equal(model.encode_frames(plain(colour)), model.encode_texts([f"something {colour}"]))


def test_a_frame_of_two_colours_lies_between_both() -> None:
    model = FakeModel()
    half = np.concatenate([plain("red"), plain("blue")], axis=1)
    np.testing.assert_allclose(model.encode_frames(half), model.encode_texts(["red and blue"]), atol=1e-6)


def test_a_sentence_without_colours_has_a_unit_vector_too() -> None:
    assert np.linalg.norm(FakeModel().encode_texts(["a dog"])) == pytest.approx(1)


def test_empty_batches_have_the_right_shape() -> None:
    model = FakeModel()
    assert model.encode_texts([]).shape == (0, 8)
    assert model.encode_frames(np.empty((0, 4, 4, 3), dtype=np.uint8)).shape == (0, 8)
    assert model.aggregate([]).shape == (0, 8)


def test_it_is_a_model() -> None:
    assert isinstance(FakeModel(), Model)


@pytest.mark.parametrize(("width", "fit"), [(0, "squash"), (4, "stretch")])
def test_frame_size_refuses_nonsense(width: int, fit: str) -> None:
    with pytest.raises(ValueError):
        FrameSize(width, 4, fit)  # type: ignore[arg-type]
