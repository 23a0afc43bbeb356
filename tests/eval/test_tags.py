"""Precision and recall of labels, by hand and with the fake model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval import tags
from eval.tags import at_half, at_threshold, best_labels, precision_at
from tests.eval.conftest import TarMaker, picture

GIVEN = np.array([9, 8, 7, 7, 1], dtype=np.float32)
RIGHT = np.array([True, False, True, False, True])


def test_the_best_labels_of_each_scene() -> None:
    scores = np.array([[1, 3, 2], [6, 5, 4]], dtype=np.float32)
    given, right = best_labels(scores, np.array([2, 0]), 2)
    assert given.tolist() == [3, 2, 6, 5] and right.tolist() == [False, True, True, False]


def test_figures_by_hand() -> None:
    assert at_threshold(GIVEN, RIGHT, 4, 7) == (0.5, 0.5)
    assert at_threshold(GIVEN, RIGHT, 4, 10) == (1.0, 0.0)
    assert precision_at(GIVEN, RIGHT, 4, 0.25) == (1.0, 9.0)
    assert precision_at(GIVEN, RIGHT, 4, 0.5) == (0.5, 7.0)  # of the two sevens both are given
    assert precision_at(GIVEN, RIGHT, 4, 0.8) is None


def test_half_of_a_library_shows_a_label() -> None:
    cosine = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.8]], dtype=np.float32)
    thresholds = {"cosine": 0.5, "background": 2.0, "library": 1.5}
    found = at_half(cosine, 5 * cosine, np.array([0, 0, 1]), thresholds)
    assert found["cosine"] == found["background"] == [(1.0, 0.0), (1.0, 0.0)]
    assert found["library"] == [(0.0, 0.0), (0.0, 0.0)]  # half of the scenes lie one deviation above the mean, no more


def test_the_command(tmp_path: Path, make_tar: TarMaker, capsys: pytest.CaptureFixture[str]) -> None:
    tar = make_tar("images.tar", {"a.png": picture("red"), "b.png": picture("blue"), "c.png": picture("white")})
    table = tmp_path / "labels.tsv"
    rows = "a.webp\ts\tval\tred\nb.webp\ts\tval\tblue\nc.webp\ts\tval\tgreen\n"
    table.write_text("file\tset\tsplit\tphrase\n" + rows, encoding="utf-8")
    arguments = ["--images", str(tar), "--labels", str(table), "--model", "fake"]
    assert tags.main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["used"] == 3 and result["all"] == {"precision": 1.0, "recall": pytest.approx(2 / 3)}
    assert set(result["precision_at_recall"]) == set(tags.WAYS)
    assert tags.main(arguments) == 0
    assert "| s | 3 | 3 | 100.0 | 66.7 |" in capsys.readouterr().out
