"""A model as a folder: config.json beside ONNX graphs and a tokenizer, run by ONNX Runtime, without torch.

    config.json     name, version, licence, dimension, preprocessing, sha256 of each file
    image.onnx      "pixels" uint8 RGB [N, H, W, 3] -> "vectors" float32 [N, D], unit length
    text.onnx       "input_ids", "attention_mask" int64 [Q, L] -> "vectors" float32 [Q, D], unit length
    tokenizer.json  in the format of the `tokenizers` library

Each side is loaded when it is first used, and only then is its checksum read: a query never touches the picture graph.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vsearch.errors import ModelDamaged
from vsearch.media import Pixels, Space, Vectors
from vsearch.models.base import FrameSize
from vsearch.models.pooling import mean_pool

FORMAT = 1
BATCH = 16
"""Frames or sentences a run: enough to fill the cores, small enough for the memory of a laptop."""


@dataclass(frozen=True, slots=True)
class FolderConfig:
    """What config.json says."""

    name: str
    version: str
    licence: str
    dim: int
    frame_size: FrameSize
    image_file: str
    text_file: str
    tokenizer_file: str
    context_length: int
    aggregation: str
    sha256: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Digest over everything that shapes a vector: the files' checksums and the preprocessing."""
        shapes = (
            sorted(self.sha256.items()),
            (self.frame_size.width, self.frame_size.height, self.frame_size.fit),
            (self.image_file, self.text_file, self.tokenizer_file),
            self.context_length,
            self.aggregation,
            self.dim,
        )
        return hashlib.blake2b(repr(shapes).encode(), digest_size=16).hexdigest()


def read_config(folder: Path) -> FolderConfig:
    """Read and check config.json. Raises ModelDamaged."""
    path = folder / "config.json"
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise ModelDamaged(
                f"Model folder {folder} has format {raw['format']}, this program reads {FORMAT}: update vsearch."
            )
        image, text = raw["image"], raw["text"]
        config = FolderConfig(
            name=str(raw["name"]),
            version=str(raw["version"]),
            licence=str(raw["licence"]),
            dim=int(raw["dim"]),
            frame_size=FrameSize(int(image["width"]), int(image["height"]), image.get("fit", "squash")),
            image_file=str(image["file"]),
            text_file=str(text["file"]),
            tokenizer_file=str(text["tokenizer"]),
            context_length=int(text["context_length"]),
            aggregation=str(raw.get("aggregation", "mean")),
            sha256={str(name): str(digest) for name, digest in raw["sha256"].items()},
        )
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelDamaged(
            f"Model folder {folder} has no readable config.json ({error!r}): get the model again."
        ) from error
    if config.aggregation != "mean":
        raise ModelDamaged(f"Model folder {folder} wants aggregation {config.aggregation!r}; this program knows: mean.")
    for name in (config.image_file, config.text_file, config.tokenizer_file):
        if Path(name).name != name:
            raise ModelDamaged(f"Model folder {folder} names {name!r}, which is not a plain file name.")
        if name not in config.sha256:
            raise ModelDamaged(f"Model folder {folder} gives no sha256 for {name!r}: get the model again.")
    return config


class FolderModel:
    """A model folder behind the protocols of base.py. Safe to use from several threads.

    threads: for each session of ONNX Runtime; 0 means one a core.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        self._folder = folder
        self._threads = threads
        self.config = read_config(folder)
        self._space = Space(model=self.config.name, fingerprint=self.config.fingerprint, dim=self.config.dim)
        self._lock = threading.Lock()
        self._image: Any = None
        self._text: Any = None
        self._tokenizer: Any = None

    @property
    def space(self) -> Space:
        return self._space

    @property
    def frame_size(self) -> FrameSize:
        return self.config.frame_size

    def encode_frames(self, pixels: Pixels) -> Vectors:
        expected = (self.frame_size.height, self.frame_size.width, 3)
        if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be uint8 [N, *{expected}]: {pixels.shape = }, {pixels.dtype = }")
        session = self._image_session()
        rows = [
            session.run(["vectors"], {"pixels": np.ascontiguousarray(pixels[at : at + BATCH])})[0]
            for at in range(0, len(pixels), BATCH)
        ]
        return self._stack(rows)

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        return mean_pool(frame_vectors, self.config.dim)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        session, tokenizer = self._text_session()
        rows = []
        for at in range(0, len(texts), BATCH):
            # A lone surrogate cannot be encoded as UTF-8; it says nothing to a model either.
            clean = [text.encode("utf-8", "replace").decode() for text in texts[at : at + BATCH]]
            encodings = tokenizer.encode_batch(clean)
            feed = {
                "input_ids": np.array([e.ids for e in encodings], dtype=np.int64),  # [Q, L]
                "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),  # [Q, L]
            }
            rows.append(session.run(["vectors"], feed)[0])
        return self._stack(rows)

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        return frame_vectors @ text_vector

    def _stack(self, rows: list[Vectors]) -> Vectors:
        if not rows:
            return np.empty((0, self.config.dim), dtype=np.float32)
        return np.concatenate(rows)

    def _image_session(self) -> Any:
        with self._lock:
            if self._image is None:
                self._image = self._session(self.config.image_file)
            return self._image

    def _text_session(self) -> tuple[Any, Any]:
        with self._lock:
            if self._text is None:
                from tokenizers import Tokenizer

                raw = self._read(self.config.tokenizer_file)
                tokenizer = Tokenizer.from_str(raw.decode("utf-8"))
                tokenizer.enable_truncation(self.config.context_length)
                tokenizer.enable_padding()
                self._tokenizer = tokenizer
                self._text = self._session(self.config.text_file)
            return self._text, self._tokenizer

    def _session(self, name: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Threads that spin while they wait for work take the cores that decoding needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(self._read(name), options, providers=["CPUExecutionProvider"])
        except ModelDamaged:
            raise
        except Exception as error:  # ONNX Runtime raises several classes of its own
            raise ModelDamaged(f"{self._folder / name} cannot be loaded ({error}): get the model again.") from error

    def _read(self, name: str) -> bytes:
        """A file of the folder, checked against its sha256."""
        try:
            data = (self._folder / name).read_bytes()
        except OSError as error:
            raise ModelDamaged(
                f"{self._folder / name} cannot be read ({error.strerror}): get the model again."
            ) from error
        if hashlib.sha256(data).hexdigest() != self.config.sha256[name]:
            raise ModelDamaged(f"{self._folder / name} does not match its checksum: get the model again.")
        return data
