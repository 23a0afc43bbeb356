"""The model folder in the package, through ONNX Runtime alone."""

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


def test_checksums_of_config_match_files() -> None:
    for name, digest in json.loads(CONFIG.read_text(encoding="utf-8"))["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_folder_is_at_most_60_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 60e6


def test_folder_has_a_model_card() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "## Data and licence" in card and "## Limits" in card


def test_frame_embeddings_are_unit_and_independent_of_the_batch(pixels: np.ndarray[Any, Any]) -> None:
    together = encode(pixels)
    alone = np.concatenate([encode(pixels[i : i + 1]) for i in range(len(pixels))])
    assert together.shape == (5, json.loads(CONFIG.read_text(encoding="utf-8"))["dim"])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_text_embeddings_are_unit_and_independent_of_padding() -> None:
    together = read("a dog", "two men are playing basketball on a court in front of a large crowd")
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together[:1], read("a dog"), atol=1e-4)


def test_sentences_of_similar_meaning_are_closer() -> None:
    dog, puppy, car = read("a dog is running", "a puppy runs", "someone is driving a car")
    assert dog @ puppy > dog @ car + 0.1


def test_mirrored_picture_is_closer_than_noise(pixels: np.ndarray[Any, Any]) -> None:
    ramp = np.zeros_like(pixels[:1])
    ramp[..., 0] = np.linspace(0, 255, ramp.shape[2]).astype(np.uint8)[None, None, :]
    one, two, noise = encode(np.concatenate([ramp, ramp[:, :, ::-1], pixels[:1]]))
    assert one @ two > one @ noise
