"""Videos whose frames tell their number by 12 black and white fields, so that a cut can be checked to the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.sounds import beeps
from vsearch.indexer.decode import DecodeRequest, find_decoder
from vsearch.indexer.probe import Probed, probe_video
from vsearch.models.protocols import FrameSize


@dataclass(frozen=True)
class Numbered:
    """What was written."""

    path: Path
    times: tuple[float, ...]
    """Seconds on the player's timeline, as the indexer gives them, at which each frame appears."""

    def within(self, start: float, end: float) -> list[int]:
        """The numbers that are seen in [start, end)."""
        shown = max((n for n, time in enumerate(self.times) if time <= start + 1e-6), default=0)
        return [n for n, time in enumerate(self.times) if n >= shown and time < end - 1e-6]


def draw_number(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    bits = np.array([number >> bit & 1 for bit in range(12)]).reshape(3, 4)
    rows, columns = np.arange(height) * 3 // height, np.arange(width) * 4 // width
    return np.repeat((bits[rows][:, columns] * 200 + 28).astype(np.uint8)[..., None], 3, axis=2)


def read_number(picture: NDArray[np.uint8]) -> int:
    height, width = picture.shape[:2]
    fields = [picture[height * (2 * (b // 4) + 1) // 6, width * (2 * (b % 4) + 1) // 8].mean() > 128 for b in range(12)]
    return sum(int(on) << bit for bit, on in enumerate(fields))


def make_numbered(
    path: Path,
    seconds: float = 6.0,
    *,
    rate: Fraction = Fraction(25),
    ticks: Sequence[int] = (),
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (160, 96),
    gop: int = 50,
    b_frames: int = 2,
    rotation: int = 0,
    offset: float = 0.0,
    audio: str = "",
    sound: Sequence[tuple[float, float]] = ((2.5, 3.0),),
    options: dict[str, str] | None = None,
) -> Numbered:
    """ticks: when each frame is shown, in time_base (by default one a frame). offset: seconds that all timestamps are
    moved by. audio: a codec; a tone in each span of `sound`, silence elsewhere."""
    base = time_base or 1 / rate
    pts = list(ticks) or list(range(round(seconds * rate)))
    shift = round(Fraction(offset) / base)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        context = stream.codec_context
        if codec in ("libx264", "mpeg4", "mpeg2video", "libx265"):
            context.max_b_frames = b_frames
        context.gop_size = gop
        context.time_base = stream.time_base = base
        chosen = {"preset": "ultrafast", "bf": str(b_frames), "sc_threshold": "0", "keyint_min": str(gop)}
        stream.options = {**(chosen if codec == "libx264" else {}), **(options or {})}
        if rotation:
            stream.set_display_rotation(-rotation)
        if audio:
            _write_tone(container, audio, seconds, sound, offset)
        for number, tick in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(draw_number(number, size), format="rgb24")
            frame.pts, frame.time_base = tick + shift, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    numbers, times = read_numbers(path, rotation)
    assert numbers == list(range(len(pts)))
    return Numbered(path, tuple(times))


def _write_tone(
    container: Any, codec: str, seconds: float, spans: Sequence[tuple[float, float]], offset: float
) -> None:
    rate = 48_000
    stream = container.add_stream(codec, rate=rate, layout="stereo")
    wave = beeps(seconds, *spans, rate=rate)
    for at in range(0, len(wave), 1024):
        block = np.repeat(wave[at : at + 1024], 2)[None]
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="stereo")
        frame.rate, frame.pts, frame.time_base = rate, at + round(offset * rate), Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read_numbers(path: Path, turned: int = 0) -> tuple[list[int], list[float]]:
    """Numbers and times of every frame, as a player shows them. turned: degrees clockwise that the numbers are."""
    probed = probe_video(path)
    assert isinstance(probed, Probed), probed
    size = FrameSize(probed.info.width, probed.info.height)
    frames = list(find_decoder("pyav")(DecodeRequest(path, probed, size)))
    upright = [np.rot90(frame.pixels(), turned // 90) for frame in frames]
    return [read_number(picture) for picture in upright], [frame.time for frame in frames]


def loud_spans(path: Path) -> list[tuple[float, float]]:
    """[start, end) seconds of what is heard, to a hundredth."""
    from vsearch.indexer.audio import inspect, read_blocks

    found: list[tuple[float, float]] = []
    for block in read_blocks(path, inspect(path).audio[0].index):
        loud = [np.abs(block.samples[at : at + 160]).max() > 0.1 for at in range(0, len(block.samples), 160)]
        for place, on in enumerate(loud):
            start = block.start + place / 100
            if on and found and start - found[-1][1] < 0.05:
                found[-1] = (found[-1][0], start + 0.01)
            elif on:
                found.append((start, start + 0.01))
    return found
