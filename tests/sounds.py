"""Generated sound files, and a transcriber that needs no weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from vsearch.media import Segment, Word
from vsearch.models.protocols import SAMPLE_RATE, AudioBlock, TranscribedPart


def beeps(
    seconds: float, *spans: tuple[float, float], rate: int = SAMPLE_RATE, pitch: float = 440.0
) -> NDArray[np.int16]:
    """int16 [N]: silence with a tone in each span of seconds."""
    t = np.arange(round(seconds * rate)) / rate
    on = np.zeros(len(t), dtype=bool)
    for start, end in spans:
        on |= (t >= start) & (t < end)
    return np.asarray(on * np.sin(2 * np.pi * pitch * t) * 12000, np.int16)


def write_sound(
    path: Path,
    tracks: Sequence[NDArray[np.int16]],
    *,
    codec: str,
    rate: int = SAMPLE_RATE,
    languages: Sequence[str] = (),
    offset: float = 0.0,
    layout: str = "mono",
    dispositions: Sequence[Disposition] = (),
) -> Path:
    """A file of sound tracks, int16 [N], or [N, C] of that layout. offset: seconds at which the second and later
    tracks begin."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, rate=rate, layout=layout) for _ in tracks]
        for stream, language in zip(streams, languages, strict=False):
            stream.metadata["language"] = language
        for stream, disposition in zip(streams, dispositions, strict=False):
            stream.disposition = disposition
        for number, (stream, samples) in enumerate(zip(streams, tracks, strict=True)):
            shift = round(offset * rate) if number else 0
            assert isinstance(stream, av.AudioStream)
            resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
            for at in range(0, len(samples), 1024):
                piece = samples[at : at + 1024]
                given = "mono" if piece.ndim == 1 else layout
                frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout=given)
                frame.rate, frame.pts, frame.time_base = rate, at + shift, Fraction(1, rate)
                for encodable in resampler.resample(frame):
                    container.mux(stream.encode(encodable))
            container.mux(stream.encode(None))
    return path


def _clock(seconds: float) -> str:
    return f"{int(seconds // 3600):02d}:{int(seconds // 60 % 60):02d}:{seconds % 60:06.3f}".replace(".", ",")


def with_subtitles(
    source: Path,
    target: Path,
    lines: Sequence[tuple[float, float, str]],
    language: str = "eng",
    *,
    forced: bool = False,
    title: str = "",
) -> Path:
    """A copy of a file with one more embedded SubRip track (Matroska)."""
    sidecar = target.with_suffix(".made.srt")
    sidecar.write_text(
        "".join(f"{n}\n{_clock(start)} --> {_clock(end)}\n{text}\n\n" for n, (start, end, text) in enumerate(lines, 1))
    )
    with av.open(str(source)) as first, av.open(str(sidecar)) as second, av.open(str(target), "w") as container:
        kept = list(first.streams)
        copies = {stream.index: container.add_stream_from_template(stream) for stream in kept}
        for stream in kept:
            copies[stream.index].disposition = stream.disposition
            copies[stream.index].metadata.update(
                {key: stream.metadata[key] for key in ("title",) if key in stream.metadata}
            )
        words = container.add_stream_from_template(second.streams.subtitles[0])
        words.metadata["language"] = language
        if title:
            words.metadata["title"] = title
        if forced:
            words.disposition = Disposition.forced | Disposition.default
        for demuxed, choose in ((first.demux(kept), copies.__getitem__), (second.demux(), lambda _: words)):
            for packet in demuxed:
                if packet.size:
                    packet.stream = choose(packet.stream.index)
                    container.mux(packet)
    sidecar.unlink()
    return target


@dataclass
class BeepReader:
    """A transcriber that reports every beep as a word; `heard` counts the seconds of sound it received."""

    word: str = "beep"
    recipe: str = "beeps 1"
    heard: float = 0.0
    blocks: list[tuple[float, float]] = field(default_factory=list)

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        for block in blocks:
            self.heard += block.end - block.start
            self.blocks.append((block.start, block.end))
            loud = np.abs(block.samples) > 0.05
            steps = [loud[at : at + 1600].mean() > 0.5 for at in range(0, len(loud), 1600)]  # tenths of a second
            lines, begun = [], None
            for at, on in enumerate([*steps, False]):
                if on and begun is None:
                    begun = at
                elif not on and begun is not None:
                    start, end = block.start + begun / 10, block.start + at / 10
                    lines.append(Segment(start, end, self.word, words=(Word(start, end, self.word),)))
                    begun = None
            yield TranscribedPart(tuple(lines), "en" if lines else None, block.end)
