"""Tables of captions, and the ranks of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval import clips
from eval.captions import Caption, read_captions
from eval.clips import find_table, rank_of_right
from vsearch.errors import InputError, PathError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp4", "b c.mp4"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_tsv_and_csv_hold_the_same_captions(folder: Path) -> None:
    (folder / "captions.tsv").write_text('file\tcaption\na.mp4\t"quoted" dog\na.mp4\ta dog, running\nb c.mp4\ta cat\n')
    (folder / "t.csv").write_text('file,caption\na.mp4,"""quoted"" dog"\na.mp4,"a dog, running"\nb c.mp4,a cat\n')
    expected = (Caption("a.mp4", '"quoted" dog'), Caption("a.mp4", "a dog, running"), Caption("b c.mp4", "a cat"))
    assert read_captions(find_table(folder), folder).captions == expected
    assert read_captions(folder / "t.csv", folder).captions == expected


def test_a_table_needs_no_header(folder: Path) -> None:
    (folder / "captions.tsv").write_text("a.mp4\ta dog\n")
    assert read_captions(folder / "captions.tsv", folder).captions == (Caption("a.mp4", "a dog"),)


def test_rows_that_cannot_be_used_are_named(folder: Path) -> None:
    (folder / "captions.tsv").write_text("a.mp4\ta dog\na.mp4\t \ngone.mp4\ta cat\na.mp4\tx\ty\n\n")
    table = read_captions(folder / "captions.tsv", folder)
    assert len(table.captions) == 1
    assert [s.split(":")[1] for s in table.skipped] == ["2", "3", "4"]
    (folder / "captions.tsv").write_text("gone.mp4\ta cat\n")
    with pytest.raises(InputError, match="there is no such file"):
        read_captions(folder / "captions.tsv", folder)


def test_the_table_is_found_or_asked_for(folder: Path) -> None:
    with pytest.raises(PathError, match=r"neither captions\.tsv nor captions\.csv"):
        find_table(folder)
    (folder / "captions.csv").write_text("a.mp4,a dog\n")
    assert find_table(folder).name == "captions.csv"


def test_ranks_of_files_count_ties_against_the_right_one() -> None:
    scores = [(0.9, False), (0.5, True), (0.5, False), (0.1, False)]
    assert rank_of_right(scores, behind=9) == 3
    assert rank_of_right([(0.9, True), (0.5, False)], behind=9) == 1
    assert rank_of_right([(0.9, False)], behind=9) == 9
    assert rank_of_right([], behind=9) == 9


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clips.main([str(tmp_path / "gone"), "--model", "fake"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
