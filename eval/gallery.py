"""Videos as their benchmark sees them: a few frames each, from pictures or from the video files themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from eval.pictures import Pictures, fit_picture
from vsearch.errors import MediaError, PathError
from vsearch.media import Pixels, Vectors
from vsearch.models.protocols import FrameSize, TextEncoder, VideoEncoder

T = TypeVar("T")

MAX_FRAMES = 12
"""CLIP4Clip's protocol: one frame a second, at most 12 of them, evenly."""
TEXT_BATCH = 256


class FrameSource(Protocol):
    """Where the frames of a benchmark's videos come from."""

    @property
    def videos(self) -> list[str]:
        """Ids of the videos that are there."""
        ...

    def read(self, video: str, size: FrameSize) -> Pixels:
        """At most MAX_FRAMES frames [T, H, W, 3] in time order, T >= 1. MediaError where there is none."""
        ...


class PictureFrames:
    """Frames kept as pictures called `VIDEO/NAME`, in the order of their names."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._frames: dict[str, list[str]] = {}
        for name in pictures.names:
            self._frames.setdefault(PurePosixPath(name).parent.name, []).append(name)

    @property
    def videos(self) -> list[str]:
        return sorted(video for video in self._frames if video)

    def read(self, video: str, size: FrameSize) -> Pixels:
        frames, cause = [], f"{video}: it has no frames"
        for name in evenly(self._frames.get(video, []), MAX_FRAMES):
            try:
                frames.append(self._pictures.read(name, size))
            except MediaError as error:
                cause = str(error)
        if not frames:
            raise MediaError(cause)
        return np.stack(frames)


class VideoFolder:
    """A folder of video files called by their id, in any container that FFmpeg reads."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise PathError(f"{folder} is not a folder of videos")
        self._files: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix:
                self._files.setdefault(path.stem, path)
        if not self._files:
            raise PathError(f"{folder} holds no files")

    @property
    def videos(self) -> list[str]:
        return sorted(self._files)

    def read(self, video: str, size: FrameSize) -> Pixels:
        frames = evenly(list(_frames_each_second(self._files[video], size)), MAX_FRAMES)
        if not frames:
            raise MediaError(f"{self._files[video]}: no frame can be decoded")
        return np.stack(frames)


def _frames_each_second(path: Path, size: FrameSize) -> Iterator[Pixels]:
    """The first frame and then the first one of every further second, by the stream's own timestamps."""
    import av

    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path}: it has no video track")
            start: float | None = None
            for frame in container.decode(video=0):
                time = frame.time if frame.time is not None else float(count)
                start = time if start is None else start
                if time - start >= count:
                    count = int(time - start) + 1
                    yield fit_picture(Image.fromarray(frame.to_ndarray(format="rgb24")), size)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if count == 0:  # a damaged end leaves the frames before it
            raise MediaError(f"{path}: it cannot be decoded: {error}") from error


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, spread evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What came of encoding a list of videos."""

    frames: dict[str, Vectors]
    """For each video that could be read, [T, F], in the order asked for."""
    failures: dict[str, str]
    """For each other one, why."""


def encode_videos(model: VideoEncoder, source: FrameSource, videos: Iterable[str]) -> Encoded:
    """Frame vectors of each video; one that cannot be read is a failure, and the others continue."""
    frames: dict[str, Vectors] = {}
    failures: dict[str, str] = {}
    for video in videos:
        try:
            frames[video] = model.encode_frames(source.read(video, model.frame_size))
        except MediaError as error:
            failures[video] = str(error)
    return Encoded(frames, failures)


def encode_texts(model: TextEncoder, texts: Sequence[str]) -> Vectors:
    """Q texts to [Q, D], in batches that bound the memory."""
    parts = [model.encode_texts(texts[i : i + TEXT_BATCH]) for i in range(0, len(texts), TEXT_BATCH)]
    return np.concatenate(parts)
