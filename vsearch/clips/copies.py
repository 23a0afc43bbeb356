"""Tracks of a clip whose packets are copied from the file unchanged.

What an edit list hides is part of the file, and players do not show it. Nothing of it gets into a clip: a copy that
would need hidden pictures is refused (NotCopyable), and packets of sound that are hidden in part are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vsearch.clips.packed import unpacked, without_mark
from vsearch.clips.sound import sound_packets
from vsearch.clips.timeline import (
    EPSILON,
    base_of,
    key_frame_before,
    packets_of,
    sound_origin,
    video_origin,
    ways_to,
)
from vsearch.errors import MediaError
from vsearch.video.containers import open_video
from vsearch.video.frame_times import hidden_before
from vsearch.video.packed import packing_of

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_UNDATED = 64
"""Number of first packets that may lack a decoding time (Matroska stores none)."""
_MOST_DELAY = 4096
"""Samples at 48 kHz that an Opus decoder skips at the start; encoders need 312, a larger number trims the sound."""
_QUICKTIME = ("mov", "mp4")
"""Containers whose tracks have a tag for the codec."""


class NotCopyable(Exception):
    """The packets cannot be copied unchanged."""


class VideoCopy:
    """Video packets, copied from the last key frame at or before `start`."""

    def __init__(self, path: Path, start: float, end: float, stack: ExitStack) -> None:
        self._path, self._stop = path, end
        self._template = stack.enter_context(open_video(path))
        try:
            self._index, self._key = key_frame_before(path, start)
            stream = self._stream()
            self._packed = packing_of(self._template, stream) is not None
            if self._packed:
                # The demuxer reports each frame one frame late.
                self._index, self._key = key_frame_before(path, start - float(base_of(stream)))
        except MediaError as error:
            raise NotCopyable(str(error)) from error
        if self._template.format.name == "avi" and stream.codec_context.name in ("h264", "hevc"):
            raise NotCopyable("AVI does not say when a picture is shown")
        self._origin = Fraction(0) if self._packed else video_origin(path)
        first = next(self._found(), None)
        if first is None:
            raise NotCopyable("its key frame is not found again")
        self._zero = cast(int, first.pts)
        self.begin = float(self._zero * base_of(stream) - self._origin)
        self.end = self.begin
        self.end_with_hidden = self.begin
        """Seconds: the end for a player that also shows the frames after the end that others depend on."""

    def attach(self, output: OutputContainer) -> None:
        self._track = _add_track(output, self._stream())
        tag = _tag(self._template, self._stream(), output)
        if tag:
            self._track.codec_context.codec_tag = tag
        if self._packed and self._track.codec_context.extradata:
            self._track.codec_context.extradata = without_mark(bytes(self._track.codec_context.extradata))

    def packets(self) -> Iterator[Packet[Any]]:
        step = self._step()
        yield from _dated(self._needed(), step)

    def _stream(self) -> Any:
        return self._template.streams[self._index]

    def _step(self) -> int:
        rate = self._stream().average_rate
        return max(1, round(1 / rate / base_of(self._stream()))) if rate else 1

    def _needed(self) -> Iterator[Packet[Any]]:
        """The packets shown from the key frame to the end, and those after it that they depend on; times start at 0."""
        base = base_of(self._stream())
        stop = (Fraction(self._stop - EPSILON) + self._origin) / base
        first = hidden_before(self._template)
        after: list[Packet[Any]] = []
        """Packets shown after the end, which are only written if a packet that is shown before the end follows."""
        hidden, shown_to, ends_at = False, self._zero, sys.maxsize
        for packet in self._found():
            pts = cast(int, packet.pts)
            if packet.is_discard or (first is not None and pts < first):
                hidden = True  # and more that is shown may come, as an edit list has it
                continue
            if packet.dts is not None and packet.dts >= stop:
                break
            if pts < self._zero:
                continue  # shown before the key frame, and built on pictures that are left out
            if pts >= stop:
                after.append(packet)
                if len(after) > _UNDATED:
                    break  # no codec reorders so many
                continue
            if hidden:
                raise NotCopyable("it is built on pictures that its edit list hides")
            shown_to = max(shown_to, pts + (packet.duration or 0))
            ends_at = min([ends_at, *(cast(int, one.pts) for one in after)])
            self.end = float(min(shown_to, ends_at) * base - self._origin)
            for one in (*after, packet):
                last = (cast(int, one.pts) + (one.duration or 0)) * base - self._origin
                self.end_with_hidden = max(self.end_with_hidden, float(last))
                one.pts = cast(int, one.pts) - self._zero
                if one.dts is not None:
                    one.dts -= self._zero
                one.stream = self._track
                yield one
            after.clear()

    def _found(self) -> Iterator[Packet[Any]]:
        """The packets from the key frame onwards."""
        for container, sought in ways_to(self._path, self._index, self._key * base_of(self._stream())):
            found = self._from(container, sought)
            first = next(found, None)
            if first is not None:
                yield from chain([first], found)
                return

    def _from(self, container: InputContainer, sought: bool) -> Iterator[Packet[Any]]:
        packets = self._from_key(container, sought)
        return unpacked(packets, self._stream()) if self._packed else packets

    def _from_key(self, container: InputContainer, sought: bool) -> Iterator[Packet[Any]]:
        begun = False
        for packet in packets_of(container, container.streams[self._index], sought):
            if not packet.size:
                continue
            if packet.pts is None:
                raise NotCopyable("a packet has no timestamp")
            if not begun:
                if sought and packet.is_keyframe and packet.pts > self._key:
                    return
                begun = packet.is_keyframe and packet.pts == self._key
            if begun:
                yield packet


def _add_track(output: OutputContainer, source: Stream) -> Any:
    # opaque: also of codecs that FFmpeg can only decode.
    track = output.add_stream_from_template(source, opaque=True)
    for name in ("language", "title"):
        if source.metadata.get(name):
            track.metadata[name] = source.metadata[name]
    return track


def _tag(source: InputContainer, stream: Stream, output: OutputContainer) -> str:
    """QuickTime's tag of the codec: that of the file, if the clip's container is of the same family. Empty: the muxer
    chooses."""
    if output.format.name not in _QUICKTIME:
        return ""
    context = stream.codec_context
    own = context.codec_tag if "mov" in source.format.name.split(",") else ""
    if context.name == "hevc":
        # QuickTime, Photos and Safari refuse hev1, which the muxer would choose.
        return own if own in ("hvc1", "hev1") else "hvc1"
    return own if output.format.name == "mov" else ""


def _dated(packets: Iterator[Packet[Any]], step: int) -> Iterator[Packet[Any]]:
    """Add missing decoding times to the first packets. Raises NotCopyable if times do not increase."""
    waiting: list[Packet[Any]] = []
    last: int | None = None
    for packet in packets:
        waiting.append(packet)
        if packet.dts is None:
            if len(waiting) > _UNDATED:
                raise NotCopyable("its packets have no decoding times")
            continue
        for place, earlier in enumerate(waiting):
            if earlier.dts is None:
                earlier.dts = packet.dts - (len(waiting) - 1 - place) * step
            if earlier.dts is None or earlier.pts is None or earlier.dts > earlier.pts:
                raise NotCopyable("a picture would be shown before it is decoded")
            if last is not None and earlier.dts <= last:
                raise NotCopyable("its decoding times do not increase")
            last = earlier.dts
            yield earlier
        waiting = []
    for place, earlier in enumerate(waiting):  # a clip that is over before the first decoding time
        lowest = min(cast(int, one.pts) for one in waiting)
        earlier.dts = lowest - (len(waiting) - place) * step
        yield earlier


class SoundCopy:
    """Packets of one sound track that begin in [begin, end)."""

    def __init__(self, path: Path, index: int, begin: float, end: float, stack: ExitStack) -> None:
        self._path, self._index, self._begin, self._stop = path, index, begin, end
        self._template = stack.enter_context(open_video(path))
        self._origin = sound_origin(self._template)
        self.begin = self.end = begin
        head = bytes(self._template.streams[index].codec_context.extradata or b"")
        if head.startswith(b"OpusHead") and int.from_bytes(head[10:12], "little") > _MOST_DELAY:
            raise NotCopyable("players would hide the beginning of its sound in any clip")

    def attach(self, output: OutputContainer) -> None:
        self._track = _add_track(output, self._template.streams[self._index])

    def packets(self) -> Iterator[Packet[Any]]:
        base = base_of(self._template.streams[self._index])
        zero = round((Fraction(self._begin) + self._origin) / base)
        last: int | None = None
        for packet in sound_packets(self._path, self._index, self._begin, self._stop):
            if packet.pts is None:
                raise NotCopyable("a packet of sound has no timestamp")
            if last is not None and packet.pts <= last:
                continue
            last = packet.pts
            self.end = max(self.end, float((packet.pts + (packet.duration or 0)) * base - self._origin))
            packet.pts = packet.dts = packet.pts - zero
            packet.stream = self._track
            yield packet
