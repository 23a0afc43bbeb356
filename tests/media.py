"""Generated videos whose cuts and times are known exactly.

    make_video(path, shots=[Shot("red", 2.0), Shot("texture", 1.0)])

The container comes from the file's ending. Times in the returned Made are seconds on the player's timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

needs_decord = pytest.mark.skipif(find_spec("decord") is None, reason="the extra decord is not installed")
DECODERS = ["pyav", pytest.param("decord", marks=needs_decord)]
"""The decoders of the contract tests."""

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 180, 40),
    "blue": (30, 50, 220),
    "yellow": (230, 220, 40),
    "white": (240, 240, 240),
    "black": (12, 12, 12),
}


@dataclass(frozen=True)
class Shot:
    """`look` is a colour's name, or "texture": still blocks that differ with `seed`; "moving": the same, panning;
    "grain": a soft picture, panning, under the noise of a camera; "corner": red with a white upper left quarter, to see
    rotation by."""

    look: str
    seconds: float
    seed: int = 0


@dataclass(frozen=True)
class Made:
    """A written video, with its truth."""

    path: Path
    cuts: tuple[float, ...]
    """Seconds where a new shot begins; the first frame is not among them."""
    times: tuple[float, ...]
    """Seconds of every frame."""
    end: float


def make_video(
    path: Path,
    shots: Sequence[Shot],
    *,
    fps: int = 25,
    size: tuple[int, int] = (192, 108),
    codec: str = "libx264",
    vfr: bool = False,
    rotation: int = 0,
    audio: bool = False,
    offset: float = 0.0,
    audio_offset: float = 0.0,
    b_frames: int = 2,
    gop: int = 25,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    paint: Callable[[NDArray[np.uint8], float], NDArray[np.uint8]] | None = None,
) -> Made:
    """Write a video.

    vfr: frame durations vary (half a frame, one, two). rotation: degrees clockwise that a player turns the
    picture. offset: seconds added to every timestamp of the file. audio_offset: the sound starts that much
    earlier than the video, so that the first frame is not at 0. paint: changes a frame, given its time in seconds.
    """
    ticks = Fraction(1, 1000) if vfr else Fraction(1, fps)
    gaps = [500 // fps, 1000 // fps, 2000 // fps] if vfr else [1]
    pts, marks, looks, now = [], [], [], 0
    for shot in shots:
        marks.append(now)
        end = now + round(shot.seconds / ticks)
        while now < end:
            pts.append(now)
            looks.append((shot, float((now - marks[-1]) * ticks)))
            now += gaps[len(pts) % len(gaps)]
    shift = round((offset + audio_offset) / ticks)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = {"gif": "rgb8", "ffv1": "yuv444p", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        if codec in ("libx264", "mpeg4", "libx265"):
            stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = gop
        stream.codec_context.time_base = ticks
        stream.time_base = ticks
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "bf": str(b_frames)}
        if codec_options:
            stream.options = {**codec_options}
        if rotation:
            stream.set_display_rotation(-rotation)
        sound = container.add_stream("aac", rate=16000) if audio else None
        if sound is not None:
            _write_audio(container, sound, float(now * ticks) + audio_offset, offset)
        for (shot, age), tick in zip(looks, pts, strict=True):
            picture = draw(shot, age, size)
            if paint is not None:
                picture = paint(picture, float(tick * ticks))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = tick + shift, ticks
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    start = audio_offset if audio else 0.0
    return Made(
        path,
        tuple(start + float(mark * ticks) for mark in marks[1:]),
        tuple(start + float(tick * ticks) for tick in pts),
        start + float(now * ticks),
    )


def draw(shot: Shot, age: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] of a shot that is `age` seconds old."""
    width, height = size
    if shot.look in COLOURS:
        return np.full((height, width, 3), COLOURS[shot.look], np.uint8)
    if shot.look == "corner":
        picture = np.full((height, width, 3), COLOURS["red"], np.uint8)
        picture[: height // 2, : width // 2] = COLOURS["white"]
        return picture
    rng = np.random.default_rng(shot.seed)
    tint = rng.integers(40, 216, 3)
    coarse = rng.integers(-40, 40, (height // 12 + 1, width // 12 + 1, 3)).repeat(12, 0).repeat(12, 1)[:height, :width]
    picture = np.clip(coarse + tint, 0, 255).astype(np.uint8)
    if shot.look == "grain":
        return _grain(shot, age, size)
    if shot.look == "moving":
        picture = np.roll(picture, round(age * width / 6), axis=1)
    return picture


def _grain(shot: Shot, age: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame as hard to encode as real footage: edges, moving detail, and new noise in every frame."""
    scenery, noise = _scenery(shot.seed, size)
    width = size[0]
    at = round(age * width / 20) % width
    shifts = np.random.default_rng((shot.seed, round(age * 1000))).integers(0, width, 2)
    picture = scenery[:, at : at + width] + np.roll(noise, tuple(shifts), (0, 1))[..., None]
    grainy: NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return grainy


@lru_cache(maxsize=1)
def _scenery(seed: int, size: tuple[int, int]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """A picture twice as wide as the frame, [H, 2 W, 3], and noise [H, W]."""
    from PIL import Image

    width, height = size
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width * 2, 3)) + rng.integers(60, 196, 3)
    for cells in (6, 24, 96, 300):
        layer = Image.fromarray(rng.integers(0, 256, (cells, cells * 2, 3), np.uint8))
        picture += (np.asarray(layer.resize((width * 2, height), Image.Resampling.BICUBIC), np.float64) - 128) * 0.35
    return picture.astype(np.int16), rng.normal(0, 5, (height, width)).astype(np.int16)


def _write_audio(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float, start: float) -> None:
    rate, block = 16000, 1024
    wave = (3000 * np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * 440 / rate)).astype(np.int16)
    for at in range(0, len(wave), block):
        frame = av.AudioFrame.from_ndarray(wave[None, at : at + block], format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = rate, at + round(start * rate), Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def make_audio(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound and no pictures."""
    with av.open(str(path), "w") as container:
        _write_audio(container, container.add_stream("aac", rate=16000), seconds, 0.0)
    return path


def make_gif(path: Path, frames: int = 10) -> Path:
    """`frames` pictures, ten a second; one makes a still."""
    from PIL import Image

    pictures = [Image.fromarray(draw(Shot("texture", 1, seed), 0, (64, 48))) for seed in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, loop=0)
    return path


def truncate(source: Path, target: Path, keep: float) -> Path:
    """The first `keep` (0..1) of a file's bytes."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * keep)])
    return target


def loop_video(source: Path, target: Path, seconds: float) -> Path:
    """Repeat a video, without encoding it again, until it is at least that long."""
    with av.open(str(source)) as first:
        template = first.streams.video[0]
        packets = [p for p in first.demux(template) if p.size]
        order = sorted(p.pts for p in packets if p.pts is not None)
        span = order[-1] - order[0] + min(b - a for a, b in pairwise(order))
        base = template.time_base
        assert base is not None
        laps = int(seconds / float(span * base)) + 1
        with av.open(str(target), "w") as container:
            stream = container.add_stream_from_template(template)
            for lap in range(laps):
                for packet in packets:
                    copy = av.Packet(bytes(packet))
                    copy.stream, copy.time_base, copy.is_keyframe = stream, base, packet.is_keyframe
                    assert packet.pts is not None and packet.dts is not None
                    copy.pts, copy.dts, copy.duration = (
                        packet.pts + lap * span,
                        packet.dts + lap * span,
                        packet.duration,
                    )
                    container.mux(copy)
    return target
