"""Zero-shot labels: good tables, bad tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval import labels
from eval.labels import average_precision, measure_set, read_labels
from tests.eval.conftest import TarMaker, picture
from vsearch.errors import InputError

HEADER = "file\tset\tsplit\tphrase\n"
NAMES = {"a.webp", "b.webp", "c.webp", "d.webp"}


def write(tmp_path: Path, rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "labels.tsv"
    path.write_text(header + rows, encoding="utf-8")
    return path


def test_candidates_are_the_phrases_of_all_splits(tmp_path: Path) -> None:
    path = write(tmp_path, "a.webp\ts\tval\tred\nb.webp\ts\ttrain\tblue\nc.webp\tt\tval\tgreen\n")
    table = read_labels(path, "val", NAMES)
    assert [label.file for label in table.labels] == ["a.webp", "c.webp"]
    assert table.phrases == {"s": ("red", "blue"), "t": ("green",)}
    assert table.problems == ()


def test_bad_rows_are_named_and_skipped(tmp_path: Path) -> None:
    rows = (
        "a.webp\ts\tval\tA Red-Wall\nb.webp\ts\tval\ta red wall\nc.webp\ts\tval\ta red wall\n"
        "gone.webp\ts\tval\ta dog\nd.webp\ts\tval\t \nd.webp\t\tval\ta cat\nd.webp\ts\tval\n"
    )
    table = read_labels(write(tmp_path, rows), "val", NAMES)
    assert [label.file for label in table.labels] == ["b.webp", "c.webp"]
    problems = "\n".join(table.problems)
    assert len(table.problems) == 5
    for cause in (
        "another spelling of 'a red wall'",
        "no such picture",
        "phrase is empty",
        "set is empty",
        "3 columns",
    ):
        assert cause in problems
    assert "labels.tsv:5: gone.webp" in problems


@pytest.mark.parametrize(
    ("rows", "header", "cause"),
    [
        ("", "", "must begin with the columns"),
        ("a.webp\ts\tval\tred\n", "", "must begin with the columns"),
        ("gone.webp\ts\tval\tred\n", HEADER, "no such picture"),
        ("a.webp\ts\ttrain\tred\n", HEADER, "no row is of split 'val'"),
    ],
)
def test_a_table_without_a_usable_row_is_refused(tmp_path: Path, rows: str, header: str, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        read_labels(write(tmp_path, rows, header), "val", NAMES)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_bytes(b"file\tset\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_labels(path, None, NAMES)


def test_average_precision_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6], dtype=np.float32)
    relevant = np.array([True, False, True, False])
    assert average_precision(scores, relevant) == pytest.approx((1 + 2 / 3) / 2)
    # of equal scores the wrong ones come first
    assert average_precision(np.ones(4, dtype=np.float32), relevant) == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_figures_of_a_set_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.3], [0.2, 0.7]], dtype=np.float32)
    found = measure_set(scores, np.array([0, 1, 1]))
    assert found["top-1"].value == pytest.approx(200 / 3)
    assert found["top-5"].value == 100
    # phrase 0: its picture has 0.9, first; phrase 1: 0.7 first, 0.3 second
    assert found["mAP"].value == 100


def test_the_command_counts_what_it_used(
    tmp_path: Path, make_tar: TarMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = make_tar("images.tar", {"a.png": picture("red"), "b.png": picture("blue"), "c.png": b"broken"})
    path = write(
        tmp_path,
        "a.webp\ts\tval\ta red wall\nb.webp\ts\tval\ta blue wall\nc.webp\ts\tval\ta green wall\n"
        "gone\x1b.webp\ts\tval\ta red wall\n",
    )
    arguments = ["--images", str(tar), "--labels", str(path), "--split", "val", "--model", "fake"]
    assert labels.main([*arguments, "--json"]) == 0
    output = capsys.readouterr()
    result = json.loads(output.out)
    assert (result["used"], result["skipped"]) == (2, 2)
    assert result["sets"]["s"]["top-1"] == 100
    assert result["sets"]["s"]["phrases"] == 3
    assert set(result["sets"]["s"]["ci95"]) == {"top-1", "top-5", "mAP"}
    assert "gone\\x1b.webp" in output.err  # a name cannot write to the terminal as it likes
    assert labels.main(arguments) == 0
    assert "2 pictures used, 2 rows skipped" in capsys.readouterr().out
