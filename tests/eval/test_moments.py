"""Long files made of generated clips: where the clips are put, and that the product finds the place again."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from eval import moments
from eval.moments import FPS, METRICS, SIZE, Place, concatenate, estimates, groups, overlap
from tests.eval.conftest import write_clip
from vsearch.media import Hit


def hit(name: str, start: float, end: float) -> Hit:
    return Hit(1, 0.5, Path(name), start, end, {}, start)


def test_overlap_is_intersection_over_union_in_the_right_file() -> None:
    place = Place(Path("/a.mp4"), 10, 20)
    assert overlap(hit("/a.mp4", 10, 20), place) == 1
    assert overlap(hit("/a.mp4", 15, 25), place) == pytest.approx(5 / 15)
    assert overlap(hit("/a.mp4", 0, 40), place) == pytest.approx(10 / 40)
    assert overlap(hit("/a.mp4", 20, 30), place) == 0
    assert overlap(hit("/b.mp4", 10, 20), place) == 0
    assert overlap(None, place) == 0


def test_figures_by_hand() -> None:
    found = estimates(np.array([1.0, 0.7, 0.5, 0.2]), np.array([0, 1, 2, 2]))
    assert [found[name].value for name in METRICS] == pytest.approx([75, 50, 60])


def test_every_clip_is_in_one_group_and_the_seed_decides_the_order() -> None:
    names = [f"{at}.mp4" for at in range(7)]
    made = groups(names, 3, seed=1)
    assert [len(group) for group in made] == [3, 3, 1]
    assert sorted(name for group in made for name in group) == names
    assert groups(names[::-1], 3, seed=1) == made != groups(names, 3, seed=2)


def test_clips_lie_behind_each_other_and_a_broken_one_is_left_out(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", ["red", "red"])
    write_clip(tmp_path / "b.mp4", ["blue"])
    (tmp_path / "c.mp4").write_bytes(b"no video")
    clips = {name: tmp_path / name for name in ("b.mp4", "c.mp4", "a.mp4")}
    places, failed = concatenate(clips, tmp_path / "long.mp4")
    assert list(places) == ["b.mp4", "a.mp4"]
    assert len(failed) == 1 and "c.mp4" in failed[0]
    assert places["b.mp4"].start == 0 and places["b.mp4"].end == places["a.mp4"].start
    assert places["b.mp4"].end == pytest.approx(1, abs=0.3)  # the last picture of five a second has no length
    with av.open(str(tmp_path / "long.mp4")) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert frames[0][1].shape == (*SIZE[::-1], 3)
    assert len(frames) / FPS == pytest.approx(places["a.mp4"].end)
    for time, pixels in frames:
        red, _, blue = pixels.mean(axis=(0, 1))
        assert (blue > red) == (time < places["b.mp4"].end)


def test_the_product_finds_where_a_clip_was_put(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colours = ("red", "green", "blue", "yellow", "cyan", "magenta")
    for colour in colours:
        # Two shots that a caption covers both: white is what no sentence asks for.
        write_clip(tmp_path / f"{colour}.mp4", [colour, colour, "white", colour, colour])
    table = "".join(f"{colour}.mp4\ta {colour} thing\n" for colour in colours)
    (tmp_path / "captions.tsv").write_text(table)
    assert moments.main([str(tmp_path), "--model", "fake", "--clips", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["files"], result["clips"], result["captions"], result["failed"]) == (2, 6, 6, 0)
    assert result["moments, all files"]["R@1 IoU 0.7"] == 100
    assert result["scenes, all files"]["R@1 IoU 0.7"] == 0
    assert result["moments, right file"]["mean IoU"] > 90


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert moments.main([str(tmp_path / "gone"), "--model", "fake"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
