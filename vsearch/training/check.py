"""The shipped folder, measured as the product will use it: pixels in, ranks out, no torch in between."""

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

from vsearch.models.protocols import UsualScore
from vsearch.training.data import PictureSet, read_pictures
from vsearch.training.export import picture_session, text_session
from vsearch.training.features import view_of
from vsearch.training.metrics import retrieval, top1
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
"""Pictures that ship inside scikit-image's wheel; the first five are the ones that the model card reports."""
REPORTED = 5


def pixel_batches(pictures: PictureSet, size: int, batch: int = 16) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
    """(names, pixels) of the pictures that a set's items use, as the product shows them to the model."""
    wanted = {pictures.pictures[place] for item in pictures.items for place in item.pictures}
    names: list[str] = []
    shown: list[NDArray[np.uint8]] = []
    for source in pictures.sources:
        for name, data in read_pictures(source):
            if name not in wanted:
                continue
            with Image.open(io.BytesIO(data)) as picture:
                shown.append(view_of(picture, 0, size, 0))
            names.append(name)
            if len(names) == batch:
                yield names, np.stack(shown)
                names, shown = [], []
    if names:
        yield names, np.stack(shown)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to unit length."""
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


class Folder:
    """A model folder under test."""

    def __init__(self, folder: Path, size: int, threads: int = 2) -> None:
        self.folder, self.size = folder, size
        self.encode = picture_session(folder / "image.onnx", threads)
        self._text = text_session(folder / "text.onnx", threads)
        self._tokens = Tokens(folder)

    def texts(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        ids = self._tokens.ids(sentences)
        return np.concatenate([self._text(*pad(ids[i : i + 64])) for i in range(0, len(ids), 64)])

    def items(self, pictures: PictureSet) -> NDArray[np.float32]:
        """A vector an item: the mean of its frames, unit length."""
        vectors: dict[str, NDArray[np.float32]] = {}
        for names, pixels in pixel_batches(pictures, self.size):
            vectors.update(zip(names, self.encode(pixels), strict=True))
        frames = [[vectors[pictures.pictures[place]] for place in item.pictures] for item in pictures.items]
        return unit(np.stack([np.mean(own, axis=0) for own in frames]))

    def retrieve(self, validation: PictureSet) -> tuple[dict[str, float], UsualScore]:
        """Text-to-video over the split, one caption a video; and what a caption and its own video score."""
        scores = self.texts([item.captions[0] for item in validation.items]) @ self.items(validation).T
        own = scores.diagonal()
        return retrieval(scores), UsualScore(float(own.mean()), float(own.std()))

    def classify(self, labelled: PictureSet) -> float:
        """Zero-shot top-1 over a labelled set's phrases, templates averaged."""
        phrases: dict[int, tuple[str, ...]] = {item.label: item.captions for item in labelled.items}
        order = sorted(phrases)
        vectors = unit(np.stack([self.texts(phrases[label]).mean(0) for label in order]))
        truth = np.array([order.index(item.label) for item in labelled.items])
        return top1(self.items(labelled) @ vectors.T, truth)

    def photographs(self) -> dict[str, int]:
        """Rank of each scikit-image photograph for its caption, among all of them; nothing without scikit-image."""
        package = find_spec("skimage")
        if package is None or package.origin is None:
            log.warning("scikit-image is not installed: its photographs are not checked")
            return {}
        place = Path(package.origin).parent / "data"
        shown = []
        for name in PHOTOGRAPHS:
            with Image.open(place / name) as picture:
                shown.append(view_of(picture, 0, self.size, 0))
        scores = self.texts(list(PHOTOGRAPHS.values())) @ self.encode(np.stack(shown)).T
        return {name: int((scores[i] >= scores[i, i]).sum()) for i, name in enumerate(PHOTOGRAPHS)}


def milliseconds_a_frame(encode: Callable[[NDArray[np.uint8]], object], size: int, batch: int = 16) -> float:
    """CPU time, best of five runs over a batch: the least disturbed by what else the machine does."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    encode(pixels)
    times = []
    for _ in range(5):
        start = time.process_time()
        encode(pixels)
        times.append(time.process_time() - start)
    return min(times) / batch * 1000
