"""One picture of a video: the one that a player shows, turned as it turns it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clips.numbered import make_numbered, read_number
from vsearch.clips import still
from vsearch.errors import MediaError, PathError


@pytest.mark.parametrize("time", [0.0, 0.999, 1.0, 2.02, 3.99])
def test_the_picture_that_is_shown_at_a_time(tmp_path: Path, time: float) -> None:
    made = make_numbered(tmp_path / "a.mp4", 4.0, audio="aac")
    data, shown = still(made.path, time)
    number = read_number(np.asarray(Image.open(io.BytesIO(data))))
    assert number == made.within(time + 0.001, time + 0.002)[0]
    assert shown == pytest.approx(made.times[number], abs=0.002) or time < made.times[0]


def test_it_is_turned_and_made_small(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "a.mp4", 1.0, rotation=90, size=(320, 192))
    picture = Image.open(io.BytesIO(still(made.path, 0.5, side=160)[0]))
    assert picture.size == (96, 160)
    assert read_number(np.rot90(np.asarray(picture))) == 12


def test_no_picture_is_one_line(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "a.mp4", 1.0)
    with pytest.raises(MediaError, match="no picture can be decoded"):
        still(made.path, 30.0)
    with pytest.raises(PathError, match="cannot be read"):
        still(tmp_path / "gone.mp4", 0.0)
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="no picture"):
        still(tmp_path / "b.mp4", 0.0)
