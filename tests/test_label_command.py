"""`vsearch label` and `vsearch describe` as the user calls them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tests.commands import Vsearch, index_once, one_line, vsearch
from tests.media import Shot, make_video
from vsearch.cli.label import label
from vsearch.search.labels import THRESHOLD, TOP

__all__ = ["vsearch"]  # the fixture


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    make_video(folder / "flags.mp4", [Shot("red", 2), Shot("blue", 2)])
    make_video(folder / "sea.mp4", [Shot("blue", 2)])
    (folder / "labels.txt").write_text("a Red wall\nblue\n\nyellow\n")
    (folder / "sentences.txt").write_text("a red flag\na blue sea\na red and blue flag\n")
    return folder


@pytest.fixture
def indexed(vsearch: Vsearch, films: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_once(vsearch, films, tmp_path, tmp_path_factory)


def test_labels_are_given_listed_asked_for_and_taken_away(vsearch: Vsearch, indexed: Path) -> None:
    assert vsearch("label", "--list", "--json").json == []
    given = vsearch("label", "--labels", indexed / "labels.txt", "--json").json
    assert given == [
        {"label": "a red wall", "model": "fake", "scenes": 1, "videos": 1},
        {"label": "blue", "model": "fake", "scenes": 2, "videos": 2},
    ]
    assert vsearch("label", "--list", "--json").json == given
    assert "a red wall" in vsearch("label", "--list").out
    hits = vsearch("query", "--label", "blue", "--json").json
    assert {(Path(hit["video"]).name, round(hit["start"])) for hit in hits} == {("flags.mp4", 2), ("sea.mp4", 0)}
    assert [round(hit["start"]) for hit in vsearch("query", "blue", "--label", "A red wall", "--json").json] == [0]
    none = vsearch("label", "--labels", indexed / "labels.txt", "--threshold", "1e6", "--json")
    assert none.json == []
    vsearch("label", "--labels", indexed / "labels.txt")
    assert vsearch("label", "--clear", "--labels", indexed / "labels.txt", "--json").json == {"cleared": 3}
    assert vsearch("label", "--clear").out.strip() == "Removed labels from 0 scenes."


def test_the_defaults_are_those_that_were_measured() -> None:
    parameters = inspect.signature(label).parameters
    assert (parameters["top"].default, parameters["threshold"].default) == (TOP, THRESHOLD)


def test_sentences_for_a_file_its_scenes_and_a_clip(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    candidates = ("--candidates", indexed / "sentences.txt", "-k", 1, "--json")
    (file,) = vsearch("describe", indexed / "flags.mp4", *candidates).json
    assert file["sentences"][0]["text"] == "a red and blue flag" and round(file["end"]) == 4
    scenes = vsearch("describe", indexed / "flags.mp4", "--scenes", *candidates).json
    assert [scene["sentences"][0]["text"] for scene in scenes] == ["a red flag", "a blue sea"]
    clip = make_video(tmp_path / "clip.mp4", [Shot("red", 1)]).path
    (one,) = vsearch("describe", clip, *candidates).json
    assert one["sentences"][0]["text"] == "a red flag" and one["end"] is None
    alone = vsearch("describe", clip, *candidates, "--library", tmp_path / "none")
    assert alone.json == [one]
    assert "a red flag" in vsearch("describe", clip, "--candidates", indexed / "sentences.txt").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("label",), "Give a file of labels"),
        (("label", "--list", "--clear"), "--list excludes"),
        (("label", "--labels", "none.txt"), "none.txt cannot be read: no such file"),
        (("label", "--labels", ""), "paths is empty"),
        (("label", "--labels", "labels.txt", "--threshold", "nan"), "--threshold takes a number"),
        (("label", "--labels", "labels.txt", "--model", "mini"), "no embeddings of the model 'mini'"),
        (("query", "--label", ""), "label is empty"),
        (("query", "--label", "blue", "--channel", "speech"), "add words"),
        (("describe", "none.mp4", "--candidates", "labels.txt"), "none.mp4 cannot be read"),
        (("describe", "labels.txt", "--candidates", "labels.txt"), "cannot be used as a clip"),
        (("describe", "labels.txt", "--candidates", "labels.txt", "--scenes"), "is not in the library"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    vsearch: Vsearch, indexed: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(indexed)
    ran = vsearch(*arguments)
    assert ran.code == 1 and says in one_line(ran.err), ran.err
