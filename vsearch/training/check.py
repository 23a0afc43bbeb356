"""Retrieval and classification of an exported model folder, measured through ONNX Runtime as the product uses it."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vsearch.metrics import accuracy, ranks, summarize
from vsearch.models.protocols import UsualScore
from vsearch.training.data import PictureSet, read_pictures
from vsearch.training.export_towers import picture_session, text_session
from vsearch.training.features import view_of
from vsearch.training.minilm import Tokens, pad

log = logging.getLogger(__name__)

PHOTOGRAPHS = {
    "astronaut.png": "an astronaut in an orange space suit",
    "chelsea.png": "a close up of a cat's face",
    "coffee.png": "a cup of coffee on a table",
    "rocket.jpg": "a rocket on the launch pad",
    "motorcycle_left.png": "a motorcycle parked in a garage",
    "camera.png": "a man filming with a camera on a tripod",
    "coins.png": "old coins",
    "moon.png": "the surface of the moon",
    "hubble_deep_field.jpg": "galaxies and stars in space",
    "page.png": "a page of printed text",
    "brick.png": "a brick wall",
    "grass.png": "grass",
    "gravel.png": "gravel and small stones",
    "retina.jpg": "the retina of an eye",
}
"""Pictures in scikit-image's wheel, with captions."""
REPORTED = 5
"""The first photographs, which the model card reports."""


def pixel_batches(pictures: PictureSet, size: int, batch: int = 16) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
    """(names, pixels) of the pictures that a set's items use, in the plain view."""
    wanted = {pictures.pictures[place] for item in pictures.items for place in item.pictures}
    names: list[str] = []
    views: list[NDArray[np.uint8]] = []
    for source in pictures.sources:
        for name, data in read_pictures(source):
            if name not in wanted:
                continue
            with Image.open(io.BytesIO(data)) as picture:
                views.append(view_of(picture, 0, size, 0))
            names.append(name)
            if len(names) == batch:
                yield names, np.stack(views)
                names, views = [], []
    if names:
        yield names, np.stack(views)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to unit length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class ExportedFolder:
    """An exported model folder with its ONNX sessions."""

    def __init__(self, folder: Path, size: int, threads: int = 2) -> None:
        self.folder, self.size = folder, size
        self.encode = picture_session(folder / "image.onnx", threads)
        self._text = text_session(folder / "text.onnx", threads)
        self._tokens = Tokens(folder)

    def texts(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        ids = self._tokens.ids(sentences)
        return np.concatenate([self._text(*pad(ids[i : i + 64])) for i in range(0, len(ids), 64)])

    def items(self, pictures: PictureSet) -> NDArray[np.float32]:
        """Unit embeddings of items, each the mean of its frames: [items, D]."""
        vectors: dict[str, NDArray[np.float32]] = {}
        for names, pixels in pixel_batches(pictures, self.size):
            vectors.update(zip(names, self.encode(pixels), strict=True))
        frames = [[vectors[pictures.pictures[place]] for place in item.pictures] for item in pictures.items]
        return unit(np.stack([np.mean(own, axis=0) for own in frames]))

    def retrieve(self, validation: PictureSet) -> tuple[dict[str, float], UsualScore]:
        """Text-to-video retrieval with one caption per video, and the usual score of a caption and its video."""
        scores = self.texts([item.captions[0] for item in validation.items]) @ self.items(validation).T
        own = scores.diagonal()
        return summarize(ranks(scores, np.arange(len(scores)))), UsualScore(float(own.mean()), float(own.std()))

    def classify(self, labelled: PictureSet) -> float:
        """Zero-shot top-1 (percent) over a labelled set's phrases, templates averaged."""
        phrases: dict[int, tuple[str, ...]] = {item.label: item.captions for item in labelled.items}
        order = sorted(phrases)
        vectors = unit(np.stack([self.texts(phrases[label]).mean(0) for label in order]))
        truth = np.array([order.index(item.label) for item in labelled.items])
        return accuracy(self.items(labelled) @ vectors.T, truth)

    def photographs(self) -> dict[str, int]:
        """Rank of each scikit-image photograph for its caption among all of them; empty without scikit-image."""
        package = find_spec("skimage")
        if package is None or package.origin is None:
            log.warning("scikit-image is not installed: its photographs are not checked")
            return {}
        folder = Path(package.origin).parent / "data"
        views = []
        for name in PHOTOGRAPHS:
            with Image.open(folder / name) as picture:
                views.append(view_of(picture, 0, self.size, 0))
        scores = self.texts(list(PHOTOGRAPHS.values())) @ self.encode(np.stack(views)).T
        return dict(zip(PHOTOGRAPHS, ranks(scores, np.arange(len(scores))).tolist(), strict=True))


def milliseconds_per_frame(encode: Callable[[NDArray[np.uint8]], object], size: int, batch: int = 16) -> float:
    """CPU time per frame: the best of five batches, which other processes disturbed least."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    encode(pixels)
    times = []
    for _ in range(5):
        start = time.process_time()
        encode(pixels)
        times.append(time.process_time() - start)
    return min(times) / batch * 1000
