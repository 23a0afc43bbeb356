"""What an editing program must know of a file: its frame rate, where its pictures begin, its own time code."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.clips.boxes import time_code_rate
from vsearch.clips.timeline import base_of, sound_origin
from vsearch.video.clock import duration_of, in_step
from vsearch.video.containers import open_video, pick_stream
from vsearch.video.orientation import pixel_aspect

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

USUAL_RATES = tuple(
    [Fraction(1000 * rate, 1001) for rate in (24, 30, 48, 60, 120)]
    + [Fraction(rate) for rate in (10, 12, 15, 24, 25, 30, 48, 50, 60, 100, 120)]
)
_NEAR = 0.0004
"""Relative: a rate this near to a usual one is that one, whatever the container made of it. 24000/1001 and 24 differ by
0.001."""
_LOOKED_AT = 600
"""Packets whose times are held against the rate: a variable rate shows in the first seconds."""


@dataclass(frozen=True, slots=True)
class Material:
    """One source file. Seconds are on the player's timeline."""

    rate: Fraction | None
    """Frames a second. Where the rate is variable, their mean; None without frames, or where it is unknown."""
    steady: bool
    """Every frame lasts equally long."""
    first: float
    """Seconds at which the first picture is shown."""
    duration: float
    """Seconds; 0.0: not known."""
    width: int
    height: int
    """Pixels as stored, before a player turns them. Both 0: sound alone."""
    channels: int
    """Of the sound; 0: none."""
    sample_rate: int
    time_code: str
    """Of the first frame, as the camera wrote it; empty where it did not."""
    time_code_rate: Fraction | None = None
    """Frames a second that the time code counts, where the file says it; else those of the pictures."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height, before a player turns the pictures."""

    @property
    def has_pictures(self) -> bool:
        return self.width > 0 and self.height > 0


def read_material(path: Path) -> Material:
    """Look at a file; no picture is decoded. Runs in the process of child.py. FFmpegError passes through."""
    with open_video(path) as container:
        stream = pick_stream(container)
        sound = next((one for one in container.streams.audio if one.codec_context is not None), None)
        origin = sound_origin(container)
        rate, steady, first = (None, False, 0.0) if stream is None else _timing(container, stream, origin)
        return Material(
            rate=rate,
            steady=steady,
            first=first,
            duration=duration_of(container),
            width=0 if stream is None else stream.codec_context.width,
            height=0 if stream is None else stream.codec_context.height,
            channels=0 if sound is None else sound.codec_context.channels,
            sample_rate=0 if sound is None else sound.codec_context.sample_rate,
            time_code=_time_code(container)[:16],
            time_code_rate=_time_code_rate(path, container),
            pixel_aspect=pixel_aspect(None if stream is None else stream.sample_aspect_ratio),
        )


def usual_rate(rate: Fraction) -> Fraction:
    """The usual rate that is meant, where one is near; else the rate itself, with a denominator below 1002."""
    nearest = min(USUAL_RATES, key=lambda usual: abs(usual - rate))
    return nearest if abs(nearest / rate - 1) < _NEAR else rate.limit_denominator(1001)


def _timing(container: InputContainer, stream: VideoStream, origin: Fraction) -> tuple[Fraction | None, bool, float]:
    """Rate, whether it is steady, seconds of the first picture."""
    base = base_of(stream)
    guessed = stream.average_rate or stream.guessed_rate
    packets = (packet for packet in in_step(container, stream) if packet.size)
    times = sorted(packet.pts * base for packet in islice(packets, _LOOKED_AT) if packet.pts is not None)
    # The last ones may have neighbours, in the order of display, that were not read.
    times = times[: max(2, len(times) - 32)] if len(times) == _LOOKED_AT else times
    first = float(max(Fraction(0), times[0] - origin)) if times and container.format.name != "avi" else 0.0
    if not guessed or guessed > 1000:
        return None, False, first
    rate = usual_rate(Fraction(guessed))
    if len(times) < 2 or container.format.name == "avi":  # which stores a rate and no times
        return rate, True, first
    measured = usual_rate((len(times) - 1) / (times[-1] - times[0])) if times[-1] > times[0] else rate
    slack = base + Fraction(1, 1000)
    for candidate in (rate, measured, usual_rate(Fraction(stream.base_rate or rate))):
        if all(abs(time - times[0] - n / candidate) <= slack for n, time in enumerate(times)):
            return candidate, True, first
    return rate, False, first


def _time_code(container: InputContainer) -> str:
    for tags in (container.metadata, *(stream.metadata for stream in container.streams)):
        for name in ("timecode", "TIMECODE"):
            if tags.get(name):
                return str(tags[name])[:16]
    return ""


def _time_code_rate(path: Path, container: InputContainer) -> Fraction | None:
    if "mov" not in container.format.name.split(","):
        return None
    rate = time_code_rate(path)
    return usual_rate(rate) if rate is not None and 1 <= rate <= 1000 else None
