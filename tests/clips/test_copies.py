"""Copies: what they hold bit by bit, in which container, and how they end."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.clips.numbered import draw_number, loud_spans, make_numbered, read_numbers
from tests.clips.packed_avi import NOTHING_NEW, make_packed
from tests.sounds import beeps, write_sound
from vsearch.clips.write import write_clip
from vsearch.errors import MediaError

EDITED: dict[str, dict[str, Any]] = {
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "options": {"profile": "0"}, "audio": "pcm_s24le"},
    "dnxhr.mov": {
        "codec": "dnxhd",
        "pix_fmt": "yuv422p",
        "size": (256, 120),
        "options": {"profile": "dnxhr_sq"},
    },
    "camera.mov": {"codec": "libx264", "audio": "pcm_s16be"},
    "camera.mp4": {"codec": "libx264", "audio": "pcm_s16le"},
    "broadcast.mov": {"codec": "mpeg2video", "audio": "pcm_s16le"},
    "jpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "broadcast.mxf": {"codec": "mpeg2video", "size": (720, 576), "audio": "pcm_s16le", "gop": 12},
}


def packets_of(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [bytes(packet) for packet in container.demux(streams[:1]) if packet.size] if streams else []


def tag_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.codec_tag)


@pytest.mark.parametrize("name", EDITED)
def test_what_mp4_cannot_hold_is_copied_into_quicktime(tmp_path: Path, name: str) -> None:
    made = make_numbered(tmp_path / name, 1.6, **{"gop": 10, **EDITED[name]})
    clip, target = write_clip(made.path, tmp_path / "clip", 0.6, 1.2, "copy"), tmp_path / "clip"
    assert clip.copied and clip.suffix == ".mov"
    numbers, _ = read_numbers(target)
    assert numbers[-1] == 29 and numbers[0] <= 15
    pictures, sound = packets_of(target, "video"), packets_of(target, "audio")
    assert all(one in packets_of(made.path, "video") for one in pictures) and len(pictures) >= len(numbers)
    assert b"".join(sound) in b"".join(packets_of(made.path, "audio")) and bool(sound) == ("audio" in EDITED[name])
    if name in ("prores.mov", "dnxhr.mov"):
        assert tag_of(target) == tag_of(made.path)


def test_what_did_not_come_from_quicktime_goes_into_matroska(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "a.avi", 1.0, codec="mjpeg", pix_fmt="yuvj420p")
    assert write_clip(made.path, tmp_path / "clip", 0.2, 0.6, "copy").suffix == ".mkv"


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv"])
@pytest.mark.parametrize("own", ["hvc1", "hev1"])
def test_hevc_keeps_its_tag(tmp_path: Path, own: str, ending: str) -> None:
    source = tmp_path / f"a.{ending}"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.options = {"preset": "ultrafast", "x265-params": "log-level=none"}
        if ending != "mkv":
            stream.codec_context.codec_tag = own
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(draw_number(number, (160, 96)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip = write_clip(source, tmp_path / "clip", 0.0, 0.6, "copy")
    assert clip.copied and tag_of(tmp_path / "clip") == ("hvc1" if ending == "mkv" else own)
    assert read_numbers(tmp_path / "clip")[0] == list(range(15))


def test_mp3_stays_in_mp4(tmp_path: Path) -> None:
    made = make_numbered(tmp_path / "a.mp4", 1.0, audio="libmp3lame")
    assert write_clip(made.path, tmp_path / "clip", 0.0, 0.6, "copy").suffix == ".mp4"


def long_sound(path: Path, pictures: int, seconds: float, codec: str = "aac", first: float = 0.0) -> Path:
    """Pictures, 25 a second, and sound that goes on: a tone in each second's first half."""
    with av.open(str(path), "w") as container:
        sound, video = container.add_stream(codec, rate=48_000, layout="mono"), container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        wave = beeps(seconds, *((second, second + 0.5) for second in range(round(seconds))), rate=48_000)
        for at in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, at : at + 1024], format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for number in range(pictures):
            picture = av.VideoFrame.from_ndarray(draw_number(number, (160, 96)), format="rgb24")
            picture.pts, picture.time_base = number + round(first * 25), Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("how", ["copy", "exact", "browser"])
@pytest.mark.parametrize("pictures", [1, 50])
@pytest.mark.parametrize(("start", "end"), [(4.0, 5.9), (1.2, 5.9)])
def test_sound_after_the_last_picture(tmp_path: Path, how: str, pictures: int, start: float, end: float) -> None:
    source = long_sound(tmp_path / "a.mp4", pictures, 8.0)
    clip = write_clip(source, tmp_path / "clip", start, end, how)
    assert clip.end == pytest.approx(end, abs=0.03) and clip.start <= start
    spans = loud_spans(tmp_path / "clip")
    assert spans[-1] == pytest.approx((5.0 - clip.start, 5.5 - clip.start), abs=0.06)
    if how != "copy":
        numbers, _ = read_numbers(tmp_path / "clip")
        assert numbers[-1] == pictures - 1, "the last picture is held"
        if how == "exact":
            assert clip.start == start
            assert numbers[0] == min(round(start * 25), pictures - 1)
            with av.open(str(tmp_path / "clip")) as container:
                stream = container.streams.video[0]
                assert float((stream.duration or 0) * stream.time_base) == pytest.approx(end - start, abs=0.05)
    elif start == 4.0 and pictures == 50:
        assert clip.copied and clip.suffix == ".m4a"
        assert clip.start == pytest.approx(start)


@pytest.mark.parametrize("how", ["copy", "exact"])
def test_sound_before_the_first_picture(tmp_path: Path, how: str) -> None:
    source = long_sound(tmp_path / "a.mp4", 50, 6.0, first=3.0)
    clip = write_clip(source, tmp_path / "clip", 0.9, 1.9, how)
    assert clip.suffix == ".m4a"
    assert loud_spans(tmp_path / "clip") == [pytest.approx((0.1, 0.6), abs=0.06)]


@pytest.mark.parametrize("how", ["copy", "exact", "browser"])
def test_after_all_of_it_there_is_nothing(tmp_path: Path, how: str) -> None:
    source = long_sound(tmp_path / "a.mp4", 25, 2.0)
    with pytest.raises(MediaError, match=r"nothing|no picture"):
        write_clip(source, tmp_path / "clip", 5.0, 6.0, how)
    alone = write_sound(tmp_path / "a.m4a", [beeps(2, (0.5, 1), rate=48_000)], codec="aac", rate=48_000)
    with pytest.raises(MediaError, match="nothing"):
        write_clip(alone, tmp_path / "clip", 5.0, 6.0, how)


@pytest.mark.parametrize(
    ("b_frames", "empty", "ending"),
    [(1, NOTHING_NEW, ""), (1, b"\x7f", ""), (2, NOTHING_NEW, ""), (2, b"\x7f", ".mkv")],
)
def test_packed_pictures_are_taken_apart(tmp_path: Path, b_frames: int, empty: bytes, ending: str) -> None:
    source = make_packed(tmp_path / "a.avi", 100, b_frames=b_frames, empty=empty)
    assert read_numbers(source)[0] == list(range(100)), "the test's own file is sound"
    target = tmp_path / "clip"
    for start, end in ((0.0, 1.0), (1.4, 2.2), (2.0, 4.0)):
        clip = write_clip(source, target, start, end, "copy", ending)
        assert clip.copied and clip.start <= start
        first, last = round(clip.start * 25), round(clip.end * 25)
        numbers, times = read_numbers(target)
        assert numbers == list(range(first, last)), "each picture once, from the first packet on"
        assert [time + clip.start for time in times] == pytest.approx([n / 25 for n in numbers], abs=0.002)
        assert round(end * 25) <= last <= round(end * 25) + (b_frames if ending else 0)
        packets = packets_of(target, "video")
        assert all(packet.count(b"\x00\x00\x01\xb6") == 1 and len(packet) > 20 for packet in packets)
        assert b"b1393p" not in target.read_bytes(), "nor does it say that it is packed"


@pytest.mark.parametrize("b_frames", [1, 2])
@pytest.mark.parametrize("empty", [NOTHING_NEW, b"\x7f"])
@pytest.mark.parametrize("marked", [True, False])
def test_packed_frames_have_the_times_of_the_index_in_a_copy(
    tmp_path: Path, b_frames: int, empty: bytes, marked: bool
) -> None:
    source = make_packed(tmp_path / "a.avi", 100, b_frames=b_frames, empty=empty, marked=marked)
    numbers, times = read_numbers(source)
    assert numbers == list(range(100)), "each frame is indexed once"
    assert times == pytest.approx([number / 25 for number in numbers], abs=0.002)
    clip = write_clip(source, tmp_path / "clip", 1.4, 2.2, "copy")
    copied, copied_times = read_numbers(tmp_path / "clip")
    assert clip.copied and copied == list(range(24, 55))
    assert [time + clip.start for time in copied_times] == pytest.approx(times[24:55], abs=0.002)
