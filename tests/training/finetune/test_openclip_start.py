"""Training inside the towers of an open_clip model, from captions to a folder that needs no torch.

`make train-test` runs these; they are skipped without the extra `clip`.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if find_spec("open_clip") is None:
    pytest.skip("the extra clip is not installed", allow_module_level=True)

from tests.models.tiny_clip import SIGMOID_PREPROCESSING, SIZE, config, sigmoid_config, write_folder  # noqa: E402
from tests.training.finetune.conftest import CALLED, Run  # noqa: E402
from vsearch.errors import InputError  # noqa: E402
from vsearch.models.devices import Compute  # noqa: E402
from vsearch.models.model_folder import FolderModel  # noqa: E402
from vsearch.models.openclip import OpenClipModel  # noqa: E402
from vsearch.models.openclip_names import in_folder  # noqa: E402
from vsearch.models.openclip_source import load_parts  # noqa: E402
from vsearch.training.finetune.openclip_start import start_from_openclip  # noqa: E402
from vsearch.training.finetune.start import Method  # noqa: E402
from vsearch.training.finetune.tower_tuning import add_low_rank, add_prompt, merge_low_rank  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clip") / "tiny", config())


@pytest.fixture(scope="module")
def sigmoid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return write_folder(tmp_path_factory.mktemp("clip") / "tiny-sigmoid", sigmoid_config(), SIGMOID_PREPROCESSING)


def opened(folder: Path) -> OpenClipModel:
    name = in_folder(folder)
    assert name is not None
    return OpenClipModel(load_parts(name), compute=Compute("cpu", "fp32"))


def pictures() -> Any:
    return np.random.default_rng(5).integers(0, 255, (3, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", ["lora", "coop"])
def test_towers_learn_caption_words(vsearch: Run, clips: Path, plain: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "mine"
    arguments = ("--data", clips / "captions.csv", "--base", plain, "--out", out, "--validation", "0.5")
    rate = {"lora": "0.005", "coop": "0.05"}[method]
    code, printed, err = vsearch("train", *arguments, "--method", method, "--rate", rate, "--steps", "80", "--json")
    assert code == 0, err
    found = json.loads(printed)
    assert len(found["skipped"]) == 3 and 0 < found["best_step"] <= 80
    assert found["after"]["t2v"]["R@1"] == 100 > found["before"]["t2v"]["R@1"]
    files = ["config.json", "image.onnx", "text.onnx", "tokenizer.json"]
    assert sorted(path.name for path in out.iterdir()) == files
    card = json.loads((out / "config.json").read_text())
    assert card["name"] == "mine" and card["trained"]["method"] == method and card["trained"]["base"] == "tiny"
    base, tuned = opened(plain), FolderModel(out, threads=1)
    assert tuned.space.fingerprint != base.space.fingerprint
    same = np.allclose(base.encode_frames(pictures()), tuned.encode_frames(pictures()), atol=1e-4)
    assert same == (method == "coop")

    assert vsearch("index", clips, "--model", out, "--quiet", "--no-speech")[0] == 0
    for colour, word in CALLED.items():
        hits = json.loads(vsearch("query", word, "--model", out, "-k", "1", "--json")[1])
        assert list(CALLED)[int(Path(hits[0]["video"]).stem) % 3] == colour


def test_low_rank_updates_start_at_zero_and_are_merged(plain: Path) -> None:
    model = opened(plain)
    tokens, pixels = model.tokens(["a cat", "two dogs"]), torch.randn(2, 3, SIZE, SIZE)
    towers = model.parts.model

    def answers() -> Any:
        with torch.inference_mode():
            return torch.cat([towers.encode_text(tokens), towers.encode_image(pixels)])

    before = answers()
    # a block has two linear layers, an output projection and a joint one; each tower has two blocks
    assert add_low_rank(towers, 2) == 2 * 2 * 4
    torch.testing.assert_close(answers(), before)
    learnt = [parameter for parameter in towers.parameters() if parameter.requires_grad]
    assert len(learnt) == 2 * 16 and all(min(parameter.shape) == 2 for parameter in learnt)
    loss = towers.encode_text(tokens).sum() + towers.encode_image(pixels).sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in learnt)
    with torch.no_grad():
        for parameter in learnt:
            parameter.add_(0.1 * torch.randn_like(parameter))
    changed = answers()
    assert not torch.allclose(changed, before, atol=1e-2)
    merge_low_rank(towers)
    torch.testing.assert_close(answers(), changed)
    assert not any("parametrizations" in name for name in towers.state_dict())


@pytest.mark.parametrize("name", ["plain", "sigmoid"])
def test_prompt_vectors_of_words_equal_these_words(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    model, texts = opened(folder), ["cat", "", "dog word dogs", "cat " * 40]
    wanted = model.encode_texts([f"a photo of a {text}" for text in texts])
    prompted = add_prompt(opened(folder).parts, 4)
    assert [key for key, value in prompted.named_parameters() if value.requires_grad] == [
        key for key, _ in prompted.named_parameters() if key.endswith("token_embedding.vectors")
    ]
    with torch.inference_mode():
        found = prompted.encode_text(model.tokens(texts), normalize=True)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_unsuitable_method_is_one_line(plain: Path) -> None:
    model = opened(plain)
    with pytest.raises(InputError, match="vsearch models export tiny FOLDER"):
        start_from_openclip(model, Method("adapter"))
    with pytest.raises(InputError, match="context of 20 tokens"):
        start_from_openclip(model, Method("coop", vectors=11)).learner(["a cat"])
