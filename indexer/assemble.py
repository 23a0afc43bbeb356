"""Encoded scenes of the samples that a decoder sends: batches for the encoder, then embeddings grouped by scene."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import cast

import numpy as np

from vsearch.child_messages import Alive, Message
from vsearch.indexer.messages import FrameSampled, SceneFound
from vsearch.indexer.scenes import LONGEST_SCENE
from vsearch.media import EncodedScene, Pixels, Scene, Vectors
from vsearch.models.protocols import VideoEncoder


def regroup(
    encoder: VideoEncoder, scenes: Sequence[EncodedScene], spans: Sequence[tuple[float, float]]
) -> tuple[EncodedScene, ...] | None:
    """Group the encoded frames of a video by other cuts. spans: [start, end) in seconds, in time order.

    A span without a frame gets the nearest one. None where that is farther away than any scene is long: then the video
    is longer than what was decoded.
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
    """Assembles the scenes of one video. Frames are kept until their batch is full, embeddings until their scene is
    complete."""

    def __init__(self, encoder: VideoEncoder, batch: int) -> None:
        self._encoder, self._batch = encoder, batch
        self._pending: list[tuple[float, Pixels | None]] = []
        self._encoded: deque[tuple[float, Vectors]] = deque()
        self._spans: deque[tuple[Scene, bytes]] = deque()
        self._last: Vectors | None = None
        self.scenes: list[EncodedScene] = []
        """Complete scenes, in time order."""
        self.seconds = 0.0
        """Time spent in the encoder."""
        self.reached = 0.0
        """Seconds of the video up to the last sample."""

    @property
    def full(self) -> bool:
        """A batch waits to be encoded."""
        return len(self._pending) >= self._batch

    def add(self, message: Message) -> None:
        """A message of a decoder. A scene comes after all samples that lie in it."""
        if isinstance(message, FrameSampled):
            self._pending.append((message.time, message.pixels(self._encoder.frame_size)))
            self.reached = max(self.reached, message.time)
        elif isinstance(message, SceneFound):
            self._spans.append((Scene(message.start, message.end), message.payload))
        elif isinstance(message, Alive):
            self.reached = max(self.reached, message.time)

    def encode(self) -> None:
        """Encode the pending samples, and complete every scene whose samples are all encoded."""
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
                # Half precision, as the library stores them: only these grow with the length of a video.
                kept = cast(Vectors, vectors.astype(np.float16))
                self.scenes.append(EncodedScene(scene, np.array(vector), kept, np.array(moments), thumbnail))
