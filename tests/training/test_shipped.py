"""The folder that ships, as a user's machine sees it: ONNX Runtime only."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "vsearch" / "models" / "mini"
CONFIG = FOLDER / "config.json"

pytestmark = pytest.mark.skipif(not CONFIG.is_file(), reason="no embedded model in this checkout")


@cache
def session(name: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(FOLDER / name), options, providers=["CPUExecutionProvider"])


def encode(pixels: np.ndarray[Any, Any]) -> Any:
    return session("image.onnx").run(["vectors"], {"pixels": pixels})[0]


def read(*sentences: str) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(sentences))
    ids, mask = (np.array([getattr(e, field) for e in encoded], np.int64) for field in ("ids", "attention_mask"))
    return session("text.onnx").run(["vectors"], {"input_ids": ids, "attention_mask": mask})[0]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray[Any, Any]:
    config = json.loads(CONFIG.read_text(encoding="utf-8"))["image"]
    shape = (5, config["height"], config["width"], 3)
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def test_every_file_is_the_one_that_the_config_names() -> None:
    for name, digest in json.loads(CONFIG.read_text(encoding="utf-8"))["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 60e6


def test_it_has_a_card() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "## Data and licence" in card and "## Limits" in card


def test_frame_vectors_are_unit_and_the_same_in_any_batch(pixels: np.ndarray[Any, Any]) -> None:
    together = encode(pixels)
    alone = np.concatenate([encode(pixels[i : i + 1]) for i in range(len(pixels))])
    assert together.shape == (5, json.loads(CONFIG.read_text(encoding="utf-8"))["dim"])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_sentence_vectors_are_unit_and_padding_changes_nothing() -> None:
    together = read("a dog", "two men are playing basketball on a court in front of a large crowd")
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together[:1], read("a dog"), atol=1e-4)


def test_words_of_like_meaning_lie_closer() -> None:
    dog, puppy, car = read("a dog is running", "a puppy runs", "someone is driving a car")
    assert dog @ puppy > dog @ car + 0.1


def test_a_plain_red_picture_is_nearer_to_itself_mirrored_than_to_noise(pixels: np.ndarray[Any, Any]) -> None:
    ramp = np.zeros_like(pixels[:1])
    ramp[..., 0] = np.linspace(0, 255, ramp.shape[2]).astype(np.uint8)[None, None, :]
    one, two, noise = encode(np.concatenate([ramp, ramp[:, :, ::-1], pixels[:1]]))
    assert one @ two > one @ noise
