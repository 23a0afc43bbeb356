"""Messages between the indexer and its child processes (worker.py). Times in seconds on the player's timeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vsearch.child_messages import Done, Message, Request
from vsearch.indexer.audio import Inspected
from vsearch.indexer.probe import Probed
from vsearch.indexer.thumbnails import checked_thumbnail
from vsearch.media import Pixels, Segment
from vsearch.models.protocols import AudioBlock, FrameSize, RecognisedText

# -- replies


@dataclass(frozen=True, slots=True)
class VideoProbed(Message):
    """The file is a video that gives at least one frame."""

    probed: Probed

    last = True


@dataclass(frozen=True, slots=True)
class VideoRejected(Message):
    """The file cannot be indexed as a video."""

    cause: str
    is_video: bool
    """It is a video, but not one that can be used; False: a file of another kind."""
    sound: bool
    """It has sound, but no frames."""

    last = True


@dataclass(frozen=True, slots=True)
class FrameSampled(Message):
    """A frame to encode."""

    time: float
    payload: bytes
    """uint8 RGB [H, W, 3] of the requested size; empty: the same frame as the sample before."""

    def pixels(self, size: FrameSize) -> Pixels | None:
        """None: the same frame as the sample before."""
        if not self.payload:
            return None
        return np.frombuffer(self.payload, np.uint8).reshape(size.height, size.width, 3)


@dataclass(frozen=True, slots=True)
class SceneFound(Message):
    """A scene [start, end). All its samples have been sent."""

    start: float
    end: float
    payload: bytes
    """JPEG of its thumbnail; empty: it has none."""

    def __post_init__(self) -> None:
        checked_thumbnail(self.payload)


@dataclass(frozen=True, slots=True)
class KeyFrameFound(Message):
    """A frame in which text is recognised."""

    time: float
    payload: bytes
    """JPEG; empty: it looks like the key frame before."""


@dataclass(frozen=True, slots=True)
class Decoded(Message):
    """All frames of a video have been decoded."""

    end: float
    """Where the last frame ends."""
    clock_jumped: bool
    """The container's clock jumped: its header does not say where the video ends."""
    decode_seconds: float
    """Time spent on decoding."""
    scene_seconds: float
    """Time spent on finding cuts."""

    last = True


@dataclass(frozen=True, slots=True)
class ThumbnailMade(Message):
    """The thumbnail of a scene."""

    scene: int
    """Which of the requested spans."""
    payload: bytes
    """JPEG."""

    def __post_init__(self) -> None:
        checked_thumbnail(self.payload)


@dataclass(frozen=True, slots=True)
class TracksFound(Message):
    """The tracks of a file."""

    tracks: Inspected

    last = True


@dataclass(frozen=True, slots=True)
class SubtitlesRead(Message):
    """The segments of a subtitle track."""

    segments: tuple[Segment, ...]

    last = True


@dataclass(frozen=True, slots=True)
class SoundDecoded(Message):
    """A block of sound."""

    start: float
    payload: bytes
    """float32 [N]."""

    def block(self) -> AudioBlock:
        return AudioBlock(self.start, np.frombuffer(self.payload, np.float32))


@dataclass(frozen=True, slots=True)
class TextRecognised(Message):
    """The lines of text in a frame, in reading order."""

    lines: tuple[RecognisedText, ...]

    last = True


# -- requests


@dataclass(frozen=True, slots=True)
class Warm(Request):
    """Import what decoding needs; no reply."""

    replies = ()


@dataclass(frozen=True, slots=True)
class Probe(Request):
    """Open a file, read its header and decode one frame."""

    path: Path

    replies = (VideoProbed, VideoRejected)


@dataclass(frozen=True, slots=True)
class Decode(Request):
    """Decode a video, find its scenes and sample its frames."""

    path: Path
    probed: Probed
    decoder: str
    frame_size: FrameSize
    interval: float
    """Seconds between samples."""
    threads: int
    key_frames: bool = False
    """Send key frames, too."""

    replies = (FrameSampled, SceneFound, KeyFrameFound, Decoded)

    def check(self, reply: Message) -> None:
        size = self.frame_size.width * self.frame_size.height * 3
        if isinstance(reply, FrameSampled) and len(reply.payload) not in (0, size):
            raise ValueError("a sample has the requested size")


@dataclass(frozen=True, slots=True)
class FindKeyFrames(Request):
    """Decode a video for its key frames alone."""

    path: Path
    probed: Probed
    decoder: str
    threads: int
    moments: tuple[float, ...]
    """When, ascending."""

    replies = (KeyFrameFound, Done)


@dataclass(frozen=True, slots=True)
class RecogniseText(Request):
    """Recognise the text in a frame."""

    reader: str
    """"module:function": see worker.find_reader."""
    payload: bytes
    """JPEG."""

    replies = (TextRecognised,)


@dataclass(frozen=True, slots=True)
class MakeThumbnails(Request):
    """Make the thumbnails of known scenes."""

    path: Path
    spans: tuple[tuple[float, float], ...]
    """[start, end) of each scene."""

    replies = (ThumbnailMade, Done)

    def check(self, reply: Message) -> None:
        if isinstance(reply, ThumbnailMade) and not 0 <= reply.scene < len(self.spans):
            raise ValueError("a thumbnail belongs to a requested scene")


@dataclass(frozen=True, slots=True)
class FindTracks(Request):
    """List the sound and subtitle tracks of a file."""

    path: Path

    replies = (TracksFound,)


@dataclass(frozen=True, slots=True)
class ReadSubtitles(Request):
    """Read an embedded subtitle track."""

    path: Path
    track: int
    """Index of its stream."""

    replies = (SubtitlesRead,)


@dataclass(frozen=True, slots=True)
class DecodeSound(Request):
    """Decode a sound track."""

    path: Path
    track: int
    """Index of its stream."""

    replies = (SoundDecoded, Done)

    def check(self, reply: Message) -> None:
        if isinstance(reply, SoundDecoded) and len(reply.payload) % 4:
            raise ValueError("samples of sound have 4 bytes each")
