"""Model folders at work: pictures, sentences, the temporal encoder and the matching head, by graphs of a few nodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.models.tiny import write_tiny
from vsearch.errors import ModelDamaged
from vsearch.models.model_folder import FolderModel, read_config
from vsearch.models.padding import pad_clips, spread
from vsearch.models.pooling import mean_pool
from vsearch.models.protocols import HeadInfo, Model, Reranker

RED, GREEN, BLUE = np.eye(3, dtype=np.float32)


def test_pictures_and_sentences_meet(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path))
    assert isinstance(model, Model)
    pixels = np.zeros((20, 8, 8, 3), dtype=np.uint8)  # more than a batch
    pixels[..., 0] = 255
    np.testing.assert_allclose(model.encode_frames(pixels), np.tile(RED, (20, 1)), atol=1e-6)
    texts = model.encode_texts(["red", "blue and blue", "red green"])
    np.testing.assert_allclose(texts, [RED, BLUE, (RED + GREEN) / 2**0.5], atol=1e-6)
    assert model.encode_frames(pixels[:0]).shape == model.encode_texts([]).shape == (0, 3)


def test_without_further_graphs_scenes_are_means_and_there_is_no_head(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path))
    scenes = [np.stack([RED, GREEN]), BLUE[None]]
    np.testing.assert_array_equal(model.aggregate(scenes), mean_pool(scenes, 3))
    assert model.head is None
    with pytest.raises(ValueError, match="no matching head"):
        model.match(RED[None], scenes)


def test_a_temporal_encoder_takes_the_place_of_the_mean_whatever_the_lengths(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path, temporal=True))
    scenes = [np.stack([RED, RED, GREEN]), BLUE[None], np.stack([-RED, GREEN])]
    together = model.aggregate(scenes)
    np.testing.assert_allclose(together[0], (RED + GREEN) / 2**0.5, atol=1e-6)
    np.testing.assert_allclose(together, np.concatenate([model.aggregate([scene]) for scene in scenes]), atol=1e-6)
    assert model.aggregate([]).shape == (0, 3)


def test_a_long_scene_is_thinned_to_what_the_encoder_takes(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path, temporal=True))
    scene = np.tile(RED, (9, 1))
    scene[4] = BLUE  # the encoder sees 4 of 9: places 0, 3, 5, 8
    np.testing.assert_allclose(model.aggregate([scene]), [RED], atol=1e-6)
    scene[5] = GREEN
    np.testing.assert_allclose(model.aggregate([scene]), [(RED + GREEN) / 2**0.5], atol=1e-6)


def test_the_head_reads_a_query_once_and_matches_scenes_of_any_length(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path, itm=True))
    assert isinstance(model, Reranker) and model.head == HeadInfo(weight=0.5)
    vector, words = model.read_query("red green")
    np.testing.assert_allclose(vector, model.encode_texts(["red green"])[0], atol=1e-6)
    np.testing.assert_array_equal(words, [RED, GREEN])
    scenes = [np.stack([BLUE, RED, BLUE]), -GREEN[None], np.stack([2 * GREEN, RED])]
    np.testing.assert_allclose(model.match(words, scenes), [1, -1, 2], atol=1e-6)
    assert model.match(words, []).shape == (0,)


def test_more_candidates_than_one_run_takes(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path, itm=True))
    scenes = [RED[None] * at for at in range(300)]
    np.testing.assert_allclose(model.match(RED[None], scenes), np.arange(300), atol=1e-3)


def test_a_head_whose_text_tower_gives_no_words_is_damaged(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path, itm=True, words=False))
    with pytest.raises(ModelDamaged, match="words"):
        model.read_query("red")


def test_the_fingerprint_knows_the_temporal_encoder_and_not_the_head(tmp_path: Path) -> None:
    plain = read_config(write_tiny(tmp_path / "a", words=True))
    head = read_config(write_tiny(tmp_path / "b", itm=True))
    temporal = read_config(write_tiny(tmp_path / "c", temporal=True, words=True))
    assert plain.fingerprint == head.fingerprint != temporal.fingerprint


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"aggregation": "temporal"}, "config.json"),
        ({"aggregation": "temporal", "temporal": {"file": "gone.onnx"}}, "sha256"),
        ({"aggregation": "temporal", "temporal": {"file": "../temporal.onnx"}}, "plain file name"),
        ({"aggregation": "temporal", "temporal": {"file": "image.onnx", "max_frames": 0}}, "max_frames"),
        ({"itm": {"file": "gone.onnx"}}, "sha256"),
        ({"itm": {"file": "image.onnx", "weight": "much"}}, "config.json"),
        ({"itm": "itm.onnx"}, "config.json"),
    ],
)
def test_a_config_of_graphs_that_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    folder = write_tiny(tmp_path)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDamaged, match=says) as caught:
        read_config(folder)
    assert "\n" not in str(caught.value)


def test_frames_are_compared_with_the_part_of_a_longer_query_that_is_theirs(tmp_path: Path) -> None:
    model = FolderModel(write_tiny(tmp_path))
    query = np.concatenate([0.5 * RED, BLUE]).astype(np.float32)
    np.testing.assert_allclose(model.frame_scores(query, np.stack([RED, BLUE])), [1, 0], atol=1e-6)


def test_padding_says_which_frames_are_there() -> None:
    frames, mask = pad_clips([np.stack([RED, GREEN]), BLUE[None]], at_most=8)
    np.testing.assert_array_equal(frames, [[RED, GREEN], [BLUE, 0 * BLUE]])
    assert mask.tolist() == [[True, True], [True, False]]
    assert spread(9, 4) == [0, 3, 5, 8] and spread(5, 1) == [2] and spread(4, 4) == [0, 1, 2, 3]
