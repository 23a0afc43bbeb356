"""Every scene gets a small picture of itself, whichever way it is made."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.indexer.doubles import MeanColour
from tests.media import COLOURS, DECODERS, Made, Shot, make_video
from vsearch.errors import MediaError
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import ThumbnailsMade, Unchanged
from vsearch.indexer.probe import Probed, probe_video
from vsearch.indexer.stills import stills
from vsearch.indexer.thumbnails import MAX_BYTES, Thumbnails, checked_thumbnail
from vsearch.library import SqliteStore
from vsearch.media import Pixels, Scene

LOOKS = ["red", "green", "blue", "yellow"]


def picture(jpeg: bytes | None) -> Pixels:
    """[h, w, 3]."""
    assert jpeg is not None
    with Image.open(BytesIO(jpeg)) as opened:
        assert opened.format == "JPEG"
        return np.asarray(opened.convert("RGB"))


def colour(jpeg: bytes | None) -> str:
    mean = picture(jpeg).reshape(-1, 3).mean(0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def index(library: SqliteStore, *paths: Path, **options: object) -> list[object]:
    return list(run_index(library, IndexPlan(MeanColour(), IndexOptions(**options)), paths))  # type: ignore[arg-type]


def pictures(library: SqliteStore, path: Path) -> list[bytes | None]:
    row = library.find_file(path)
    assert row is not None
    return [library.thumbnail(scene.id) for scene in library.scenes_of(row.video_id)]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Four shots of 1.5 s, 640x360, one key frame alone: at the very beginning."""
    shots = [Shot(look, 1.5) for look in LOOKS]
    options = {"preset": "ultrafast", "sc_threshold": "0", "g": "1000", "keyint_min": "1000"}
    return make_video(
        tmp_path_factory.mktemp("colours") / "colours.mp4", shots, size=(640, 360), gop=1000, codec_options=options
    )


@pytest.mark.parametrize("decoder", DECODERS)
def test_each_scene_has_one_of_its_own(library: SqliteStore, colours: Made, decoder: str) -> None:
    index(library, colours.path, decoders=(decoder,))
    made = pictures(library, colours.path)
    assert [colour(jpeg) for jpeg in made] == LOOKS
    assert {picture(jpeg).shape for jpeg in made} == {(180, 320, 3)}
    assert library.verify().clean


def test_it_is_turned_as_a_player_turns_it(library: SqliteStore, tmp_path: Path) -> None:
    made = make_video(tmp_path / "v.mp4", [Shot("corner", 1.0)], size=(640, 360), rotation=90)
    index(library, made.path)
    (jpeg,) = pictures(library, made.path)
    shown = picture(jpeg)
    assert shown.shape == (320, 180, 3)
    assert shown[20, -20].min() > 200 > shown[20, 20].min()  # the white corner was the upper left one


def test_a_small_video_is_not_enlarged_and_a_single_frame_is_enough(library: SqliteStore, tmp_path: Path) -> None:
    made = make_video(tmp_path / "v.mp4", [Shot("blue", 0.04)], size=(64, 48))
    index(library, made.path)
    (jpeg,) = pictures(library, made.path)
    assert picture(jpeg).shape == (48, 64, 3) and colour(jpeg) == "blue"


def test_what_was_indexed_without_gets_them_without_encoding(
    library: SqliteStore, colours: Made, clip: Made, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for made in (colours, clip):
        shutil.copy(made.path, folder)
    index(library, folder)
    _forget_thumbnails(library)
    assert len(library.videos_without_thumbnails()) == 2
    assert set(pictures(library, folder / "colours.mp4")) == {None}
    encoder = MeanColour()
    events = list(run_index(library, IndexPlan(encoder), [folder]))
    told = {event.path.name: event.thumbnails for event in events if isinstance(event, ThumbnailsMade)}
    assert told == {"colours.mp4": 4, "clip.mp4": 3}
    assert encoder.encoded == 0 and sum(isinstance(event, Unchanged) for event in events) == 2
    assert [colour(jpeg) for jpeg in pictures(library, folder / "colours.mp4")] == LOOKS
    assert colour(pictures(library, folder / "clip.mp4")[0]) == "red"
    assert not any(isinstance(event, ThumbnailsMade) for event in index(library, folder))
    assert library.verify().clean


def test_a_dry_run_and_other_folders_leave_the_missing_alone(library: SqliteStore, clip: Made, tmp_path: Path) -> None:
    index(library, clip.path)
    _forget_thumbnails(library)
    index(library, clip.path, dry_run=True)
    index(library, tmp_path)
    assert pictures(library, clip.path) == [None] * 3


def test_what_cannot_be_decoded_any_more_is_tried_once(library: SqliteStore, clip: Made, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    shutil.copy(clip.path, path)
    index(library, path)
    _forget_thumbnails(library)
    status = path.stat()
    path.write_bytes(b"\0" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [e.thumbnails for e in index(library, path) if isinstance(e, ThumbnailsMade)] == [0]
    assert pictures(library, path) == [None] * 3
    assert not any(isinstance(event, ThumbnailsMade) for event in index(library, path))


def test_key_frames_are_enough_where_there_are_some(clip: Made) -> None:
    """The clip has one a second."""
    found = [item for item in stills(clip.path, [Scene(0.0, 1.0), Scene(1.0, 2.5)]) if isinstance(item, tuple)]
    assert sorted(at for at, _ in found) == [0, 1] and colour(dict(found)[0]) == "red"


def test_stills_of_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError):
        list(stills(tmp_path / "a.mp4", [Scene(0, 1)]))


class _Numbered:
    """A frame whose thumbnail says its time."""

    def __init__(self, time: float) -> None:
        self.time, self.end = time, time + 0.04

    def small(self) -> Pixels:
        raise NotImplementedError

    pixels = small

    def thumbnail(self) -> Pixels:
        return np.full((8, 8, 3), min(255, round(self.time)), np.uint8)


def test_a_long_shot_is_remembered_sparsely_and_each_part_finds_its_own() -> None:
    keeper = Thumbnails()
    keeper.begin(0.0)
    for tick in range(200 * 25):
        keeper.see(_Numbered(tick / 25))
    assert len(keeper._kept) < 60
    for part in range(20):
        scene = Scene(part * 10.0, part * 10.0 + 10)
        seen = picture(keeper.take(scene)).mean()
        assert scene.start - 1 <= seen <= scene.end + 1
    assert keeper.take(Scene(200.0, 201.0))  # better another than none
    assert Thumbnails().take(Scene(0, 1)) == b""


@pytest.mark.parametrize("payload", [b"<html>", b"\xff\xd8\xff" + b"\0" * MAX_BYTES])
def test_what_a_decoder_sends_must_look_like_a_thumbnail(payload: bytes) -> None:
    with pytest.raises(ValueError, match="small JPEG"):
        checked_thumbnail(payload)
    assert checked_thumbnail(b"") == b""


@pytest.mark.parametrize("size", [(640, 2), (2, 640)])
def test_extreme_shapes(tmp_path: Path, size: tuple[int, int]) -> None:
    made = make_video(tmp_path / "v.mkv", [Shot("red", 0.2)], size=size, codec="ffv1")
    assert isinstance(probe_video(made.path), Probed)
    ((_, jpeg),) = [item for item in stills(made.path, [Scene(0.0, 0.2)]) if isinstance(item, tuple)]
    assert max(picture(jpeg).shape) == 320


def _forget_thumbnails(library: SqliteStore) -> None:
    with sqlite3.connect(library.path / "catalog.db") as connection:
        connection.execute("DELETE FROM thumbnails")
    connection.close()
