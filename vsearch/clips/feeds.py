"""Sources of the packets of a clip's tracks: copied from the file (copies.py), or decoded and encoded again.

A feed reads the file by itself, so that the tracks of a clip need not wait for each other: `attach` makes the track in
the clip, `packets` then yields its packets in decoding order, on a clock that is 0 where the clip begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from vsearch.clips.kinds import Encoders, can_encode
from vsearch.clips.picture import ClipShape, encoder_picture, shape_of
from vsearch.clips.sound import sound_end
from vsearch.clips.timeline import HELD, base_of, packets_of, pictures, sound_origin, video_stream, ways_to
from vsearch.video.colour import is_hdr
from vsearch.video.containers import open_video
from vsearch.video.frame_times import hidden_before

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

_LEAST = 16
"""Smallest side that libx265 accepts, in pixels."""


class Feed(Protocol):
    """One track of a clip."""

    end: float
    """Player time in seconds at which the packets yielded so far end, without silence added to fill the span."""

    def attach(self, output: OutputContainer) -> None:
        """Add the track to the output."""
        ...

    def packets(self) -> Iterator[Packet[Any]]:
        """Packets for `output.mux`, in order."""
        ...


class VideoEncode:
    """Exactly the frames of [start, end), encoded again."""

    def __init__(self, path: Path, start: float, end: float, encoders: Encoders, most: int, held: float) -> None:
        """most: pixels of the longer side, with a fast preset; 0: the original size, visually lossless. held: seconds
        until which the last frame of the file is shown."""
        self._pictures = pictures(path, start, end, held)
        self._first = next(self._pictures)
        self._encoder, self._options = encoders.video, encoders.quick if most else encoders.exact
        self.begin = self._first.time
        self.end = self.begin
        with open_video(path) as container:
            stream = video_stream(container)
            self._shape: ClipShape = shape_of(self._first.frame, stream.sample_aspect_ratio, most)
            shape, keeps_hdr = self._shape, not self._shape.sdr and is_hdr(self._first.frame)
            if keeps_hdr and min(shape.width, shape.height) >= _LEAST and encoders.hdr and can_encode(encoders.hdr):
                self._shape = replace(shape, pixels="yuv420p10le")
                self._encoder, self._options = encoders.hdr, encoders.hdr_options
            base = base_of(stream)
            # The file's own clock, so that a constant rate stays one, unless no container could hold it.
            self._base = base if base.numerator < 2**15 and base.denominator <= 1_000_000 else Fraction(1, 90_000)
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            self._rate = rate if Fraction(1) <= rate <= Fraction(240) else Fraction(25)

    def attach(self, output: OutputContainer) -> None:
        self._track = cast("VideoStream", output.add_stream(self._encoder, rate=self._rate, options=self._options))
        shape = self._shape
        self._track.width, self._track.height, self._track.pix_fmt = shape.width, shape.height, shape.pixels
        self._track.time_base = self._base
        context: VideoCodecContext = self._track.codec_context
        context.time_base = self._base
        context.sample_aspect_ratio = shape.aspect
        context.gop_size = max(1, round(2 * self._rate))
        if self._encoder == "libx265" and output.format.name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # what Apple's players ask for
        first = encoder_picture(self._first.frame, shape)  # whose colours may have been converted
        for name in ("colorspace", "color_primaries", "color_trc", "color_range"):
            setattr(context, name, int(getattr(first, name, 2)))

    def packets(self) -> Iterator[Packet[Any]]:
        durations: dict[int, int] = {}
        last, length = -1, 0
        for picture in chain([self._first], self._pictures):
            tick = max(last + 1, round(Fraction(picture.time - self.begin) / self._base))
            durations[tick] = max(1, round(Fraction(picture.end - self.begin) / self._base) - tick)
            last, self.end = tick, picture.end
            frame = encoder_picture(picture.frame, self._shape)
            frame.pts, frame.time_base = tick, self._base
            length = durations[tick]
            yield from self._lasting(self._track.encode(frame), durations)
        rest = list(self._lasting(self._track.encode(None), durations))
        if rest and rest[-1].pts != last and length * self._base > HELD:
            # A track of MP4 ends with the packet that is decoded last.
            rest[-1].duration = last + length - cast(int, rest[-1].dts)
        yield from rest

    @staticmethod
    def _lasting(packets: list[Packet[Any]], durations: dict[int, int]) -> Iterator[Packet[Any]]:
        for packet in packets:
            packet.duration = durations.pop(cast(int, packet.pts), packet.duration)
            yield packet


class SoundEncode:
    """Exactly the samples of [begin, end), encoded again; silence where the file has a gap."""

    def __init__(
        self, path: Path, index: int, begin: float, end: float, encoder: str, *, stereo: bool, pad: bool
    ) -> None:
        """stereo: mix surround sound down to stereo. pad: add silence if the sound ends before the span."""
        from av.codec import Codec

        self._path, self._index, self._begin, self._stop = path, index, begin, end
        self.begin = self.end = begin
        self._encoder, self._pad = encoder, pad
        with open_video(path) as container:
            context = cast("AudioStream", container.streams[index]).codec_context
            rates = Codec(encoder, "w").audio_rates or [context.sample_rate]
            self._rate = context.sample_rate if context.sample_rate in rates else 48_000
            wide = context.channels > (2 if stereo else 6)
            self._layout = "stereo" if wide or context.channels < 1 else context.layout.name
            if context.layout.name not in ("mono", "stereo", "5.1"):
                self._layout = "mono" if context.channels == 1 else "stereo"
            if stereo and self._layout == "5.1":
                self._layout = "stereo"

    def attach(self, output: OutputContainer) -> None:
        self._track = cast("AudioStream", output.add_stream(self._encoder, rate=self._rate, layout=self._layout))
        context: AudioCodecContext = self._track.codec_context
        context.bit_rate = 96_000 * len(self._channels())

    def _channels(self) -> tuple[Any, ...]:
        from av.audio.layout import AudioLayout

        return AudioLayout(self._layout).channels

    def packets(self) -> Iterator[Packet[Any]]:
        from av import AudioFrame

        position = 0
        for samples in self._samples():
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
            frame.rate, frame.pts, frame.time_base = self._rate, position, Fraction(1, self._rate)
            position += samples.shape[1]
            yield from self._track.encode(frame)
        yield from self._track.encode(None)

    def _samples(self) -> Iterator[NDArray[np.float32]]:
        """Blocks of samples, float32 [channels, N], without gaps; padded, together exactly as long as the span."""
        channels = len(self._channels())
        total = round((self._stop - self._begin) * self._rate)
        position = 0
        for at, samples in self._pieces():
            if at >= total:
                break
            slack = round(0.02 * self._rate)
            if at > position + slack:
                yield from _silence(channels, at - position)
                position = at
            if abs(at - position) > slack or position == 0:
                samples = samples[:, max(0, position - at) :]
            samples = samples[:, : total - position]
            if samples.shape[1]:
                yield samples
                position += samples.shape[1]
                self.end = self._begin + position / self._rate
        if self._pad:
            yield from _silence(channels, total - position)

    def _pieces(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Decoded blocks: position from the clip's start in samples, which may be negative; float32 [channels, N]."""
        import av

        with open_video(self._path) as container:
            origin = sound_origin(container)
        at = Fraction(self._begin) + origin
        for container, sought in ways_to(self._path, self._index, at - Fraction(1, 10)):
            stream = cast("AudioStream", container.streams[self._index])
            last, hidden = sound_end(container, self._index), hidden_before(container)
            limit = 0 if last is None else self._place(last * base_of(stream) - origin)
            resampler, setup, first, now = None, None, True, 0
            late = False
            for packet in packets_of(container, stream, sought):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue
                for frame in frames:
                    if hidden is not None and frame.pts is not None and frame.pts < hidden:
                        continue
                    if frame.sample_rate <= 0:
                        continue
                    place = now
                    if frame.pts is not None and frame.time_base is not None:
                        place = self._place(frame.pts * frame.time_base - origin)
                    late = first and sought and place > 0.2 * self._rate
                    if late:
                        break
                    first = False
                    fresh = (frame.format.name, frame.layout.name, frame.sample_rate)
                    if resampler is None or fresh != setup:
                        resampler, setup = av.AudioResampler("fltp", self._layout, self._rate), fresh
                        now = place
                    if abs(place - now) > 0.05 * self._rate:
                        now = place
                    frame.pts = None
                    for piece in resampler.resample(frame):
                        samples = np.nan_to_num(piece.to_ndarray(), nan=0.0, posinf=0.0, neginf=0.0)
                        # What an edit list hides of the last frame is silent.
                        heard = limit - now if now < limit < now + samples.shape[1] else samples.shape[1]
                        yield now, samples[:, :heard].astype(np.float32, copy=False)
                        now += samples.shape[1]
                if late:
                    break
            if not late:
                return

    def _place(self, seconds: Fraction) -> int:
        """A time in samples from the clip's start."""
        return round((seconds - Fraction(self._begin)) * self._rate)


def _silence(channels: int, samples: int) -> Iterator[NDArray[np.float32]]:
    while samples > 0:
        length = min(samples, 1 << 16)
        yield np.zeros((channels, length), np.float32)
        samples -= length
