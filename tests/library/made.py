"""Videos made of numbers: what the tests of the library put into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vsearch.library import VideoRecord
from vsearch.media import EncodedScene, FileStamp, Scene, Segment, Space, Vectors, VideoInfo

DIM = 16
SPACE = Space(model="fake", fingerprint="f0", dim=DIM)
OTHER = Space(model="other", fingerprint="f1", dim=8)
INFO = VideoInfo(duration=9.5, width=640, height=360, codec="h264", container="mp4", has_audio=True)


def unit(seed: int, count: int, dim: int = DIM) -> Vectors:
    """float32 [count, dim], the same for a seed."""
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def stamp(path: str | Path, *, size: int = 100, mtime_ns: int = 10**18) -> FileStamp:
    return FileStamp(Path(path), size, mtime_ns)


def scenes(seed: int, count: int = 3, space: Space = SPACE) -> tuple[EncodedScene, ...]:
    """Scenes of 2 s in a row, each with two frames."""
    vectors = unit(seed, count, space.dim)
    return tuple(
        EncodedScene(Scene(2.0 * i, 2.0 * i + 2.0), v, np.stack([v, -v]), 2.0 * i + np.array([0.5, 1.5]))
        for i, v in enumerate(vectors)
    )


def record(
    path: str | Path,
    key: str,
    seed: int = 0,
    count: int = 3,
    *,
    space: Space = SPACE,
    info: VideoInfo = INFO,
    segments: Sequence[Segment] = (),
    mtime_ns: int = 10**18,
) -> VideoRecord:
    return VideoRecord(stamp(path, mtime_ns=mtime_ns), key, info, space, scenes(seed, count, space), tuple(segments))


def stored(vectors: Vectors) -> Vectors:
    """As the catalog rounds them: fp16."""
    return vectors.astype(np.float16).astype(np.float32)
