"""From samples as they arrive to encoded scenes: batches for the encoder, vectors to the scene that they lie in."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import cast

import numpy as np

from vsearch.indexer.scenes import LONGEST_SCENE
from vsearch.media import EncodedScene, Pixels, Scene, Vectors
from vsearch.models.protocols import VideoEncoder


def regroup(
    encoder: VideoEncoder, scenes: Sequence[EncodedScene], spans: Sequence[tuple[float, float]]
) -> tuple[EncodedScene, ...] | None:
    """The frames of a video under other cuts: [start, end) in seconds, in time order.

    A span without a frame takes the nearest one. None where that is farther away than any scene is long: then there is
    more of the video than was decoded.
    """
    times = np.concatenate([scene.frame_times for scene in scenes])  # [T]
    frames = np.concatenate([scene.frame_vectors for scene in scenes])  # [T, F]
    inside = []
    for start, end in spans:
        held = np.flatnonzero((times >= start) & (times < end))
        if not len(held):
            away = np.maximum(start - times, times - end)
            if away.min() > LONGEST_SCENE:
                return None
            held = np.array([away.argmin()])
        inside.append(held)
    whole = encoder.aggregate([frames[held].astype(np.float32) for held in inside])
    return tuple(
        EncodedScene(Scene(start, end), np.array(vector), frames[held], np.clip(times[held], start, end))
        for (start, end), held, vector in zip(spans, inside, whole, strict=True)
    )


class SceneAssembler:
    """One video's. Pixels live until their batch is full, vectors until their scene is complete."""

    def __init__(self, encoder: VideoEncoder, batch: int) -> None:
        self._encoder, self._batch = encoder, batch
        self._pending: list[tuple[float, Pixels | None]] = []
        self._encoded: deque[tuple[float, Vectors]] = deque()
        self._spans: deque[tuple[Scene, bytes]] = deque()
        self._last: Vectors | None = None
        self.scenes: list[EncodedScene] = []
        """Complete ones, in time order."""
        self.seconds = 0.0
        """Time spent in the encoder."""

    @property
    def full(self) -> bool:
        """A batch is there to be encoded."""
        return len(self._pending) >= self._batch

    def add_sample(self, moment: float, pixels: Pixels | None) -> None:
        """`pixels` [H, W, 3]; None: the picture of the sample before."""
        self._pending.append((moment, pixels))

    def add_scene(self, scene: Scene, thumbnail: bytes = b"") -> None:
        """All samples that lie in it have been added. thumbnail: JPEG."""
        self._spans.append((scene, thumbnail))

    def encode(self) -> None:
        """Encode what is pending, and complete every scene that this makes complete."""
        begun = time.perf_counter()
        pictures = [pixels for _, pixels in self._pending if pixels is not None]
        fresh = iter(self._encoder.encode_frames(np.stack(pictures)) if pictures else ())
        for moment, pixels in self._pending:
            if pixels is not None:
                self._last = next(fresh)
            assert self._last is not None  # the first sample of a video has pixels
            self._encoded.append((moment, self._last))
        self._pending = []
        self._complete()
        self.seconds += time.perf_counter() - begun

    def _complete(self) -> None:
        groups: list[tuple[Scene, bytes, Vectors, list[float]]] = []
        while self._spans:
            scene, thumbnail = self._spans.popleft()
            inside = []
            while self._encoded and self._encoded[0][0] < scene.end:
                inside.append(self._encoded.popleft())
            vectors = np.stack([vector for _, vector in inside])
            groups.append((scene, thumbnail, vectors, [moment for moment, _ in inside]))
        if groups:
            whole = self._encoder.aggregate([vectors for _, _, vectors, _ in groups])
            for (scene, thumbnail, vectors, moments), vector in zip(groups, whole, strict=True):
                # Half precision, as the library stores them: these are all that grows with the length of a video.
                kept = cast(Vectors, vectors.astype(np.float16))
                self.scenes.append(EncodedScene(scene, np.array(vector), kept, np.array(moments), thumbnail))
