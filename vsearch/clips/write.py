"""Writing one clip. Runs in the child process, because the file may be hostile."""

from __future__ import annotations

import errno
import heapq
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsearch.clips.boxes import end_pictures_at
from vsearch.clips.copies import NotCopyable, SoundCopy, VideoCopy
from vsearch.clips.feeds import Feed, SoundEncode, VideoEncode
from vsearch.clips.kinds import (
    BROWSER_AUDIO_IN_MP4,
    FORMATS,
    PLAIN_PIXELS,
    Encoders,
    available_encoders,
    codec_of,
    is_mirrored,
    suffix_of_copy,
)
from vsearch.clips.messages import ClipWritten
from vsearch.clips.sound import heard_until
from vsearch.clips.timeline import EPSILON
from vsearch.errors import MediaError
from vsearch.video.containers import explain, open_video, pick_stream

if TYPE_CHECKING:
    from av.packet import Packet

BROWSER_SIDE = 1280
"""Largest longer side of a clip for a browser, in pixels."""
BROWSER_SLACK = 0.5
"""Seconds by which a copied clip for a browser may begin early; otherwise it is encoded."""


_EDITED = ("mp4", "mov")
"""Containers whose edit lists can hide the end of a track."""


class _NothingThere(MediaError):
    """The span has no frames (in a sound file: no sound)."""


@dataclass(frozen=True, slots=True)
class _Source:
    container: str
    """FFmpeg's name of the container."""
    video: str | None
    plain: bool
    """Whether the video is 8-bit 4:2:0, which every browser shows."""
    audio: tuple[tuple[int, str], ...]
    """Sound tracks as (index of the stream, codec), the best one first."""


def write_clip(
    source: Path, target: Path, start: float, end: float, how: str, suffix: str = "", encoders: Encoders | None = None
) -> ClipWritten:
    """Write [start, end) of `source` to `target`, which is overwritten.

    suffix: extension of the container; empty: one that fits. how: "copy", "exact" or "browser", see How. Raises
    MediaError, OSError."""
    import av

    with source.open("rb"):  # a permission problem is reported by the system
        pass
    encoders = encoders or available_encoders()
    try:
        found = _inspect(source)
        if how != "exact":
            with suppress(NotCopyable):
                return _copy(source, target, start, end, found, suffix, encoders, for_browser=how == "browser")
        return _encode(source, target, start, end, found, suffix, encoders, for_browser=how == "browser")
    except av.error.FFmpegError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, error.strerror) from error
        raise MediaError(f"it cannot be cut ({explain(error)})") from error
    except ValueError as error:
        raise MediaError(f"it cannot be cut ({explain(error)})") from error


def _inspect(path: Path) -> _Source:
    with open_video(path) as container:
        stream = pick_stream(container)
        best = container.streams.best("audio")
        audio = [one for one in container.streams.audio if one.codec_context is not None]
        audio.sort(key=lambda one: (best is None or one.index != best.index, one.index))
        if stream is None and not audio:
            raise MediaError("it holds neither pictures nor sound")
        return _Source(
            container=container.format.name,
            video=None if stream is None else codec_of(stream),
            plain=stream is not None
            and stream.codec_context.pix_fmt in PLAIN_PIXELS
            and not is_mirrored(container, stream),
            audio=tuple((one.index, codec_of(one)) for one in audio),
        )


def _copy(
    source: Path,
    target: Path,
    start: float,
    end: float,
    found: _Source,
    suffix: str,
    encoders: Encoders | None,
    *,
    for_browser: bool,
) -> ClipWritten:
    """Copy the span; only the sound where there are no more frames. Raises NotCopyable where this is impossible."""
    import av

    for container in _containers(found, suffix, for_browser=for_browser):
        try:
            return _copy_into(container, source, target, start, end, found, encoders, for_browser=for_browser)
        except _NothingThere:
            if found.video is None or not found.audio or for_browser:
                break
            alone = replace(found, video=None)
            return _copy(source, target, start, end, alone, suffix, encoders, for_browser=False)
        except (av.error.FFmpegError, ValueError):
            continue  # timestamps or codecs that the container refuses
    raise NotCopyable("no container takes it")


def _containers(found: _Source, suffix: str, *, for_browser: bool) -> list[str]:
    """Extensions of the containers to try."""
    if for_browser:
        return [".m4a" if found.video is None else ".mp4"]
    if suffix:
        return [suffix]
    fitting = suffix_of_copy(found.video, [codec for _, codec in found.audio], found.container)
    return list(dict.fromkeys([fitting, ".mka" if found.video is None else ".mkv", ".mov"]))


def _copy_into(
    suffix: str,
    source: Path,
    target: Path,
    start: float,
    end: float,
    found: _Source,
    encoders: Encoders | None,
    *,
    for_browser: bool,
) -> ClipWritten:
    audio = found.audio[:1] if for_browser else found.audio
    if for_browser:
        if found.video not in (None, "h264") or (found.video is not None and not found.plain):
            raise NotCopyable("no browser plays these pictures everywhere")
        if found.video is None and audio[0][1] != "aac":
            raise NotCopyable("no browser plays this sound everywhere")
    feeds: list[Feed] = []
    with ExitStack() as stack:
        begin, video = start, None
        if found.video is not None:
            video = VideoCopy(source, start, end, stack)
            begin = video.begin
            if for_browser and begin < start - BROWSER_SLACK:
                raise NotCopyable("its key frame is too far away")
            feeds.append(video)
        for index, codec in audio:
            if for_browser and codec not in BROWSER_AUDIO_IN_MP4:
                if encoders is None or encoders.suffix != ".mp4":
                    raise NotCopyable("this sound cannot go into MP4")
                feeds.append(SoundEncode(source, index, begin, end, encoders.audio, stereo=True, pad=True))
            else:
                feeds.append(SoundCopy(source, index, begin, end, stack))
        _write(target, suffix, feeds, start)
    last = _end(feeds, end)
    if video is not None and video.end_with_hidden > video.end:
        if FORMATS[suffix] in _EDITED:
            end_pictures_at(target, video.end - begin)
        else:
            last = max(last, video.end_with_hidden)
    return ClipWritten(suffix, max(0.0, begin), last, copied=True)


def _encode(
    source: Path,
    target: Path,
    start: float,
    end: float,
    found: _Source,
    suffix: str,
    encoders: Encoders | None,
    *,
    for_browser: bool,
) -> ClipWritten:
    if encoders is None:
        raise MediaError("this FFmpeg has no encoder for H.264 and none for VP9")
    heard = heard_until(source, found.audio[0][0], start, end) if found.audio else None
    feeds: list[Feed] = []
    begin = start
    if found.video is not None:
        try:
            video = VideoEncode(source, start, end, encoders, BROWSER_SIDE if for_browser else 0, heard or 0.0)
        except MediaError:
            if heard is None:
                raise
        else:
            begin = video.begin
            feeds.append(video)
    suffix = suffix or (encoders.suffix if feeds else encoders.sound_suffix)
    for index, _ in found.audio[:1]:
        pad = bool(feeds)
        feeds.append(SoundEncode(source, index, begin, end, encoders.audio, stereo=for_browser, pad=pad))
    _write(target, suffix, feeds, start)
    return ClipWritten(suffix, begin, _end(feeds, end), copied=False)


def _end(feeds: list[Feed], end: float) -> float:
    """The end of the clip in seconds: that of its frames, or of sound that continues after them in the span."""
    return max(feeds[0].end, *(min(end, feed.end) for feed in feeds))


def _write(target: Path, suffix: str, feeds: list[Feed], start: float) -> None:
    import av

    # faststart puts the table of contents in front, so that a browser plays before it has the whole file.
    options = {"movflags": "+faststart"} if FORMATS[suffix] in _EDITED else {}
    with av.open(str(target), "w", format=FORMATS[suffix], options=options) as output:
        for feed in feeds:
            feed.attach(output)
        written = [0] * len(feeds)
        for place, packet in heapq.merge(
            *(_placed(place, feed.packets()) for place, feed in enumerate(feeds)), key=lambda pair: _when(pair[1])
        ):
            output.mux(packet)
            written[place] += 1
        if not written[0] or feeds[0].end <= start + EPSILON:
            raise _NothingThere("nothing of it lies in that span")


def _placed(place: int, packets: Iterator[Packet[Any]]) -> Iterator[tuple[int, Packet[Any]]]:
    return ((place, packet) for packet in packets)


def _when(packet: Packet[Any]) -> float:
    ticks = packet.dts if packet.dts is not None else packet.pts
    return float((ticks or 0) * packet.time_base) if packet.time_base else 0.0
