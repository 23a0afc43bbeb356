"""Pictures by name, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.gallery import PictureFrames, VideoFolder, evenly
from eval.pictures import Pictures, fit_picture
from tests.eval.conftest import TarMaker, picture
from vsearch.errors import MediaError, PathError
from vsearch.models.protocols import FrameSize

SIZE = FrameSize(8, 6)


def test_folder_and_tar_are_one_set_of_names_without_endings(tmp_path: Path, make_tar: TarMaker) -> None:
    tar = make_tar("a.tar", {"./video1/f0.webp": picture("red", "webp"), "video1/f1.jpg": picture("blue", "jpg")})
    folder = tmp_path / "more"
    (folder / "video2").mkdir(parents=True)
    (folder / "video2" / "f0.png").write_bytes(picture("green"))
    (folder / "video2" / "notes.txt").write_text("no picture")
    with Pictures([tar, folder]) as pictures:
        assert pictures.names == ["video1/f0", "video1/f1", "video2/f0"]
        assert "video1/f0.png" in pictures  # by another ending
        assert pictures.read("video2/f0", SIZE).shape == (6, 8, 3)
        assert pictures.read("video2/f0.webp", SIZE)[0, 0].tolist() == [0, 255, 0]
        assert PictureFrames(pictures).videos == ["video1", "video2"]
        with pytest.raises(PathError, match="no picture is called"):
            pictures.read("video9/f0", SIZE)


def test_a_folder_of_tar_files_is_their_pictures(make_tar: TarMaker) -> None:
    folder = make_tar("one.tar", {"video1/f0.png": picture("red")}).parent
    make_tar("two.tar", {"video2/f0.png": picture("blue")})
    with Pictures([folder]) as pictures:
        assert pictures.names == ["video1/f0", "video2/f0"]
    (folder / "loose.png").write_bytes(picture("green"))  # then tar files beside it are something else
    with Pictures([folder]) as pictures:
        assert pictures.names == ["loose"]


def test_members_that_would_leave_the_folder_are_only_names(tmp_path: Path, make_tar: TarMaker) -> None:
    tar = make_tar("b.tar", {"../../escaped/f0.png": picture("red")})
    with Pictures([tar]) as pictures:
        assert pictures.read("../../escaped/f0", SIZE).shape == (6, 8, 3)
    assert not list(tmp_path.parent.glob("escaped"))


def test_a_damaged_picture_is_named(make_tar: TarMaker) -> None:
    whole = picture("red")
    tar = make_tar("c.tar", {"v/cut.png": whole[: len(whole) // 2], "v/empty.png": b"", "v/text.webp": b"hello"})
    with Pictures([tar]) as pictures:
        for name in pictures.names:
            with pytest.raises(MediaError, match=name):
                pictures.read(name, SIZE)
        with pytest.raises(MediaError, match="cannot be read"):
            PictureFrames(pictures).read("v", SIZE)


def test_a_video_goes_on_without_its_damaged_frame(make_tar: TarMaker) -> None:
    tar = make_tar("d.tar", {"v/1.png": picture("red"), "v/2.png": b"broken", "v/3.png": picture("blue")})
    with Pictures([tar]) as pictures:
        frames = PictureFrames(pictures).read("v", SIZE)
    assert frames[:, 0, 0].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_sources_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar").write_text("this is no archive")
    for name, cause in (("missing", "does not exist"), ("empty", "no picture"), ("text.tar", "neither a folder nor")):
        with pytest.raises(PathError, match=cause):
            Pictures([tmp_path / name])
    with pytest.raises(PathError, match="not a folder"):
        VideoFolder(tmp_path / "missing")


def test_crop_keeps_the_aspect_and_squash_keeps_the_whole() -> None:
    wide = Image.new("RGB", (90, 30), (255, 0, 0))
    wide.paste((0, 0, 255), (30, 0, 60, 30))  # the middle third is blue
    cropped = fit_picture(wide, FrameSize(12, 12, "crop"))
    assert cropped.shape == (12, 12, 3)
    assert cropped[:, 1:-1, 2].min() > 200
    squashed = fit_picture(wide, FrameSize(12, 12, "squash"))
    assert squashed[6, 1].tolist() == [255, 0, 0]
    assert squashed[6, 6].tolist() == [0, 0, 255]


def test_grey_and_transparent_pictures_are_rgb() -> None:
    for mode in ("L", "P", "RGBA", "I;16", "1"):
        assert fit_picture(Image.new(mode, (9, 9)), SIZE).shape == (6, 8, 3)


def test_evenly_takes_the_first_and_the_last() -> None:
    assert evenly(list(range(100)), 3) == [0, 50, 99]
    assert evenly([1, 2], 12) == [1, 2]
    assert len(np.unique(evenly(list(range(13)), 12))) == 12
