"""Backbone features of every picture, computed once and cached: training then takes minutes on two cores.

They are computed by ONNX Runtime, on a CPU about twice as fast as torch. A picture has several views: 0 the whole
picture squashed to a square (as in the product), 1 its mirror image, 2 and above random crops. A cache is a folder of
.npy files that are filled in chunks, so that an interrupted run can be resumed.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vsearch.media import Pixels
from vsearch.training.data import PictureSet, read_pictures

log = logging.getLogger(__name__)

BATCH = 16
SAVE_EVERY = 64
"""Batches between two updates of the cache's state file."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureCache:
    """Features of N pictures in V views, float16, mapped from disk."""

    features: NDArray[np.float16]
    """[N, V, 2560]: pooled features of Lite2, then of Lite0."""
    maps: tuple[NDArray[np.float16], ...]
    """For each view [N, 208, 9, 9]: the map before Lite2's last blocks, for tuning them."""
    readable: NDArray[np.bool_]
    """[N]: False where a picture could not be read."""


def view_of(picture: Image.Image, view: int, size: int, seed: int) -> Pixels:
    """One view of a picture as uint8 [size, size, 3]; `seed` determines the random ones."""
    picture = picture.convert("RGB")
    if view == 1:
        picture = ImageOps.mirror(picture)
    box = None
    if view >= 2:
        rng = np.random.default_rng((seed, view))
        width, height = (side * rng.uniform(0.6, 1.0) for side in picture.size)
        left, top = rng.uniform(0, picture.width - width), rng.uniform(0, picture.height - height)
        box = (left, top, left + width, top + height)
        if rng.random() < 0.5:
            box = (picture.width - box[2], box[1], picture.width - box[0], box[3])
            picture = ImageOps.mirror(picture)
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=box), dtype=np.uint8)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file atomically."""
    partial = path.with_suffix(f".{os.getpid()}.part")
    with partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    partial.replace(path)


def _fingerprint(pictures: PictureSet, backbone: Path) -> str:
    digest = hashlib.sha256(backbone.read_bytes())
    for name in pictures.pictures:
        digest.update(name.encode() + b"\0")
    return digest.hexdigest()


def _open_array(path: Path, shape: tuple[int, ...], dtype: Any) -> Any:
    if path.exists():
        array = np.load(path, mmap_mode="r+", allow_pickle=False)
        if array.shape == shape:
            return array
        path.unlink()
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)  # type: ignore[no-untyped-call, unused-ignore]


def cache_name(pictures: PictureSet) -> str:
    """Folder of a set's cache. Only sets with the same pictures, such as the label groups, share one."""
    digest = hashlib.sha256("\0".join(pictures.pictures).encode()).hexdigest()
    return f"{pictures.sources[0].parent.name}-{digest[:8]}"


def open_cache(folder: Path, pictures: PictureSet) -> FeatureCache:
    """The finished views of the cache of a set."""
    cache = folder / cache_name(pictures)
    count = len(pictures.pictures)
    done = json.loads((cache / "state.json").read_text())["done"]
    views = [view for view in range(len(done)) if done.get(str(view)) == count]

    def load(name: str) -> NDArray[Any]:
        return np.load(cache / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    features = np.stack([load(f"features-{view}") for view in views], axis=1)
    return FeatureCache(features, tuple(load(f"maps-{view}") for view in views), load("readable"))


class PictureReader:
    """Decodes pictures of a set in any view. Their files are read once and kept in memory."""

    def __init__(self, pictures: PictureSet, size: int, seed: int) -> None:
        self._pictures, self._size, self._seed = pictures, size, seed
        self._content: dict[str, bytes] | None = None
        self._lock = threading.Lock()

    def read(self, place: int, view: int) -> Pixels | None:
        """uint8 [S, S, 3], or None if the picture cannot be read (logged). Safe to call from several threads."""
        with self._lock:
            if self._content is None:
                sources = self._pictures.sources
                self._content = {name: data for source in sources for name, data in read_pictures(source)}
        name = self._pictures.pictures[place]
        try:
            with Image.open(io.BytesIO(self._content[name])) as picture:
                return view_of(picture, view, self._size, self._seed * 1_000_003 + place)
        except (OSError, ValueError) as error:
            log.warning("%s: picture %r cannot be read (%s)", self._pictures.name, name, error)
            return None

    def __call__(self, place: int, view: int) -> Pixels:
        """uint8 [S, S, 3]; black if the picture cannot be read."""
        pixels = self.read(place, view)
        return np.zeros((self._size, self._size, 3), np.uint8) if pixels is None else pixels


def extract(
    folder: Path,
    pictures: PictureSet,
    backbone: Path,
    *,
    view: int,
    threads: int,
    seed: int,
    progress: Callable[[int], None],
) -> None:
    """Compute one view of every picture of a set that the cache does not hold yet.

    backbone: an ONNX file, pixels uint8 [N, S, S, 3] -> map, features (in this order). progress: receives the number of
    finished pictures.
    """
    import onnxruntime

    cache = folder / cache_name(pictures)
    cache.mkdir(parents=True, exist_ok=True)
    state_file = cache / "state.json"
    fingerprint = _fingerprint(pictures, backbone)
    state = json.loads(state_file.read_text()) if state_file.exists() else {}
    if state.get("fingerprint") != fingerprint:
        state = {"fingerprint": fingerprint, "done": {}}
    done = int(state["done"].get(str(view), 0))
    count = len(pictures.pictures)
    progress(done)
    if done >= count:
        return
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # leave the CPU to other processes while idle
    session = onnxruntime.InferenceSession(str(backbone), options, providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[1]
    features = _open_array(cache / f"features-{view}.npy", (count, session.get_outputs()[1].shape[1]), np.float16)
    maps = _open_array(cache / f"maps-{view}.npy", (count, *session.get_outputs()[0].shape[1:]), np.float16)
    readable = _open_array(cache / "readable.npy", (count,), np.bool_)
    reader = PictureReader(pictures, size, seed)

    def chunks() -> Iterator[tuple[int, Pixels, NDArray[np.bool_]]]:
        with ThreadPoolExecutor(1) as pool:
            ahead = None
            for start in range(done, count, BATCH):
                batch = ahead or [pool.submit(reader.read, i, view) for i in range(start, min(start + BATCH, count))]
                following = start + BATCH
                ahead = [pool.submit(reader.read, i, view) for i in range(following, min(following + BATCH, count))]
                views = [job.result() for job in batch]
                blank = np.zeros((size, size, 3), np.uint8)
                ok = np.array([one is not None for one in views])
                yield start, np.stack([blank if one is None else one for one in views]), ok

    for number, (start, pixels, ok) in enumerate(chunks()):
        batch_maps, batch_features = session.run(["map", "features"], {"pixels": pixels})
        stop = start + len(pixels)
        features[start:stop], maps[start:stop], readable[start:stop] = batch_features, batch_maps, ok
        progress(stop)
        if (number + 1) % SAVE_EVERY == 0 or stop == count:
            features.flush(), maps.flush(), readable.flush()
            state["done"][str(view)] = stop
            partial = state_file.with_suffix(".part")
            partial.write_text(json.dumps(state))
            partial.replace(state_file)
