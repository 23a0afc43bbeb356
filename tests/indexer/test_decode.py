"""One contract for every backend: the same frames at the same times, on the player's timeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media import DECODERS, Shot, make_gif, make_video, needs_decord, truncate
from vsearch.errors import MediaError
from vsearch.indexer.decode import DecodedFrame, DecodeRequest, find_decoder
from vsearch.indexer.probe import Probed, probe_video
from vsearch.models.fitting import fit_frame
from vsearch.models.protocols import FrameSize

SHOTS = [Shot("red", 0.6), Shot("texture", 0.6, 1)]

MEDIA: dict[str, dict[str, Any]] = {
    "constant.mp4": {},
    "b-frames.mp4": {"b_frames": 4},
    "variable.mp4": {"vfr": True},
    "variable.mkv": {"vfr": True},
    "offset.mkv": {"offset": 5.0},
    "offset.ts": {"offset": 5.0},
    "late-pictures.mp4": {"audio": True, "audio_offset": 0.4},
    "late-pictures.mkv": {"audio": True, "audio_offset": 0.4},
    "odd.mkv": {"codec": "ffv1", "size": (161, 91)},
    "odd.webm": {"codec": "libvpx", "size": (161, 91)},
    "two-a-second.mp4": {"fps": 2},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "still-pictures.avi": {"codec": "mjpeg", "b_frames": 0},
}

DECORD_REFUSES = {"offset.ts", "mpeg2.mpg", "mpeg4.avi"}
"""Repeats the last frames; has no timestamps."""


def decode(name: str, path: Path, size: FrameSize, large: bool = False) -> list[DecodedFrame]:
    probed = probe_video(path)
    assert isinstance(probed, Probed)
    return list(find_decoder(name)(DecodeRequest(path, probed, size, large=large)))


@pytest.mark.parametrize("backend", DECODERS)
@pytest.mark.parametrize("name", MEDIA)
def test_times_and_pixels(tmp_path: Path, name: str, backend: str) -> None:
    made = make_video(tmp_path / name, SHOTS, **MEDIA[name])
    if backend == "decord" and name in DECORD_REFUSES:
        with pytest.raises(MediaError):
            decode(backend, made.path, FrameSize(64, 48))
        return
    frames = decode(backend, made.path, FrameSize(64, 48))
    assert [frame.time for frame in frames] == pytest.approx(list(made.times), abs=1e-3)
    first = frames[0].pixels()
    assert first.shape == (48, 64, 3) and first.dtype == np.uint8
    assert np.abs(first.mean((0, 1)) - (220, 30, 30)).max() < 25  # RGB, not BGR
    small = frames[0].small()
    assert small.shape == (128, 128, 3)
    assert np.abs(small.mean((0, 1)) - (30, 30, 220)).max() < 25  # BGR, as the detector wants it


@pytest.mark.parametrize("backend", DECODERS)
@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_pictures_are_turned_as_a_player_turns_them(
    tmp_path: Path, backend: str, rotation: int, corner: tuple[int, int]
) -> None:
    made = make_video(tmp_path / "turned.mp4", [Shot("corner", 0.4)], rotation=rotation)
    probed = probe_video(made.path)
    assert isinstance(probed, Probed)
    assert probed.info.rotation == rotation
    assert (probed.info.width, probed.info.height) == ((108, 192) if rotation in (90, 270) else (192, 108))
    picture = decode(backend, made.path, FrameSize(64, 64))[0].pixels()
    green = picture[[4, 4, -4, -4], [4, -4, 4, -4], 1] > 128  # white, where the rest is red
    assert [(0, 0), (0, -1), (-1, 0), (-1, -1)][int(green.argmax())] == corner and green.sum() == 1


@pytest.mark.parametrize("backend", DECODERS)
def test_crop_keeps_the_aspect(tmp_path: Path, backend: str) -> None:
    made = make_video(tmp_path / "v.mp4", [Shot("corner", 0.4)], size=(256, 128))
    picture = decode(backend, made.path, FrameSize(64, 64, "crop"))[0].pixels()
    assert picture.shape == (64, 64, 3)
    white = (picture[..., 1] > 128).mean()
    assert white == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("backend", DECODERS)
def test_a_picture_to_be_read_is_larger_than_the_models(tmp_path: Path, backend: str) -> None:
    made = make_video(tmp_path / "v.mp4", [Shot("corner", 0.4)], size=(1280, 640), rotation=90)
    frame = decode(backend, made.path, FrameSize(64, 64, "crop"), large=True)[0]
    large = frame.large()
    assert large.shape == (960, 480, 3) and large.dtype == np.uint8
    assert large[10:400, 300:470, 1].mean() > 200 and large[500:, :, 1].mean() < 60  # white: upper right, turned
    # what the model sees does not depend on it
    plain = decode(backend, made.path, FrameSize(64, 64, "crop"))[0].pixels()
    assert frame.pixels().shape == (64, 64, 3) and np.abs(frame.pixels().astype(int) - plain).mean() < 3


def test_fitting() -> None:
    assert fit_frame(1280, 720, FrameSize(224, 224)).width == 224
    crop = fit_frame(1280, 720, FrameSize(224, 224, "crop"))
    assert (crop.width, crop.height, crop.left, crop.top) == (398, 224, 87, 0)


@needs_decord
def test_a_gif_is_left_to_pyav(tmp_path: Path) -> None:
    path = make_gif(tmp_path / "a.gif")
    assert [f.time for f in decode("pyav", path, FrameSize(64, 48))] == pytest.approx([i / 10 for i in range(10)])
    with pytest.raises(MediaError, match="GIF"):
        decode("decord", path, FrameSize(64, 48))


def test_what_is_left_of_a_truncated_file_decodes(tmp_path: Path) -> None:
    made = make_video(tmp_path / "v.mkv", [Shot("moving", 4.0)])
    cut = truncate(made.path, tmp_path / "cut.mkv", 0.5)
    frames = decode("pyav", cut, FrameSize(64, 48))
    assert 20 < len(frames) < 80


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    made = make_video(tmp_path / "v.mkv", [Shot("moving", 4.0)])
    data = bytearray(made.path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    (tmp_path / "bad.mkv").write_bytes(data)
    times = [frame.time for frame in decode("pyav", tmp_path / "bad.mkv", FrameSize(64, 48))]
    assert times == sorted(set(times)) and times[-1] > 3.5


def test_a_video_can_be_left_in_the_middle(tmp_path: Path) -> None:
    """Closing with frames under way in FFmpeg's threads once deadlocked, every few dozen times."""
    path = make_video(tmp_path / "v.mp4", [Shot("moving", 2.0)]).path
    probed = probe_video(path)
    assert isinstance(probed, Probed)
    kept = []
    for _ in range(150):
        frames = find_decoder("pyav")(DecodeRequest(path, probed, FrameSize(64, 48)))
        kept = [next(frames) for _ in range(20)][-3:]
        del frames
    assert len(kept) == 3


def test_unknown_decoder() -> None:
    with pytest.raises(ValueError, match="pyav, decord"):
        find_decoder("ffmpeg")
