"""Tables of captions, and the ranks of files."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from eval import clips
from eval.captions import Caption, find_table, read_captions
from eval.clips import rank_captions, rank_of_right
from tests.eval.conftest import write_clip
from vsearch.errors import InputError, PathError
from vsearch.media import Hit
from vsearch.search.query import Query


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


def test_every_file_is_asked_for_once_and_copies_are_one_video(folder: Path) -> None:
    key_of = {folder / "a.mp4": "A", folder / "copy.mp4": "A", folder / "b c.mp4": "B", folder / "other.mp4": "C"}
    scores = {"copy.mp4": 0.7, "b c.mp4": 0.9, "other.mp4": 0.2}
    asked: list[Query] = []

    def search(query: Query) -> list[Hit]:
        asked.append(query)
        ranked = sorted(scores, key=lambda name: -scores[name])
        return [Hit(i, scores[name], folder / name, 0, 1, {}, 0) for i, name in enumerate(ranked, start=1)]

    captions = [Caption("a.mp4", "a dog"), Caption("b c.mp4", "a cat"), Caption("failed.mp4", "a cow")]
    assert rank_captions(search, folder, captions, key_of).tolist() == [2, 1, 4]
    assert [(q.text, q.k, q.per_video) for q in asked] == [("a dog", 3, 1), ("a cat", 3, 1), ("a cow", 3, 1)]


@pytest.mark.skipif(find_spec("vsearch.indexer.pipeline") is None, reason="there is no indexer to index with")
def test_the_product_finds_clips_by_their_colour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, colours in (("a", ["red"]), ("b", ["green", "blue"]), ("distractor", ["yellow"])):
        write_clip(tmp_path / f"{name}.mp4", colours * 2)
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42 cut")
    (tmp_path / "captions.tsv").write_text("a.mp4\tred\nb.mp4\tblue\nb.mp4\tgreen\nbroken.mp4\tcyan\n")
    assert clips.main([str(tmp_path), "--model", "fake", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["videos"], result["failed"], result["captions"]) == (3, 1, 4)
    assert result["R@1"] == 75  # the broken file counts as not found
    assert result["ci95"]["R@1"][0] < 75


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clips.main([str(tmp_path / "gone"), "--model", "fake"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
