"""The command of MSR-VTT, with generated annotations, frames and videos, and with a matrix that others made."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval import annotations, msrvtt
from eval.annotations import IDENTICAL_CAPTIONS_1K_A, identical_texts, load_bank, load_benchmark
from tests.eval.conftest import TarMaker, picture, write_clip
from vsearch.errors import InputError

COLOUR_OF = {"video7": "red", "video8": "green", "video9": "blue"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Annotations of three test videos, each of one colour, and three for training."""
    folder = tmp_path / "annotations"
    folder.mkdir()
    with (folder / "MSRVTT_JSFUSION_test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "vid_key", "video_id", "sentence"])
        for i, (video, colour) in enumerate(COLOUR_OF.items()):
            writer.writerow([f"ret{i}", f"msr{i}", video, f"a {colour} screen"])
    (folder / "MSRVTT_train.9k.csv").write_text("video_id\nvideo1\nvideo2\nvideo3\n")
    splits = {"video1": "train", "video2": "train", "video3": "validate", **dict.fromkeys(COLOUR_OF, "test")}
    sentences = [
        {"video_id": video, "caption": f"{words} {COLOUR_OF.get(video, 'white')} thing", "sen_id": 9 - i}
        for i, words in enumerate(("some", "one"))
        for video in splits
    ]
    data = {"videos": [{"video_id": v, "split": s} for v, s in splits.items()], "sentences": sentences}
    with zipfile.ZipFile(folder / "MSRVTT_data.json.zip", "w") as archive:
        archive.writestr("MSRVTT_data.json", json.dumps(data))
    return folder


@pytest.fixture
def frames(make_tar: TarMaker) -> Path:
    return make_tar(
        "frames.tar",
        {f"{video}/shot001_frame0000{i}.png": picture(c) for video, c in COLOUR_OF.items() for i in range(2)},
    )


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert msrvtt.main([str(a) for a in (*arguments, "--json")]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_frames_of_the_right_colour_are_found(folder: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_json(capsys, "--frames", frames, "--annotations", folder, "--model", "fake")
    assert (result["videos"], result["protocol_videos"], result["failed"]) == (3, 1000, 0)
    for direction in ("t2v", "v2t"):
        assert result[direction]["R@1"] == 100
        assert result[direction]["MnR"] == 1
        assert result[direction]["ci95"]["R@1"] == [100, 100]


@pytest.mark.parametrize(
    "extra",
    [
        ["--aggregation", "single"],
        ["--aggregation", "mean"],
        ["--aggregation", "kmeans"],
        ["--rerank", "late", "--recall", "2"],
        ["--post", "dsl"],
        ["--post", "qbnorm"],
    ],
)
def test_every_way_of_scoring_runs_and_is_named(
    folder: Path, frames: Path, capsys: pytest.CaptureFixture[str], extra: list[str]
) -> None:
    result = run_json(capsys, "--frames", frames, "--annotations", folder, "--model", "fake", *extra)
    assert result["t2v"]["R@1"] == 100
    told = {"dsl": "DSL", "qbnorm": "QB-Norm"}.get(extra[1], extra[1])
    assert told in f"{result['aggregation']} {result['rerank']} {result['post']}"


def test_full_has_every_caption_as_a_query(folder: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_json(capsys, "--frames", frames, "--annotations", folder, "--model", "fake", "--protocol", "full")
    assert (result["videos"], result["captions"], result["protocol_videos"]) == (3, 6, 2990)
    assert result["t2v"]["R@1"] == result["v2t"]["R@1"] == 100


def test_val_takes_the_first_sentence_in_the_order_of_the_annotations(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = tmp_path / "val.txt"
    split.write_text("video8\nvideo1\n")
    monkeypatch.setattr(annotations, "read_val_split", lambda: split.read_text().split())
    benchmark = load_benchmark("val", folder)
    assert benchmark.videos == ("video8", "video1")
    assert benchmark.captions == ("some green thing", "some white thing")


def test_a_bank_never_holds_a_tested_video(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(load_bank("1k-A", folder)) == 3
    assert len(load_bank("full", folder)) == 2
    monkeypatch.setattr(annotations, "read_val_split", lambda: ["video1"])
    assert len(load_bank("val", folder)) == 2


def test_a_part_of_the_videos_is_evaluated_and_counted(
    folder: Path, make_tar: TarMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = make_tar("part.tar", {"video8/f.png": picture("green"), "video9/f.png": b"broken", "video5/f.png": b""})
    assert msrvtt.main(["--frames", str(tar), "--annotations", str(folder), "--model", "fake"]) == 0
    output = capsys.readouterr()
    assert "1 of 1,000 videos" in output.out
    assert "Not comparable" in output.out
    assert "could not be read: 1" in output.err
    assert "video9/f" in output.err


def test_a_folder_of_videos(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for video, colour in COLOUR_OF.items():
        write_clip(videos / f"{video}.mp4", [colour] * 2)
    (videos / "video9.mp4").write_bytes(b"not a video")
    result = run_json(capsys, videos, "--annotations", folder, "--model", "fake")
    assert (result["videos"], result["failed"]) == (2, 1)
    assert result["t2v"]["R@1"] == 100


def test_saved_scores_give_the_same_figures_again(
    folder: Path, frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "scores"
    first = run_json(capsys, "--frames", frames, "--annotations", folder, "--model", "fake", "--save-similarity", saved)
    again = run_json(capsys, "--similarity", saved, "--annotations", folder)
    assert again["t2v"] == first["t2v"]
    assert again["v2t"] == first["v2t"]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ([], "give one input"),
        (["videos", "--frames", "x"], "give one input"),
        (["--frames", "{frames}"], "--annotations is needed"),
        (["--frames", "{frames}", "--annotations", "{empty}"], "MSRVTT_JSFUSION_test.csv"),
        (["--frames", "{frames}", "--annotations", "{empty}", "--protocol", "full"], "neither MSRVTT_data.json"),
        (["--frames", "{frames}", "--annotations", "{folder}", "--rerank", "itm"], "no matching head"),
        (["--frames", "{frames}", "--annotations", "{folder}", "--rerank", "late", "--post", "dsl"], "--rerank none"),
        (["--similarity", "{missing}"], "not a numpy file"),
        (["--similarity", "{pickle}"], "not a numpy file"),
        (["--similarity", "{small}"], "of shape (1000, 1000)"),
        (["--similarity", "{small}", "--protocol", "full"], "give --annotations"),
        (["--similarity", "{small}", "--annotations", "{folder}", "--post", "qbnorm"], "qbnorm needs a bank"),
        (["--similarity", "{nan}", "--annotations", "{folder}"], "NaN"),
    ],
)
def test_what_cannot_be_used_gives_one_line(
    arguments: list[str],
    cause: str,
    folder: Path,
    frames: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {name: tmp_path / name for name in ("empty", "missing", "pickle", "small", "nan")}
    places["empty"].mkdir()
    for name, content in (("small", np.eye(3)), ("nan", np.full((3, 3), np.nan))):
        with places[name].open("wb") as file:
            np.save(file, content)
    with places["pickle"].open("wb") as file:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    given = [a.format(folder=folder, frames=frames, **places) for a in arguments]
    assert msrvtt.main([*given, "--model", "fake"]) == 1
    output = capsys.readouterr()
    assert cause in output.err
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_damaged_annotations_are_refused(folder: Path) -> None:
    (folder / "MSRVTT_data.json").write_text("[1, 2")
    with pytest.raises(InputError, match="cannot be read"):
        load_benchmark("full", folder)
    (folder / "MSRVTT_data.json").write_text('{"videos": [{}], "sentences": []}')
    with pytest.raises(InputError, match="no lists of videos"):
        load_benchmark("full", folder)


def test_the_cap4video_matrix_gives_its_published_figures(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_json(capsys, "--similarity", shared_data / "similarity" / "msrvtt-1ka-cap4video.npy")
    names = ("R@1", "R@5", "R@10", "MdR", "MnR")
    assert [result["t2v"][n] for n in names] == [48.0, 73.0, 82.9, 2, 13.1]
    assert [result["v2t"][n] for n in names] == [46.0, 74.1, 82.8, 2, 8.7]


def test_the_identical_captions_are_those_of_the_test(shared_data: Path) -> None:
    captions = load_benchmark("1k-A", shared_data / "msrvtt" / "annotations").captions
    assert len(set(captions)) == 995
    same = {c: tuple(i for i, other in enumerate(captions) if other == c) for c in captions}
    assert sorted(rows for rows in same.values() if len(rows) > 1) == sorted(IDENTICAL_CAPTIONS_1K_A)
    assert len(set(identical_texts(1000))) == 995


def test_the_protocols_have_their_sizes(shared_data: Path) -> None:
    full = load_benchmark("full", shared_data / "msrvtt" / "annotations")
    assert (len(full.videos), len(full.captions)) == (2990, 59800)
