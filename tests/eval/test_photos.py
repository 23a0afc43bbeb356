"""The photographs of scikit-image, with stand-ins where it is not installed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from eval import photos
from eval.photos import CAPTIONS
from tests.eval.conftest import picture


def test_ranks_of_stand_ins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, colour in (("astronaut", "red"), ("coffee", "blue"), ("chelsea", "green")):
        (tmp_path / f"{name}.png").write_bytes(picture(colour))
    (tmp_path / "rocket.jpg").write_bytes(b"broken")
    monkeypatch.setattr(photos, "photo_folder", lambda: tmp_path)
    monkeypatch.setattr(photos, "CAPTIONS", {"astronaut": "red", "coffee": "blue", "chelsea": "red", "rocket": "white"})
    assert photos.main(["--model", "fake", "--json"]) == 0
    output = capsys.readouterr()
    result = json.loads(output.out)
    assert {row["photo"]: row["rank"] for row in result["ranks"]} == {"astronaut": 1, "coffee": 1, "chelsea": 3}
    assert (result["photos"], result["first"]) == (3, 2)
    assert "rocket" in output.err


def test_without_scikit_image_there_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(photos, "find_spec", lambda name: None)
    assert photos.main(["--model", "fake"]) == 1
    assert capsys.readouterr().err == "error: scikit-image is not installed: pip install 'scikit-image>=0.24'\n"


@pytest.mark.skipif(find_spec("skimage") is None, reason="scikit-image is not installed")
def test_the_photographs_are_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert photos.main(["--model", "fake", "--json"]) == 0
    shipped = {row["photo"] for row in json.loads(capsys.readouterr().out)["ranks"]}
    assert {"astronaut", "chelsea", "coffee"} <= shipped <= set(CAPTIONS)
