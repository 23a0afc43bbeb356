"""Reading sets: unusable rows are left out, test videos are refused."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.made_data import write_tar
from vsearch.errors import PathError
from vsearch.training.data import (
    Item,
    PictureSet,
    list_pictures,
    load_captioned,
    load_labels,
    load_msrvtt,
    split_validation,
)
from vsearch.training.features import view_of

SPLIT = Path(__file__).parents[2] / "eval" / "splits" / "msrvtt_val.txt"
DATA = Path(__file__).parents[3] / "shared" / "data"


def write_pictures(path: Path, names: list[str]) -> None:
    members = {}
    for name in names:
        content = io.BytesIO()
        Image.new("RGB", (8, 6), (len(name), 0, 0)).save(content, "PNG")
        members[name] = content.getvalue()
    write_tar(path, members)


def test_rows_without_caption_or_picture_are_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pictures(tmp_path / "images.tar", ["a.png", "b.webp"])
    table = tmp_path / "captions.tsv"
    table.write_text(
        "file\tcaption\na.jpg\ta dog\na.jpg\tone dog\nb.webp\t \ngone.png\ta cat\nb.webp\n", encoding="utf-8"
    )
    pictures = load_captioned("mine", tmp_path / "images.tar", table)
    assert [(item.key, item.captions) for item in pictures.items] == [("a", ("a dog", "one dog"))]
    assert pictures.pictures == ("a", "b")
    assert caplog.text.count("left out") == 3 and "gone.png" in caplog.text


def test_folder_is_read_like_a_tar_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.b.jpg").write_bytes(b"x")
    assert list_pictures(tmp_path) == ["deep/a.b"]


def test_missing_set_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"images\.tar is missing"):
        load_captioned("mine", tmp_path / "images.tar", tmp_path / "captions.tsv")


def test_labels_are_split_into_groups_with_templates(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images.tar", ["p/1.webp", "p/2.webp", "s/1.webp"])
    rows = [
        "file\tset\tsplit\tphrase",
        "p/1.webp\tminiplaces100\ttrain\ta beach",
        "p/2.webp\tminiplaces100\tval\ta beach",
    ]
    rows += [
        "s/1.webp\tsports100\ttrain\tjudo",
        "p/9.webp\tminiplaces100\ttrain\ta gym",
        "s/1.webp\tsports100\ttrain\t",
    ]
    (tmp_path / "labels.tsv").write_text("\n".join(rows), encoding="utf-8")
    groups = {pictures.name: pictures for pictures in load_labels(tmp_path, "train")}
    assert [item.key for item in groups["places"].items] == ["p/1"]
    assert "a view of a beach" in groups["places"].items[0].captions
    assert groups["places"].items[0].label == load_labels(tmp_path, "val")[3].items[0].label
    assert len(groups["sports"].items) == 1 and not groups["events"].items


def write_msrvtt(folder: Path) -> None:
    """Four videos, of which one is in no training list and one in the test list."""
    write_pictures(
        folder / "frames" / "train-0.tar", ["video10/a.webp", "video10/b.webp", "video2/a.webp", "video5/a.webp"]
    )
    write_pictures(folder / "frames" / "train-1.tar", ["video7/a.jpg"])
    (folder / "annotations").mkdir()
    for name, ids in (("MSRVTT_train.9k", ["video2", "video7", "video10"]), ("MSRVTT_JSFUSION_test", ["video7"])):
        with (folder / "annotations" / f"{name}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerows([["video_id"], *([i] for i in ids)])
    said = [{"video_id": f"video{v}", "sen_id": str(s), "caption": f"{v} {s}"} for v in (10, 2, 5, 7) for s in (11, 9)]
    with zipfile.ZipFile(folder / "annotations" / "MSRVTT_data.json.zip", "w") as archive:
        archive.writestr("MSRVTT_data.json", json.dumps({"sentences": said}))


def test_test_videos_are_refused_even_with_frames(tmp_path: Path) -> None:
    write_msrvtt(tmp_path)
    pictures = load_msrvtt(tmp_path)
    assert [item.key for item in pictures.items] == ["video2", "video10"]
    frames = [[pictures.pictures[place] for place in item.pictures] for item in pictures.items]
    assert frames == [["video2/a"], ["video10/a", "video10/b"]]
    assert pictures.items[0].captions == ("2 9", "2 11")


def test_validation_keeps_one_caption_and_is_not_in_training(tmp_path: Path) -> None:
    write_msrvtt(tmp_path)
    train, validation = split_validation(load_msrvtt(tmp_path), ["video10"])
    assert [item.key for item in train.items] == ["video2"]
    assert [(item.key, item.captions) for item in validation.items] == [("video10", ("10 9",))]
    with pytest.raises(PathError, match="1 validation videos have no frames, the first: video77"):
        split_validation(load_msrvtt(tmp_path), ["video77"])


def test_committed_split_is_400_videos_in_natural_order() -> None:
    held = SPLIT.read_text(encoding="utf-8").split()
    assert len(set(held)) == len(held) == 400
    assert held == sorted(held, key=lambda video: int(video.removeprefix("video")))


@pytest.mark.skipif(not (DATA / "msrvtt").is_dir(), reason="the real sets are not here")
def test_committed_split_is_drawn_by_its_seed() -> None:
    pictures = load_msrvtt(DATA / "msrvtt")
    keys = sorted((item.key for item in pictures.items), key=lambda key: int(key.removeprefix("video")))
    drawn = np.random.default_rng(2026).choice(len(keys), 400, replace=False)
    assert [keys[place] for place in sorted(drawn.tolist())] == SPLIT.read_text(encoding="utf-8").split()


def test_views_are_plain_mirrored_and_fixed_crops() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (48, 1, 3))
    picture = Image.fromarray(ramp)
    plain, mirrored = (view_of(picture, view, 32, 5).astype(int) for view in (0, 1))
    assert plain.shape == (32, 32, 3)
    assert np.abs(plain[:, ::-1] - mirrored).max() <= 1
    crops = [view_of(picture, 2, 32, seed) for seed in (5, 5, 6)]
    assert np.array_equal(crops[0], crops[1]) and not np.array_equal(crops[0], crops[2])


def test_split_shares_pictures() -> None:
    pictures = PictureSet("x", (), ("a", "b"), (Item("a", (0,), ("dog",)), Item("b", (1,), ("cat",))))
    assert pictures.take(pictures.items[:1]).pictures == pictures.pictures
