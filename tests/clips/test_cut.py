"""Spans of numbered videos of many kinds: the right pictures at the right times, and the sound with them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.clips.numbered import Numbered, draw_number, loud_spans, make_numbered, read_number, read_numbers
from tests.media import truncate
from tests.sounds import beeps, write_sound
from vsearch.child_messages import write_message
from vsearch.clips import browser_can_play, cut
from vsearch.clips.kinds import ENCODERS
from vsearch.clips.messages import CheckBrowser
from vsearch.clips.write import write_clip
from vsearch.errors import MediaError, PathError
from vsearch.indexer.probe import Probed, probe_video

UNEVEN = list(itertools.accumulate([20, 40, 80, 33] * 35, initial=0))

MEDIA: dict[str, dict[str, Any]] = {
    "plain.mp4": {"audio": "aac"},
    "film.mp4": {"rate": Fraction(24000, 1001)},
    "ntsc.mkv": {"rate": Fraction(30000, 1001), "audio": "aac"},
    "variable.mp4": {"ticks": UNEVEN, "time_base": Fraction(1, 1000)},
    "variable.mkv": {"ticks": UNEVEN, "time_base": Fraction(1, 1000)},
    "b-frames.mp4": {"b_frames": 4},
    "b-frames.mkv": {"b_frames": 4},
    "offset.mkv": {"offset": 7.0, "audio": "aac"},
    "offset.ts": {"offset": 7.0, "audio": "aac"},
    "programme.mpg": {"codec": "mpeg2video", "gop": 15},
    "old.avi": {"codec": "mpeg4", "gop": 12},
    "h264.avi": {"b_frames": 0},
    "pictures.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "audio": "mp2"},
    "odd.mkv": {"codec": "ffv1", "pix_fmt": "yuv444p", "size": (161, 97)},
    "vp8.webm": {"codec": "libvpx", "audio": "libopus", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "hevc.mp4": {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none"}},
    "turned.mp4": {"rotation": 90},
}


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Numbered]:
    """One of MEDIA, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("media")
    return cache(lambda name: make_numbered(folder / name, **MEDIA[name]))


@pytest.mark.parametrize("name", MEDIA)
def test_exact_to_the_frame(tmp_path: Path, media: Callable[[str], Numbered], name: str) -> None:
    made, turn = media(name), MEDIA[name].get("rotation", 0)
    start, end = made.times[61], made.times[98]
    clip = write_clip(made.path, tmp_path / "clip", start, end, "exact")
    assert not clip.copied and clip.suffix == ".mp4"
    numbers, times = read_numbers(tmp_path / "clip", turn)
    assert numbers == made.within(start, end)
    assert (clip.start, clip.end) == pytest.approx((start, end), abs=0.002)
    assert [start + time for time in times] == pytest.approx([made.times[n] for n in numbers], abs=0.002)
    with av.open(str(tmp_path / "clip")) as container:
        assert container.start_time == 0
        assert float(
            (container.streams.video[0].duration or 0) * container.streams.video[0].time_base
        ) == pytest.approx(end - start, abs=0.003)


@pytest.mark.parametrize("name", MEDIA)
def test_copies_begin_with_the_key_frame_and_say_so(
    tmp_path: Path, media: Callable[[str], Numbered], name: str
) -> None:
    made, turn = media(name), MEDIA[name].get("rotation", 0)
    start, end = made.times[61], made.times[98]
    clip = write_clip(made.path, tmp_path / "clip", start, end, "copy")
    numbers, times = read_numbers(tmp_path / "clip", turn)
    first = made.times.index(pytest.approx(clip.start, abs=0.002))
    assert clip.copied is (name != "h264.avi"), "AVI does not say when an H.264 picture is shown"
    key = MEDIA[name].get("gop", 50)
    assert first == (61 // key * key if clip.copied else 61) or MEDIA[name].get("codec") in ("mjpeg", "ffv1", "libx265")
    assert numbers[: 98 - first] == list(range(first, 98))
    if clip.suffix in (".mp4", ".mov"):  # the others have no edit lists
        assert len(numbers) == 98 - first
    assert len(numbers) - (98 - first) <= 5, "more than the pictures that wait to be reordered"
    after = made.times[numbers[-1] + 1]
    assert clip.end == pytest.approx(after, abs=0.003 if "ticks" not in MEDIA[name] else 0.1), "it says where it ends"
    assert [clip.start + time - times[0] for time in times] == pytest.approx(
        [made.times[n] for n in numbers], abs=0.003
    )


@pytest.mark.parametrize("name", MEDIA)
def test_browsers_play_it(tmp_path: Path, media: Callable[[str], Numbered], name: str) -> None:
    made, turn = media(name), MEDIA[name].get("rotation", 0)
    start, end = made.times[72], made.times[98]
    clip = cut(made.path, tmp_path / "clip", start, end, "browser")
    assert clip.path == tmp_path / "clip.mp4" and not clip.copied
    assert browser_can_play(clip.path)
    numbers, _ = read_numbers(clip.path, turn)
    assert numbers == made.within(start, end)
    data = clip.path.read_bytes()
    assert 0 <= data.index(b"moov") < data.index(b"mdat"), "the table of contents comes first"


def test_what_browsers_know_is_copied_where_a_key_frame_is_near(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.mkv", audio="aac", gop=25)
    clip = cut(made.path, tmp_path / "near", made.times[52], 3.2, "browser")
    assert clip.copied and clip.start == pytest.approx(2.0) and clip.path.suffix == ".mp4"
    assert browser_can_play(clip.path) and not browser_can_play(made.path)
    assert read_numbers(clip.path)[0] == list(range(50, 80))
    assert not cut(made.path, tmp_path / "far", 2.9, 3.2, "browser").copied


def test_pictures_are_copied_though_the_sound_must_be_encoded(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.mkv", audio="mp2", gop=25)
    clip = cut(made.path, tmp_path / "v", 2.0, 3.5, "browser")
    assert clip.copied and browser_can_play(clip.path)
    (heard,) = loud_spans(clip.path)
    assert heard == pytest.approx((0.5, 1.0), abs=0.04)


@pytest.mark.parametrize("how", ["copy", "exact", "browser"])
@pytest.mark.parametrize("name", ["plain.mp4", "ntsc.mkv", "offset.mkv", "offset.ts", "pictures.avi", "vp8.webm"])
def test_sound_stays_with_the_pictures(tmp_path: Path, media: Callable[[str], Numbered], name: str, how: str) -> None:
    made = media(name)
    clip = write_clip(made.path, tmp_path / "clip", made.times[56], 3.6, how)
    (heard,) = loud_spans(tmp_path / "clip")
    pictures = read_numbers(tmp_path / "clip")[1][0]
    assert heard[0] - pictures == pytest.approx(2.5 - clip.start, abs=0.05)
    assert heard[1] - heard[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("how", ["copy", "exact", "browser"])
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "mp3"), ("a.m4a", "aac"), ("a.flac", "flac"), ("a.wav", "pcm_s16le")]
)
def test_sound_alone(tmp_path: Path, name: str, codec: str, how: str) -> None:
    rate = 44_100 if codec == "mp3" else 48_000
    source = write_sound(tmp_path / name, [beeps(6, (2.5, 3.0), rate=rate)], codec=codec, rate=rate)
    clip = cut(source, tmp_path / "clip", 2.0, 4.0, how)  # type: ignore[arg-type]
    assert clip.start == pytest.approx(2.0, abs=0.03)
    (heard,) = loud_spans(clip.path)
    assert heard == pytest.approx((0.5, 1.0), abs=0.08)
    if how == "browser":
        assert browser_can_play(clip.path) and clip.path.suffix == ".m4a"


def test_a_picture_that_is_held_fills_the_clip(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "slides.mp4", ticks=[0, 4000, 8000], time_base=Fraction(1, 1000), gop=1)
    clip = cut(made.path, tmp_path / "clip", 5.0, 7.0, "exact")
    assert (clip.start, clip.end) == (5.0, 7.0)
    assert read_numbers(clip.path) == ([1], [0.0])
    with av.open(str(clip.path)) as container:
        assert (container.duration or 0) / 1e6 == pytest.approx(2.0, abs=0.01)


def test_sound_that_ends_before_the_pictures_becomes_silence(tmp_path: Path) -> None:
    short = tmp_path / "v.mkv"
    with av.open(str(short), "w") as container:
        video, sound = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=48_000)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), format="s16", layout="mono")
        wave.rate, wave.pts, wave.time_base = 48_000, 0, Fraction(1, 48_000)
        container.mux([*sound.encode(wave), *sound.encode(None)])
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(draw_number(number, (160, 96)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    clip = cut(short, tmp_path / "clip", 2.0, 3.0, "browser")
    assert browser_can_play(clip.path) and loud_spans(clip.path) == []


def test_a_wide_video_is_made_smaller_for_a_browser(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "wide.mkv", 0.4, codec="ffv1", size=(1600, 400))
    clip = cut(made.path, tmp_path / "clip", 0, 0.2, "browser")
    found = probe_video(clip.path)
    assert isinstance(found, Probed) and (found.info.width, found.info.height) == (1280, 320)


def test_without_an_encoder_for_h264_it_becomes_webm(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.avi", 2.0, codec="mpeg4", audio="mp2", sound=[(1.0, 1.5)])
    written = write_clip(made.path, tmp_path / "clip.webm", 0.8, 1.6, "browser", encoders=ENCODERS[1])
    assert written.suffix == ".webm" and browser_can_play(tmp_path / "clip.webm")
    assert read_numbers(tmp_path / "clip.webm")[0] == list(range(20, 40))


def test_copying_keeps_the_turn(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.mp4", 2.0, rotation=270)
    clip = cut(made.path, tmp_path / "clip.mp4", 0.0, 1.0)
    found = probe_video(clip.path)
    assert isinstance(found, Probed) and found.info.rotation == 270


@pytest.mark.fresh_processes
def test_the_name_says_which_container(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.mp4", 2.0)
    assert cut(made.path, tmp_path / "dog 2021.10", 0, 1).path == tmp_path / "dog 2021.10.mp4"
    assert cut(made.path, tmp_path / "v.mov", 0, 1, "exact").path == tmp_path / "v.mov"
    with av.open(str(tmp_path / "v.mov")) as container:
        assert container.metadata["major_brand"].strip() == "qt"
    assert not browser_can_play(tmp_path / "v.mov"), "Firefox refuses QuickTime"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.mp4", 1.0)
    before = made.path.read_bytes()
    (tmp_path / "other.mp4").write_text("mine")
    (tmp_path / "link.mp4").symlink_to(made.path)
    for target, overwrite in (("v.mp4", True), ("v", False), ("other.mp4", False), ("link.mp4", True)):
        with pytest.raises(PathError):
            cut(made.path, tmp_path / target, 0, 1, overwrite=overwrite)
    assert made.path.read_bytes() == before and (tmp_path / "other.mp4").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.mp4", "other.mp4", "v.mp4"]


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.mp4", 1.0)
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    truncate(made.path, tmp_path / "half.mp4", 0.5)
    before = sorted(tmp_path.iterdir())
    for name in ("text.mp4", "half.mp4"):
        with pytest.raises(MediaError, match="cannot be"):
            cut(tmp_path / name, tmp_path / "clip", 0, 1)
        assert not browser_can_play(tmp_path / name)
    for how in ("copy", "exact", "browser"):
        with pytest.raises(MediaError):
            cut(made.path, tmp_path / "clip", 70, 71, how)  # type: ignore[arg-type]
    with pytest.raises(PathError, match="No such file"):
        cut(tmp_path / "gone.mp4", tmp_path / "clip", 0, 1)
    with pytest.raises(PathError, match="No such file"):
        browser_can_play(tmp_path / "gone.mp4")
    with pytest.raises(PathError, match="No clip can be written"):
        cut(made.path, tmp_path / "no folder" / "clip", 0, 1)
    for span in ((1, 1), (2, 1), (-1, 1), (float("nan"), 1)):
        with pytest.raises(ValueError, match="non-empty"):
            cut(made.path, tmp_path / "clip", *span)
    assert sorted(tmp_path.iterdir()) == before


def test_the_time_limit_ends_it(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "v.mp4", 1.0)
    with pytest.raises(MediaError, match="given up"):
        cut(made.path, tmp_path / "clip", 0, 1, limit=0.01)
    assert list(tmp_path.iterdir()) == [made.path]


def test_a_name_that_is_not_text_and_names_like_options(tmp_path: Path) -> None:
    folder = Path(str(tmp_path) + "/-f \udcff;$(x) %d")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("a file system that takes only UTF-8")
    made = make_numbered(tmp_path / "v.mp4", 1.0)
    made.path.rename(folder / "-i concat:v.mp4")
    clip = cut(folder / "-i concat:v.mp4", folder / "%03d", 0, 1)
    assert read_number(np.asarray(draw_number(5, (160, 96)))) == 5
    assert read_numbers(clip.path)[0][:25] == list(range(25))


def test_a_cut_ends_with_the_program_that_asked(tmp_path: Path) -> None:
    """A program that is killed leaves nobody behind who goes on cutting."""
    read, write = os.pipe()
    child = [sys.executable, "-c", "from vsearch.clips.child import main; main()"]
    os.mkfifo(tmp_path / "fifo")  # opening it waits for a writer, and there is none
    process = subprocess.Popen(child, stdin=read, stdout=subprocess.DEVNULL)
    os.close(read)
    with os.fdopen(os.dup(write), "wb") as requests:
        write_message(requests, CheckBrowser(tmp_path / "fifo", 60.0))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    os.close(write)
    assert process.wait(30) == 1
