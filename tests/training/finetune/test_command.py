"""`vsearch train` from captions to hits: the tuned model ranks what its base could not, and the report shows it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from tests.training.finetune.conftest import CALLED, Run
from vsearch.models.model_folder import FolderModel


def test_adapter_learns_the_words_of_captions(vsearch: Run, clips: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    table = clips / "captions.csv"
    code, printed, _ = vsearch(
        "train", "--data", table, "--base", tiny, "--out", out, "--rate", "0.05", "--validation", "0.5", "--json"
    )
    found = json.loads(printed)
    assert code == 0
    assert found["training"] == {"clips": 6, "videos": 6} and found["validation"] == {"clips": 6, "videos": 6}
    causes = ["the caption is empty", "there is no such file", "broken.mp4"]
    assert len(found["skipped"]) == 3 and all(any(c in line for line in found["skipped"]) for c in causes)
    assert found["before"]["t2v"]["R@1"] == 0 and found["after"]["t2v"]["R@1"] == 100
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "image.onnx", "text.onnx", "tokenizer.json"]
    assert json.loads((out / "config.json").read_text())["trained"]["base"] == "tiny"

    assert vsearch("index", clips, "--model", out, "--quiet", "--no-speech")[0] == 0
    for colour, word in CALLED.items():
        hits = json.loads(vsearch("query", word, "--model", out, "-k", "1", "--json")[1])
        number = int(Path(hits[0]["video"]).stem)
        assert list(CALLED)[number % 3] == colour

    # a finished folder is not overwritten, and a tuned model can be tuned again
    code, _, err = vsearch("train", "--data", table, "--base", tiny, "--out", out)
    assert code == 1 and "already exists" in err
    again = tmp_path / "again"
    code, printed, _ = vsearch(
        "train", "--data", table, "--base", out, "--out", again, "--rate", "0.01", "--validation", "0.5", "--json"
    )
    assert json.loads(printed)["before"]["t2v"]["R@1"] == 100


def test_report_for_the_terminal(vsearch: Run, clips: Path, tiny: Path, tmp_path: Path) -> None:
    arguments = ("train", "--data", clips / "captions.csv", "--base", tiny, "--rate", "0.05", "--validation", "0.5")
    code, printed, _ = vsearch(*arguments, "--out", tmp_path / "mine")
    assert code == 0 and "text to video, before" in printed and "text to video, after" in printed
    assert "vsearch index --model" in printed and "3 rows or files skipped" in printed


def test_run_without_gain_writes_nothing(vsearch: Run, clips: Path, tiny: Path, tmp_path: Path) -> None:
    (clips / "right.csv").write_text(
        "\n".join(f"{number}.mp4,{list(CALLED)[number % 3]}" for number in range(6)), encoding="utf-8"
    )
    out = tmp_path / "mine"
    code, printed, err = vsearch(
        "train", "--data", clips / "right.csv", "--base", tiny, "--out", out,
        "--rate", "0.5", "--validation", "0.5", "--patience", "1",
    )  # fmt: skip
    assert code == 1 and "no folder is written" in err
    assert "text to video, before" in printed and "after" not in printed
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--method": "magic"}, "--method takes adapter, temporal, lora, coop, not"),
        ({"--temporal": "tab"}, "--temporal takes seqlstm, seqtransf, tdb"),
        ({"--method": "lora"}, "trains inside an open_clip model"),
        ({"--rate": "7"}, "--rate must be between 0 and 1"),
        ({"--base": "fake"}, "fake is no model folder"),
        ({"--data": "none.csv"}, "none.csv cannot be read"),
        ({"--device": "abacus", "--method": "temporal"}, "Device 'abacus' is not available"),
    ],
)
def test_unusable_option_is_one_line(
    vsearch: Run, clips: Path, tiny: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    given: dict[str, Any] = {"--data": clips / "captions.csv", "--base": tiny, "--out": tmp_path / "mine"} | change
    code, _, err = vsearch("train", *(part for pair in given.items() for part in pair))
    assert code == 1 and message in err and "Traceback" not in err


def test_too_few_videos_are_reported_with_the_cause(vsearch: Run, clips: Path, tiny: Path, tmp_path: Path) -> None:
    table = clips / "few.csv"
    table.write_text("0.mp4,green\n0.mp4,a green one\nbroken.mp4,red\n", encoding="utf-8")
    code, _, err = vsearch("train", "--data", table, "--base", tiny, "--out", tmp_path / "mine")
    assert code == 1 and "at least 4 different videos; 1 can be used" in err and "broken.mp4" in err


def test_tuned_folder_equals_learner(tiny: Path, tmp_path: Path) -> None:
    import torch

    from vsearch.training.finetune.adapters import Adapter, TemporalHead
    from vsearch.training.finetune.tuned_folder import write_tuned

    base = FolderModel(tiny, threads=1)
    words = ["red", "green blue", "blue"]
    known = dict(zip(words, base.encode_texts(words), strict=True))
    torch.manual_seed(0)
    adapter, temporal = Adapter(known, rank=2), TemporalHead("tdb", known, width=8)
    with torch.no_grad():
        for parameter in (*adapter.parameters(), *temporal.parameters()):
            parameter.add_(0.3 * torch.randn_like(parameter))
    adapter.eval(), temporal.eval()
    pixels = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), dtype=np.uint8)
    frames = base.encode_frames(pixels)
    for learnt in (adapter, temporal):
        write_tuned(tmp_path / type(learnt).__name__, tiny, base.config, learnt, {})
        model = FolderModel(tmp_path / type(learnt).__name__, threads=1)
        with torch.inference_mode():
            wanted = learnt.text_vectors(words).numpy(), learnt.clip_vectors([frames]).numpy()
        np.testing.assert_allclose(model.encode_texts(words), wanted[0], atol=1e-5)
        np.testing.assert_allclose(model.aggregate([model.encode_frames(pixels)]), wanted[1], atol=1e-5)
        assert model.space.fingerprint != base.space.fingerprint


def test_external_weights_are_copied_or_refused(tmp_path: Path) -> None:
    import onnx

    from tests.models.tiny import write_tiny
    from vsearch.errors import InputError
    from vsearch.training.finetune.adapters import TemporalHead
    from vsearch.training.finetune.start import Method, start_from_folder
    from vsearch.training.finetune.tuned_folder import write_tuned

    folder = write_tiny(tmp_path / "large")
    whole = FolderModel(folder, threads=1)
    words = ["red", "green blue"]
    wanted = whole.encode_texts(words)
    graph, name = onnx.load(folder / "text.onnx"), "text.onnx.data"
    onnx.save(graph, folder / "text.onnx", save_as_external_data=True, location=name, size_threshold=60)
    raw = json.loads((folder / "config.json").read_text())
    for file in ("text.onnx", name):
        raw["sha256"][file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(raw))

    large = FolderModel(folder, threads=1)
    with pytest.raises(InputError, match="too large for an adapter: use --method temporal"):
        start_from_folder(large, Method("adapter"))
    head = TemporalHead("tdb", {"red": large.encode_texts(["red"])[0]}, width=8).eval()
    write_tuned(tmp_path / "tuned", folder, large.config, head, {})
    assert (tmp_path / "tuned" / name).is_file()
    np.testing.assert_array_equal(FolderModel(tmp_path / "tuned", threads=1).encode_texts(words), wanted)
