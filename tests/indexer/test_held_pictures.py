"""A picture stands for a scene only where it is on screen there: variable frame rate, and pictures that are held."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.indexer.conftest import Run
from tests.indexer.doubles import DictLibrary, MeanColour
from tests.media import COLOURS
from vsearch.indexer import IndexPlan, run_index
from vsearch.indexer.events import Indexed
from vsearch.indexer.stills import stills
from vsearch.library import SqliteStore
from vsearch.media import Scene


def make_held(path: Path, shown: Sequence[tuple[float, str]], end: float, codec: str = "libx264") -> Path:
    """Pictures of one colour each, at the given seconds; the last is shown until `end` where the container says so."""
    base = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = stream.time_base = base
        stream.codec_context.max_b_frames = 0
        for time, look in shown:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), COLOURS[look], np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), base
            container.mux(stream.encode(frame))
        for packet in stream.encode(None):
            packet.duration = round((end - shown[-1][0]) * 1000)
            container.mux(packet)
    return path


def colour(picture: bytes) -> str:
    mean = np.asarray(Image.open(BytesIO(picture)).convert("RGB")).reshape(-1, 3).mean(0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


SCREEN = [*((n / 25, "red") for n in range(50)), *((22 + n / 25, "blue") for n in range(50)), (60.0, "green")]
"""A recording of a screen: two seconds of one picture, which stays; the same of another; a last picture."""


def right(start: float, end: float) -> str:
    middle = (start + end) / 2
    return "red" if middle < 22 else "blue" if middle < 60 else "green"


@pytest.mark.parametrize("name", ["screen.mp4", "screen.mkv"])
def test_thumbnails_are_of_the_picture_that_is_held(tmp_path: Path, name: str) -> None:
    path = make_held(tmp_path / name, SCREEN, 61.0)
    with SqliteStore.open(tmp_path / "library", create=True) as library:
        list(run_index(library, IndexPlan(MeanColour()), [path]))
        row = library.find_file(path)
        assert row is not None
        scenes = library.scenes_of(row.video_id)
        made = [(scene.start, scene.end, library.thumbnail(scene.id) or b"") for scene in scenes]
    assert len(made) > 6
    assert [colour(jpeg) for *_, jpeg in made] == [right(start, end) for start, end, _ in made]


def test_what_is_encoded_is_the_picture_that_is_held(run: Run, library: DictLibrary, tmp_path: Path) -> None:
    run(make_held(tmp_path / "screen.mp4", SCREEN, 61.0))
    (record,) = library.records.values()
    looks = np.array([COLOURS[look] for look in COLOURS], np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    seen = [
        (float(time), list(COLOURS)[int((looks @ vector.astype(np.float32)).argmax())])
        for scene in record.scenes
        for time, vector in zip(scene.frame_times, scene.frame_vectors, strict=True)
    ]
    assert len(seen) > 50
    assert [look for _, look in seen] == [right(time, time) for time, _ in seen]


def test_thumbnails_that_are_made_later_are_of_the_picture_that_is_held(tmp_path: Path) -> None:
    path = make_held(tmp_path / "screen.mkv", SCREEN, 61.0)
    scenes = [Scene(float(start), float(start + 4)) for start in range(0, 60, 4)]
    found = dict(item for item in stills(path, scenes) if isinstance(item, tuple))
    assert [colour(found[at]) for at in range(len(scenes))] == [right(scene.start, scene.end) for scene in scenes]


@pytest.mark.parametrize("name", ["screen.mp4", "screen.mkv"])
def test_a_picture_may_be_held_for_hours(run: Run, tmp_path: Path, name: str) -> None:
    later = 3700.0
    shown = [(0.0, "red"), (0.04, "red"), (later, "blue"), (later + 0.04, "blue"), (later + 0.08, "blue")]
    events, _ = run(make_held(tmp_path / name, shown, later + 0.12))
    (indexed,) = [event for event in events if isinstance(event, Indexed)]
    assert indexed.warning is None
    assert indexed.seconds == pytest.approx(later + 0.12, abs=0.05)
