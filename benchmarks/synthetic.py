"""Libraries of synthetic videos, for benchmarks that search; written through the store's public methods.

Vectors are clustered as those of pictures are: a common direction, topics of uneven size around it, scenes around each
topic; neighbouring scenes of a video often share a topic. Words follow Zipf's law. The same seed makes the same videos.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsearch.library import SqliteStore, VideoRecord
from vsearch.library.rows import SceneLabel
from vsearch.media import (
    EncodedScene,
    FileStamp,
    PassageVectors,
    Scene,
    Segment,
    Space,
    Transcript,
    Vectors,
    VideoInfo,
)
from vsearch.models.pooling import unit
from vsearch.models.protocols import Model, SentenceEncoder, TextEncoder
from vsearch.passages import passages_of

SCENE_SECONDS = 5.0
SYNTHETIC = Space(model="synthetic", fingerprint="benchmark", dim=512)
RECORDED_FROM, RECORDED_STEP = 1_600_000_000.0, 100_000.0
"""Unix seconds at which the first video was recorded, and from one video to the next."""

_WHO = "a man|a woman|two children|a dog|a cat|a horse|a cyclist|a cook|a band|a crowd|a swimmer|a surgeon|a pilot"
_DOES = "runs|sleeps|jumps|eats|plays|waits|dances|works|talks|climbs|swims|paints|falls|rides by|looks up|sits down"
_WHERE = (
    "on a beach|in a kitchen|in the snow|by the river|on a stage|in a car|in a forest|at night|on a roof|in the rain|"
    "in a stadium|at the market|in an office|on a mountain|in a garden|under water|at the airport|in a classroom"
)
_COMMON = """
the a and of to in is you that it for on are with as this be at have from or by we not but what all were when your can
time people water way day man woman child dog cat house car street river music light hand food work city team game
money night boat horse snow beach kitchen mountain garden forest window table bridge camera doctor pilot engine
"""


class Synthetic:
    """Clustered unit vectors, the same for a seed."""

    def __init__(self, scenes: int, dim: int, seed: int = 0, anchors: Vectors | None = None) -> None:
        """anchors [A, dim]: what topics lie near; without them, a topic's direction is random."""
        self._rng = np.random.default_rng(seed)
        self._dim = dim
        topics = max(20, scenes // 200)
        common = unit(self._rng.standard_normal((1, dim)).astype(np.float32))
        away = unit(self._rng.standard_normal((topics, dim)).astype(np.float32))
        if anchors is None:
            self._topics = unit(common + away)
        else:  # the cosine of a sentence and its pictures is about 0.4, as the embedded model's is
            self._topics = unit(anchors[np.arange(topics) % len(anchors)] + 2 * away)
        weights = 1 / np.arange(1, topics + 1) ** 0.5
        self._weights = weights / weights.sum()

    def draw(self, count: int, spread: float = 0.7) -> Vectors:
        """float32 [count, dim], each near a random topic."""
        return self._around(self._some_topics(count), spread)

    def draw_video(self, count: int, spread: float = 0.7) -> Vectors:
        """float32 [count, dim]: a few topics, which come and go in runs of some four scenes."""
        here = self._some_topics(max(4, count // 30))
        runs = here[self._rng.integers(len(here), size=count)]
        starts = self._rng.random(count) < 0.25
        starts[0] = True
        return self._around(runs[np.maximum.accumulate(np.where(starts, np.arange(count), 0))], spread)

    def near(self, vectors: Vectors, count: int, spread: float) -> Vectors:
        """float32 [N * count, dim]: `count` around each of the vectors [N, dim]."""
        return unit(self._noisy(np.repeat(vectors, count, axis=0), spread))

    def _some_topics(self, count: int) -> NDArray[np.int64]:
        return self._rng.choice(len(self._topics), size=count, p=self._weights)

    def _around(self, topics: NDArray[np.int64], spread: float) -> Vectors:
        return unit(self._noisy(self._topics[topics], spread))

    def _noisy(self, rows: Vectors, spread: float) -> Vectors:
        noise: Vectors = self._rng.standard_normal(rows.shape, dtype=np.float32)
        noise *= np.float32(spread / np.sqrt(self._dim))
        noise += rows
        return noise


class Wording:
    """Random queries and spoken sentences, the same for a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        rare = ["".join(self._rng.choice(list("aeioulnrstmkp"), size=7)) for _ in range(5000)]
        self._words = np.array([*_COMMON.split(), *rare])
        weights = 1 / np.arange(1, len(self._words) + 1)
        self._weights = weights / weights.sum()

    def lines(self, count: int, words: int = 9) -> list[str]:
        """Spoken sentences of `words` words, whose frequencies follow Zipf's law."""
        drawn = self._rng.choice(len(self._words), size=(count, words), p=self._weights)
        return [" ".join(line) for line in self._words[drawn].tolist()]

    def captions(self) -> list[str]:
        """Every sentence that may describe a scene, in a random order."""
        all_of_them = [
            f"{who} {does} {where}"
            for who in _WHO.split("|")
            for does in _DOES.split("|")
            for where in _WHERE.split("|")
        ]
        return [all_of_them[at] for at in self._rng.permutation(len(all_of_them))]


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of a synthetic library."""

    scenes: int
    a_video: int = 1000
    """Scenes of a video, at most."""
    frames: int = 2
    """Frame vectors of each scene."""
    first_video: int = 0

    def videos(self) -> list[tuple[int, int]]:
        """(number, scenes) of each."""
        whole, rest = divmod(self.scenes, self.a_video)
        sizes = [self.a_video] * whole + ([rest] if rest else [])
        return list(enumerate(sizes, start=self.first_video))


def fill(library: SqliteStore, shape: Shape, source: Synthetic, space: Space, frame_dim: int) -> None:
    """Add videos without transcripts. Four of five are in the folder "wide"; recorded RECORDED_STEP apart."""
    with library.writing():
        for number, count in shape.videos():
            vectors = source.draw_video(count)
            if frame_dim == space.dim:
                frames = source.near(vectors, shape.frames, 0.5).reshape(count, shape.frames, frame_dim)
            else:
                frames = np.ones((count, shape.frames, frame_dim), np.float32)
            library.add_video(_record(number, space, vectors, frames))


def _record(number: int, space: Space, vectors: Vectors, frames: Vectors) -> VideoRecord:
    times = (np.arange(frames.shape[1]) + 0.5) * SCENE_SECONDS / frames.shape[1]
    scenes = tuple(
        EncodedScene(Scene(SCENE_SECONDS * i, SCENE_SECONDS * (i + 1)), vector, own, SCENE_SECONDS * i + times)
        for i, (vector, own) in enumerate(zip(vectors, frames, strict=True))
    )
    folder = "narrow" if number % 5 == 4 else "wide"
    stamp = FileStamp(Path(f"/videos/{folder}/clip-{number}.mp4"), 1_000_000 + number, 1_700_000_000 * 10**9)
    info = VideoInfo(
        duration=SCENE_SECONDS * len(scenes),
        width=1280,
        height=720,
        codec="h264",
        container="mp4",
        has_audio=True,
        recorded_at=RECORDED_FROM + RECORDED_STEP * number,
    )
    return VideoRecord(stamp, f"key-{number}", info, space, scenes)


def speak(library: SqliteStore, shape: Shape, wording: Wording, sentences: SentenceEncoder) -> None:
    """A line in two of three scenes; three of four videos are in English. Encoding every passage would take minutes:
    passages have the vectors of a few hundred sentences, with noise."""
    space = sentences.space("speech")
    known = sentences.encode_sentences(wording.captions()[:500])
    source = Synthetic(0, space.dim, seed=1)
    with library.writing():
        for number, count in shape.videos():
            spoken = [i for i in range(count) if i % 3]
            lines = tuple(
                Segment(SCENE_SECONDS * i + 0.5, SCENE_SECONDS * i + 4.5, text)
                for i, text in zip(spoken, wording.lines(len(spoken)), strict=True)
            )
            spans = tuple((start, end) for start, end, _ in passages_of(lines))
            vectors = source.near(known[np.arange(number, number + len(spans)) % len(known)], 1, 0.7)
            heard = Transcript(lines, "sidecar", "benchmark", "de" if number % 4 == 3 else "en")
            library.set_transcript(f"key-{number}", heard, PassageVectors(space, spans, vectors))


def label(library: SqliteStore, space: Space) -> None:
    """Three of four scenes are labelled "common", one of a hundred "rare"."""
    ids = np.concatenate([ids for ids, _ in library.all_vectors(space)]).tolist()
    tags = [SceneLabel(i, "common", 5.0) for i in ids if i % 4] + [
        SceneLabel(i, "rare", 5.0) for i in ids if i % 100 == 0
    ]
    library.set_labels(space, ["common", "rare"], tags)


def frame_dimension(model: Model) -> int:
    """Dimension of the model's frame embeddings; that of scenes may differ."""
    size = model.frame_size
    return int(model.encode_frames(np.zeros((1, size.height, size.width, 3), np.uint8)).shape[1])


def anchors(model: TextEncoder, wording: Wording, count: int) -> Vectors:
    """[count, D]: captions as the model encodes them."""
    texts = wording.captions()[:count]
    return np.concatenate([model.encode_texts(texts[at : at + 64]) for at in range(0, len(texts), 64)])
