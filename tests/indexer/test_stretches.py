"""Frames of stretches of videos: the right ones, at most so many, and a broken file is one error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.media import Shot, make_video, truncate
from vsearch.errors import MediaError
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.stretches import ClipReader
from vsearch.models.protocols import FrameSize

SIZE = FrameSize(16, 12)
END = float("inf")


@pytest.fixture(scope="module")
def reader() -> Iterator[ClipReader]:
    with ClipReader(IndexOptions(hang_seconds=60)) as reader:
        yield reader


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_video(path, [Shot("red", 4), Shot("green", 4), Shot("blue", 4)], size=(64, 48))
    return path


def colours(frames: np.ndarray) -> str:
    return "".join("rgb"[channel] for channel in frames.mean((1, 2)).argmax(1))


def test_each_stretch_gets_its_own_frames(reader: ClipReader, film: Path) -> None:
    whole, green, short, beyond = reader.frames(film, [(0, END), (4, 8), (9.1, 9.3), (60, 70)], SIZE, 12)
    assert colours(green) == "g" * len(green) and 2 <= len(green) <= 12
    assert colours(short) == "b" * len(short) and len(short) >= 1
    assert colours(whole)[0] == "r" and colours(whole)[-1] == "b" and len(whole) == 12
    assert beyond.shape == (0, 12, 16, 3)


def test_a_long_stretch_is_thinned_evenly(reader: ClipReader, film: Path) -> None:
    [thin] = reader.frames(film, [(0, END)], SIZE, 3)
    assert colours(thin) == "rgb"


def test_copies_have_one_key(reader: ClipReader, film: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    assert reader.key(copy) == reader.key(film)
    with pytest.raises(MediaError, match="cannot be read"):
        reader.key(tmp_path / "none.mp4")


def test_a_file_that_is_no_video_is_one_error_and_the_next_is_read(
    reader: ClipReader, film: Path, tmp_path: Path
) -> None:
    (tmp_path / "words.mp4").write_text("not a video")
    for broken in (tmp_path / "words.mp4", tmp_path / "gone.mp4", truncate(film, tmp_path / "head.mp4", 0.1)):
        with pytest.raises(MediaError):
            reader.frames(broken, [(0, END)], SIZE, 4)
    assert colours(reader.frames(film, [(0, 4)], SIZE, 4)[0]) == "rrrr"


def test_a_decoder_that_dies_leaves_the_next_to_try(film: Path) -> None:
    options = IndexOptions(hang_seconds=60, decoders=("tests.indexer.broken:crashes", "pyav"))
    with ClipReader(options) as reader:
        assert colours(reader.frames(film, [(0, 4)], SIZE, 2)[0]) == "rr"
    only = IndexOptions(hang_seconds=60, decoders=("tests.indexer.broken:crashes",))
    with ClipReader(only) as reader, pytest.raises(MediaError, match="crashed"):
        reader.frames(film, [(0, 4)], SIZE, 2)
