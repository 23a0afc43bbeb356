"""Libraries whose every score is known: scenes of colours, one letter a frame, one frame a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vsearch.library import SqliteStore, VideoRecord
from vsearch.media import EncodedScene, FileStamp, Scene, Vectors, VideoInfo
from vsearch.models.fake import COLOURS, FakeModel
from vsearch.models.protocols import HeadInfo

NAMES = list(COLOURS)
LETTERS = dict(zip("kwrgbycm", NAMES, strict=True))
"""k is black, the others are called by their first letter."""


def frames_of(letters: str) -> Vectors:
    """[T, 8]: one unit vector a letter."""
    return np.eye(len(NAMES), dtype=np.float32)[[NAMES.index(LETTERS[letter]) for letter in letters]]


def add(library: SqliteStore, path: str, scenes: Sequence[str]) -> None:
    """A video of scenes such as ["rrg", "bb"]: five frames, one a second, a cut at 3 seconds."""
    model, start, encoded = FakeModel(), 0.0, []
    for letters in scenes:
        frames = frames_of(letters)
        times = start + 0.5 + np.arange(len(letters))
        scene = Scene(start, start + len(letters))
        encoded.append(EncodedScene(scene, model.aggregate([frames])[0], frames, times))
        start = scene.end
    info = VideoInfo(duration=start, width=64, height=48, codec="h264", container="mp4")
    library.add_video(VideoRecord(FileStamp(Path(path), 1, 1), f"key of {path}", info, model.space, tuple(encoded)))


class HeadedModel(FakeModel):
    """The fake model with a matching head that counts the frames that are purely of the query's colour."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.head = HeadInfo(weight)
        self.matched: list[int] = []
        """How many scenes each call was asked to match."""

    def read_query(self, text: str) -> tuple[Vectors, Vectors]:
        vector = self.encode_texts([text])
        return vector[0], vector

    def match(self, words: Vectors, scenes: Sequence[Vectors]) -> Vectors:
        self.matched.append(len(scenes))
        return np.array([(frames @ words[0] > 0.99).sum() for frames in scenes], dtype=np.float32)
