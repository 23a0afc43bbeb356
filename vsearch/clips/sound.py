"""The packets of a sound track that a player plays in a span, without those hidden by an edit list or a codec delay."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vsearch.clips.timeline import base_of, packets_of, sound_origin, ways_to
from vsearch.video.containers import open_video
from vsearch.video.frame_times import hidden_before

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet


def sound_packets(path: Path, index: int, begin: float, end: float) -> Iterator[Packet[Any]]:
    """The packets that begin in [begin, end), in seconds on the player's timeline, with the file's own timestamps.
    Packets without a timestamp are included."""
    with open_video(path) as container:
        origin = sound_origin(container)
    for container, sought in ways_to(path, index, Fraction(begin) + origin):
        found = _whole(container, index, _within(container, index, begin, end, sought))
        first = next(found, None)
        if first is not None:
            yield from chain([first], found)
            return


def heard_until(path: Path, index: int, begin: float, end: float) -> float | None:
    """The end of the last sound in [begin, end), in seconds and at most `end`; None: there is no sound."""
    with open_video(path) as container:
        base, origin = base_of(container.streams[index]), sound_origin(container)
    last: float | None = None
    for packet in sound_packets(path, index, begin, end):
        if packet.pts is not None:
            last = max(last or begin, float((packet.pts + (packet.duration or 0)) * base - origin))
    return None if last is None else min(end, last)


def sound_end(container: InputContainer, index: int) -> int | None:
    """The tick at which an edit list of MP4 or QuickTime ends the track, possibly within a packet."""
    stream = container.streams[index]
    return stream.duration if "mov" in container.format.name.split(",") else None


def _within(
    container: InputContainer, index: int, begin: float, end: float, sought: bool
) -> Iterator[tuple[Packet[Any], bool]]:
    """The packets; with each, whether a part of its end is hidden if it is the last one of the track."""
    stream = cast("AudioStream", container.streams[index])
    base, origin = base_of(stream), sound_origin(container)
    zero, stop = (round((Fraction(at) + origin) / base) for at in (begin, end))
    first_shown = hidden_before(container)
    hidden_to = zero if first_shown is None else max(zero, first_shown)
    last, ratio = sound_end(container, index), Fraction(0)
    pcm = stream.codec_context.name.startswith("pcm")
    first = True
    for packet in packets_of(container, stream, sought):
        if not packet.size:
            continue
        if packet.pts is None:
            yield packet, False
            continue
        length = packet.duration or 0
        if first and sought and packet.pts - zero > length + 0.2 / base:
            return  # the seek came out too late
        first = False
        skipped = _skipped(packet)
        if skipped[0]:
            # A tick more or less: Matroska's are rounded to milliseconds.
            rate = stream.codec_context.sample_rate or 48_000
            hidden_to = max(hidden_to, packet.pts + round(skipped[0] / rate / base) - 1)
        if packet.pts >= stop:
            return
        short = pcm and length > 0 and ratio > 0 and packet.size > ratio * length
        ratio = ratio or Fraction(packet.size, length or 1)
        if packet.is_discard or packet.pts < hidden_to:
            continue
        yield packet, bool(skipped[1]) or short or (last is not None and packet.pts < last < packet.pts + length)


def _whole(container: InputContainer, index: int, packets: Iterator[tuple[Packet[Any], bool]]) -> Iterator[Packet[Any]]:
    """Omit the last packet of the track if a part of it is hidden."""
    held: tuple[Packet[Any], bool] | None = None
    for one in packets:
        if held is not None:
            yield held[0]
        held = one
    if held is not None and not held[1]:
        yield held[0]


def _skipped(packet: Packet[Any]) -> tuple[int, int]:
    """Samples that are not played: at the packet's start (continuing in later packets), and at its end."""
    if not packet.has_sidedata("skip_samples"):
        return 0, 0
    data = bytes(packet.get_sidedata("skip_samples"))
    return cast("tuple[int, int]", struct.unpack_from("<II", data)) if len(data) >= 8 else (0, 0)
