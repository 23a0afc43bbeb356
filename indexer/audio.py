"""Sound of a file as 16 kHz mono float32, block by block: memory does not grow with its length. Runs in the worker.

inspect(path) -> Inspected                     which tracks there are
read_blocks(path, index) -> Iterator[AudioBlock]
read_subtitle_track(path, index) -> list[Segment]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vsearch.errors import MediaError
from vsearch.indexer.downmix import mono
from vsearch.indexer.probe import open_video, pick_stream, recorded_at
from vsearch.indexer.sidecars import PARTIAL_WORDS
from vsearch.indexer.subtitles import dialogue_text, plain
from vsearch.languages import short_language
from vsearch.media import Segment
from vsearch.models.protocols import SAMPLE_RATE, AudioBlock
from vsearch.video.clock import duration_of, in_step, may_jump
from vsearch.video.frame_times import hidden_before

if TYPE_CHECKING:
    from av.audio.layout import AudioLayout
    from av.container import InputContainer
    from av.stream import Stream

BLOCK = 4 * SAMPLE_RATE
"""Samples of a block, at the least."""
GAP = 0.1
"""Seconds by which a timestamp may differ from the end of what came before; beyond that a new block begins there."""
_SECONDARY = PARTIAL_WORDS | {"descriptive", "description", "audiodescription"}
"""Words of a track's title."""
TEXT_CODECS = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})


@dataclass(frozen=True, slots=True)
class Track:
    """A track of sound or of subtitles."""

    index: int
    """Of the stream in its file."""
    language: str | None
    """ISO 639-1 where the container's code has one, else as it is written there."""
    default: bool
    codec: str
    secondary: bool = False
    """It is a commentary, a description for the blind, or forced: it does not hold all that is said."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a container says of its tracks."""

    audio: tuple[Track, ...]
    subtitles: tuple[Track, ...]
    """Those that are text; pictures of text are left out."""
    pictures: bool
    """There is a video track, other than cover art."""
    duration: float
    """Seconds: where the sound ends, else where the container says that it ends; 0.0: unknown."""
    container: str
    recorded_at: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Inspected:
        tracks = {name: tuple(Track(**track) for track in fields[name]) for name in ("audio", "subtitles")}
        return cls(**{**fields, **tracks})


def inspect(path: Path) -> Inspected:
    """Raises MediaError where it is no file with sound or pictures; OSError passes through."""
    import av

    with path.open("rb"):  # a permission problem is the system's to tell
        pass
    try:
        with open_video(path) as container:
            if container.format.name.endswith("_pipe"):
                raise MediaError("it is a picture")
            return Inspected(
                audio=tuple(_track(stream) for stream in container.streams.audio if stream.codec_context is not None),
                subtitles=tuple(
                    track for track in map(_track, container.streams.subtitles) if track.codec in TEXT_CODECS
                ),
                pictures=pick_stream(container) is not None,
                duration=_duration(container),
                container=container.format.name,
                recorded_at=recorded_at(container.metadata.get("creation_time")),
            )
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError("it cannot be opened: it is damaged, or holds no sound") from error


def _duration(container: InputContainer) -> float:
    """Seconds until the sound ends. The container's own duration counts subtitles too, and one may never end."""
    if may_jump(container):
        return duration_of(container)
    origin = (container.start_time or 0) / 1_000_000
    ends = [end - origin for stream in container.streams.audio if (end := _end(stream)) is not None]
    if ends:
        return max(0.0, *ends)
    return 0.0 if container.streams.subtitles else max(0.0, (container.duration or 0) / 1_000_000)


def _end(stream: Stream) -> float | None:
    """The end of a stream in seconds of its own clock; None where the container does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    told = re.fullmatch(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)", stream.metadata.get("DURATION", ""))  # Matroska
    return int(told[1]) * 3600 + int(told[2]) * 60 + float(told[3]) if told else None


def _track(stream: Stream) -> Track:
    from av.stream import Disposition

    context = stream.codec_context
    kinds = Disposition.comment
    if stream.type == "audio":
        kinds |= Disposition.visual_impaired | Disposition.descriptions | Disposition.clean_effects
    else:
        kinds |= Disposition.forced
    titles = " ".join(stream.metadata.get(key, "") for key in ("title", "handler_name", "name"))
    return Track(
        index=stream.index,
        language=short_language(stream.metadata.get("language")),
        default=bool(stream.disposition & Disposition.default),
        codec=context.name if context is not None else "",
        secondary=bool(stream.disposition & kinds) or bool(_SECONDARY & set(re.findall(r"[^\W_]+", titles.lower()))),
    )


def read_blocks(path: Path, index: int) -> Iterator[AudioBlock]:
    """The sound of one track in time order. Damaged packets are left out; MediaError where nothing can be decoded."""
    import av

    sounded = False
    try:
        with open_video(path) as container:
            for block in _blocks(container, index):
                sounded = True
                yield block
    except (av.error.FFmpegError, ValueError, MemoryError) as error:
        raise MediaError("its sound breaks off" if sounded else "its sound cannot be decoded") from error
    if not sounded:
        raise MediaError("its sound cannot be decoded")


def _blocks(container: InputContainer, index: int) -> Iterator[AudioBlock]:
    import av

    stream = container.streams[index]
    origin = (container.start_time or 0) / 1_000_000
    first = hidden_before(container)
    resampler: av.AudioResampler | None = None
    setup: tuple[Any, ...] = ()
    parts: list[np.ndarray[Any, np.dtype[np.float32]]] = []  # [N] each
    channels: list[np.ndarray[Any, np.dtype[np.float32]]] = []  # [N, C] each, which come after them
    held = 0
    start = now = 0.0  # of what is held, and of its end

    def hold(pieces: list[av.AudioFrame]) -> int:
        """Buffer the frames; return their number of samples."""
        count = 0
        for piece in pieces:
            samples = piece.to_ndarray().reshape(-1, piece.layout.nb_channels)
            channels.append(np.nan_to_num(samples, copy=True, nan=0.0, posinf=0.0, neginf=0.0))
            count += len(samples)
        return count

    def mix() -> None:
        if channels:
            parts.append(mono(np.concatenate(channels)))
            channels.clear()

    for packet in in_step(container, stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if not isinstance(frame, av.AudioFrame) or frame.sample_rate <= 0:
                continue
            if first is not None and frame.pts is not None and frame.pts < first:
                continue
            fresh = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or fresh != setup:
                # Broadcasts change from stereo to surround between programmes.
                mix()
                resampler, setup = av.AudioResampler("flt", _mixable(frame.layout), SAMPLE_RATE), fresh
            begins = (
                now if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base) - origin
            )
            if abs(begins - now) > GAP:
                if held:
                    mix()
                    yield AudioBlock(start, np.concatenate(parts))
                parts, held, start, now = [], 0, max(0.0, begins), max(0.0, begins)
            frame.pts = None
            held += hold(resampler.resample(frame))
            now += frame.samples / frame.sample_rate
            if held >= BLOCK:
                mix()
                yield AudioBlock(start, np.concatenate(parts))
                # counted in samples, so that blocks join without a seam
                parts, held, start = [], 0, start + held / SAMPLE_RATE
    if resampler is not None:
        hold(resampler.resample(None))
    mix()
    if parts:
        yield AudioBlock(start, np.concatenate(parts))


def _mixable(layout: AudioLayout) -> AudioLayout | str:
    """The layout in which channels come to be mixed: FFmpeg knows how loud those of surround sound are."""
    named = "channels" not in layout.name and not layout.name.startswith("ambisonic")
    return "stereo" if named and 2 < layout.nb_channels <= 8 else layout


def read_subtitle_track(path: Path, index: int) -> list[Segment]:
    """The lines of one embedded track of text, in time order; those that cannot be decoded are left out."""
    import av

    lines: list[Segment] = []
    try:
        with open_video(path) as container:
            stream = container.streams[index]
            origin = (container.start_time or 0) / 1_000_000
            for packet in in_step(container, stream):
                if packet.pts is None or packet.duration is None or packet.time_base is None:
                    continue
                try:
                    rects = [rect for found in packet.decode() for rect in _rects(found)]
                except av.error.FFmpegError:
                    continue
                start = max(0.0, float(packet.pts * packet.time_base) - origin)
                end = start + float(packet.duration * packet.time_base)
                text = plain("\n".join(_words(rect) for rect in rects))
                if text and start < end:
                    lines.append(Segment(start, end, text))
    except (av.error.FFmpegError, ValueError) as error:
        if not lines:
            raise MediaError("its subtitles cannot be read") from error
    return sorted(lines, key=lambda line: line.start)


def _rects(found: Any) -> list[Any]:
    return list(found) if hasattr(found, "__iter__") else [found]


def _words(rect: Any) -> str:
    """An event is "ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text"."""
    event = getattr(rect, "ass", b"") or b""
    if event:
        return dialogue_text(event.decode("utf-8", "replace").split(",", 8)[-1])
    return str((getattr(rect, "text", b"") or b"").decode("utf-8", "replace"))
