"""Which codec goes into which container, what every browser plays, and what this computer's FFmpeg can encode.

What browsers play is taken from MDN's guides to containers and codecs: H.264 (8 bit, 4:2:0) with AAC or MP3 in MP4, and
VP8 or VP9 with Vorbis or Opus in WebM. AV1 and HEVC depend on the computer.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.video.orientation import orientation_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".m4a": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".mka": "matroska",
    ".webm": "webm",
}
"""File ending -> FFmpeg's name of the container."""

_MP4 = frozenset({"h264", "hevc", "mpeg4", "av1"}), frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"})
_WEBM = frozenset({"vp8", "vp9", "av1"}), frozenset({"vorbis", "opus"})

PLAIN_PIXELS = frozenset({"yuv420p", "yuvj420p"})
BROWSER_AUDIO_IN_MP4 = frozenset({"aac", "mp3"})
_BROWSER_SOUND_FILES = {"mp3": {"mp3"}, "wav": {"pcm_s16le", "pcm_u8"}, "flac": {"flac"}}


@dataclass(frozen=True, slots=True)
class Encoders:
    """Which encoders make a clip, and in which container they go."""

    video: str
    audio: str
    suffix: str
    sound_suffix: str
    exact: dict[str, str] = field(default_factory=dict)
    """The video encoder's options where no difference should be seen."""
    quick: dict[str, str] = field(default_factory=dict)
    """Options for a clip that is played while it is made: a fast preset."""
    hdr: str = ""
    """The video encoder, of ten bits, for high dynamic range that is kept; empty: `video` does it, with eight."""
    hdr_options: dict[str, str] = field(default_factory=dict)


ENCODERS = (
    Encoders(
        "libx264",
        "aac",
        ".mp4",
        ".m4a",
        {"preset": "fast", "crf": "16"},
        {"preset": "veryfast", "crf": "23"},
        "libx265",
        {"preset": "veryfast", "crf": "16", "x265-params": "log-level=none"},
    ),
    # An FFmpeg without GPL parts has no libx264.
    Encoders(
        "libvpx-vp9",
        "libopus",
        ".webm",
        ".webm",
        {"deadline": "good", "cpu-used": "4", "crf": "20", "b": "0", "row-mt": "1"},
        {"deadline": "realtime", "cpu-used": "7", "crf": "34", "b": "0", "row-mt": "1"},
    ),
)
"""Best first."""


def available_encoders(can: Callable[[str], bool] | None = None) -> Encoders | None:
    """The best that this FFmpeg has; None where it has none."""
    can = can or can_encode
    return next((one for one in ENCODERS if can(one.video) and can(one.audio)), None)


def can_encode(name: str) -> bool:
    """Whether this FFmpeg has an encoder of that name."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        return bool(Codec(name, "w").is_encoder)
    except UnknownCodecError:
        return False


def suffix_of_copy(video: str | None, audio: list[str], source: str) -> str:
    """The ending of a container that holds these codecs as they are. source: FFmpeg's name of the file's own.

    What came from QuickTime or MXF and fits into no MP4 goes into QuickTime, which editors read; Matroska holds
    nearly everything.
    """
    for suffix, sound_suffix, (pictures, sounds) in ((".mp4", ".m4a", _MP4), (".webm", ".webm", _WEBM)):
        if sounds.issuperset(audio) and (video is None or video in pictures):
            return sound_suffix if video is None else suffix
    if not {"mov", "mxf"}.isdisjoint(source.split(",")) and _quicktime_holds([*audio, *([video] if video else [])]):
        return ".mov"
    return ".mka" if video is None else ".mkv"


def _quicktime_holds(codecs: list[str]) -> bool:
    import av

    with av.open(io.BytesIO(), "w", format="mov") as output:
        return output.supported_codecs.issuperset(codecs)


def codec_of(stream: Stream) -> str:
    """The codec's own name: a decoder of MP3 is called mp3float."""
    return str(stream.codec_context.codec.canonical_name)


def plays_in_browser(container: InputContainer, path: Path) -> bool:
    """By what the file holds, not by its name. Files with several tracks play if the first of each kind does."""
    from vsearch.video.containers import pick_stream

    names = container.format.name.split(",")
    stream = pick_stream(container)
    audio = [codec_of(one) for one in container.streams.audio if one.codec_context is not None][:1]
    if len(container.streams.audio) > len(audio) and not audio:
        return False  # a codec that FFmpeg itself does not know
    if stream is None:
        if "mp4" in names:
            return audio == ["aac"]
        return bool(audio) and any(audio[0] in _BROWSER_SOUND_FILES.get(name, ()) for name in names)
    codec, plain = codec_of(stream), stream.codec_context.pix_fmt in PLAIN_PIXELS
    if "mp4" in names:
        # Firefox refuses QuickTime's own brand.
        return (
            container.metadata.get("major_brand", "").strip() != "qt"
            and codec == "h264"
            and plain
            and BROWSER_AUDIO_IN_MP4.issuperset(audio)
            and not is_mirrored(container, stream)
        )
    if "webm" in names:
        return is_webm(path) and codec in ("vp8", "vp9") and plain and _WEBM[1].issuperset(audio)
    return False


def is_mirrored(container: InputContainer, stream: VideoStream) -> bool:
    """Whether a player mirrors the pictures, by the next one that is decoded. Firefox turns them, but mirrors none."""
    from av.error import FFmpegError

    try:
        return orientation_of(next(container.decode(stream))).mirrored
    except (FFmpegError, StopIteration):
        return False


def is_webm(path: Path) -> bool:
    """WebM and Matroska are one format to FFmpeg; the DocType element (0x4282) of the header tells them apart."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = head.find(b"\x42\x82")
    return at >= 0 and head[at + 3 : at + 7] == b"webm"
