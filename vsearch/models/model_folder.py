"""A model folder: config.json, ONNX graphs and a tokenizer, run by ONNX Runtime without torch.

    config.json     name, version, licence, dimension, preprocessing, sha256 of each file
    image.onnx      "pixels" uint8 RGB [N, H, W, 3] -> "vectors" float32 [N, F], unit length
    text.onnx       "input_ids", "attention_mask" int64 [Q, L] -> "vectors" float32 [Q, D], unit length
    tokenizer.json  in the format of the `tokenizers` library

Optional, where config.json names them:

    temporal.onnx   "frames" float32 [S, T, F], "mask" bool [S, T] -> "vectors" float32 [S, D], unit length
                    (aggregation "temporal"; without it a scene is the mean of its frames)
    itm.onnx        "words" float32 [1, L, W], "word_mask" bool [1, L], "frames" float32 [N, T, F],
                    "frame_mask" bool [N, T] -> "logits" float32 [N]; text.onnx then has a second output,
                    "words" float32 [Q, L, W]

Keys of config.json:

    image.dim       F; D by default
    fingerprint     that of the model that the folder was exported from: both share one space
    text.sentences  "dim" and "context_length" of a further output of text.onnx, "sentences" float32 [Q, S], unit
                    length: embeddings for comparing texts with texts (sentence_encoder.py)
    score           "mean" and "spread" (standard deviation) of the inner product of a sentence and the scene that it
                    describes: fusion needs them to compare visual scores with those of transcripts

A graph of more than 2 GB keeps its weights in a file beside it, NAME.data. The padding of tokenizer.json is used;
without one, a batch is padded to its longest sentence. A file is loaded and its checksum verified when it is first
used: a query does not load the image graph.
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
from numpy.typing import NDArray

from vsearch.errors import ModelDamaged
from vsearch.media import Pixels, Space, Vectors
from vsearch.models.graphs import BESIDE, Graphs
from vsearch.models.head_folder import FramesGraph, aggregate, match
from vsearch.models.pooling import mean_pool, unit
from vsearch.models.protocols import FrameSize, HeadInfo, UsualScore

FORMAT = 1
BATCH = 16
"""Frames or sentences a run: enough to fill the cores, small enough for the memory of a laptop."""


@dataclass(frozen=True, slots=True)
class SentencesInfo:
    """The output of the text graph that compares words with words."""

    dim: int
    context_length: int
    """Word pieces of a passage; more are left out."""


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
    frame_dim: int
    temporal: FramesGraph | None = None
    itm: FramesGraph | None = None
    head: HeadInfo | None = None
    stated: str | None = None
    """The fingerprint that config.json states: an export makes the vectors of the model that it was made of."""
    sentences: SentencesInfo | None = None
    usual: UsualScore | None = None
    """Shapes no vector."""

    @property
    def files(self) -> list[str]:
        """Every file that may be read."""
        graphs = [graph.file for graph in (self.temporal, self.itm) if graph is not None]
        named = [self.image_file, self.text_file, self.tokenizer_file, *graphs]
        return [*named, *(f"{name}{BESIDE}" for name in named if f"{name}{BESIDE}" in self.sha256)]

    @property
    def fingerprint(self) -> str:
        """Digest over everything that shapes a vector: the files' checksums and the preprocessing.

        The matching head shapes none: with a better one, nothing has to be indexed again.
        """
        if self.stated is not None:
            return self.stated
        head = None if self.itm is None else self.itm.file
        shapes: tuple[object, ...] = (
            sorted((name, digest) for name, digest in self.sha256.items() if name != head),
            (self.frame_size.width, self.frame_size.height, self.frame_size.fit),
            (self.image_file, self.text_file, self.tokenizer_file),
            self.context_length,
            self.aggregation,
            self.dim,
        )
        if self.frame_size.filter != "area":
            shapes += (self.frame_size.filter,)
        if self.temporal is not None:
            shapes += (self.temporal.file, self.temporal.max_frames, self.frame_dim)
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
        aggregation = str(raw.get("aggregation", "mean"))
        config = FolderConfig(
            name=str(raw["name"]),
            version=str(raw["version"]),
            licence=str(raw["licence"]),
            dim=int(raw["dim"]),
            frame_size=FrameSize(
                int(image["width"]), int(image["height"]), image.get("fit", "squash"), image.get("filter", "area")
            ),
            image_file=str(image["file"]),
            text_file=str(text["file"]),
            tokenizer_file=str(text["tokenizer"]),
            context_length=int(text["context_length"]),
            aggregation=aggregation,
            sha256={str(name): str(digest) for name, digest in raw["sha256"].items()},
            frame_dim=int(image.get("dim", raw["dim"])),
            temporal=FramesGraph.read(raw["temporal"], 12) if aggregation == "temporal" else None,
            itm=FramesGraph.read(raw["itm"], 64) if "itm" in raw else None,
            head=HeadInfo(weight=float(raw["itm"].get("weight", 1.0))) if "itm" in raw else None,
            stated=str(raw["fingerprint"]) if "fingerprint" in raw else None,
            sentences=_sentences(text["sentences"]) if "sentences" in text else None,
            usual=UsualScore(**{key: float(value) for key, value in raw["score"].items()}) if "score" in raw else None,
        )
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelDamaged(
            f"Model folder {folder} has no readable config.json ({error!r}): get the model again."
        ) from error
    if config.aggregation not in ("mean", "temporal"):
        raise ModelDamaged(
            f"Model folder {folder} wants aggregation {config.aggregation!r}; this program knows: mean, temporal."
        )
    for name in config.files:
        if Path(name).name != name:
            raise ModelDamaged(f"Model folder {folder} names {name!r}, which is not a plain file name.")
        if name not in config.sha256:
            raise ModelDamaged(f"Model folder {folder} gives no sha256 for {name!r}: get the model again.")
    return config


def check_files(folder: Path, config: FolderConfig) -> None:
    """Whether every file is there; their checksums are read when they are loaded. Raises ModelDamaged."""
    for name in config.files:
        if not (folder / name).is_file():
            raise ModelDamaged(f"Model folder {folder} lacks {name}: get the model again.")


def _sentences(raw: dict[str, Any]) -> SentencesInfo:
    info = SentencesInfo(int(raw["dim"]), int(raw["context_length"]))
    if info.dim < 1 or info.context_length < 3:
        raise ValueError(f"sentences need dimensions and word pieces: {info}")
    return info


class FolderModel:
    """A model folder behind the protocols of protocols.py. Safe to use from several threads.

    threads: for each session of ONNX Runtime; 0 means one a core.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        self.config = read_config(folder)
        check_files(folder, self.config)
        self._graphs = Graphs(folder, self.config.sha256, threads=threads)
        self._space = Space(model=self.config.name, fingerprint=self.config.fingerprint, dim=self.config.dim)
        self._lock = threading.Lock()
        self._tokenizers: dict[int, Any] = {}  # by the word pieces that they keep

    @property
    def folder(self) -> Path:
        return self._graphs.folder

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
        file = self.config.image_file
        rows = [
            self._graphs.run(file, "vectors", {"pixels": np.ascontiguousarray(pixels[at : at + BATCH])})
            for at in range(0, len(pixels), BATCH)
        ]
        return _stack(rows, self.config.frame_dim)

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        graph = self.config.temporal
        if graph is None:
            return mean_pool(frame_vectors, self.config.dim)
        return aggregate(self._graphs, graph, frame_vectors, self.config.dim)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        file = self.config.text_file
        rows = [
            self._graphs.run(file, "vectors", self._tokens(texts[at : at + BATCH]))
            for at in range(0, len(texts), BATCH)
        ]
        return _stack(rows, self.config.dim)

    def encode_sentences(self, texts: Sequence[str]) -> Vectors:
        """N passages to float32 [N, S], unit length, for comparing words with words. ValueError where it cannot."""
        info = self.config.sentences
        if info is None:
            raise ValueError(f"model {self.config.name} gives no sentence vectors")
        file = self.config.text_file
        self._need(file, "sentences", "which config.json promises")
        rows = [
            self._graphs.run(file, "sentences", self._tokens(texts[at : at + BATCH], info.context_length))
            for at in range(0, len(texts), BATCH)
        ]
        return _stack(rows, info.dim)

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        # A text vector longer than a frame's is [sqrt(w) t ; sqrt(1-w) z]: frames are compared with t.
        width = frame_vectors.shape[1]
        return frame_vectors @ (text_vector if len(text_vector) == width else unit(text_vector[:width]))

    @property
    def usual_score(self) -> UsualScore | None:
        return self.config.usual

    @property
    def head(self) -> HeadInfo | None:
        return self.config.head

    def read_query(self, text: str) -> tuple[Vectors, Vectors]:
        tokens = self._tokens([text])
        file = self.config.text_file
        self._need(file, "words", "which its matching head needs")
        vectors, words = self._graphs.run_all(file, ["vectors", "words"], tokens)
        return vectors[0], words[0]

    def match(self, words: Vectors, scenes: Sequence[Vectors]) -> Vectors:
        graph = self.config.itm
        if graph is None:
            raise ValueError(f"model {self.config.name} has no matching head")
        return match(self._graphs, graph, words, scenes)

    def _need(self, file: str, output: str, why: str) -> None:
        if output not in self._graphs.outputs(file):
            raise ModelDamaged(f"{self.folder / file} has no output {output!r}, {why}: get the model again.")

    def _tokens(self, texts: Sequence[str], length: int | None = None) -> dict[str, NDArray[np.int64]]:
        # A lone surrogate cannot be encoded as UTF-8; it says nothing to a model either.
        encodings = self._tokenize([text.encode("utf-8", "replace").decode() for text in texts], length)
        return {
            "input_ids": np.array([e.ids for e in encodings], dtype=np.int64),  # [Q, L]
            "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),  # [Q, L]
        }

    def _tokenize(self, texts: list[str], length: int | None) -> Any:
        length = length or self.config.context_length
        with self._lock:
            if length not in self._tokenizers:
                from tokenizers import Tokenizer

                raw = self._graphs.read(self.config.tokenizer_file)
                tokenizer = Tokenizer.from_str(raw.decode("utf-8"))
                tokenizer.enable_truncation(length)
                if tokenizer.padding is None:  # a text tower that wants one length says so in tokenizer.json
                    tokenizer.enable_padding()
                self._tokenizers[length] = tokenizer
        return self._tokenizers[length].encode_batch(texts)


def _stack(rows: list[Vectors], width: int) -> Vectors:
    return np.concatenate(rows) if rows else np.empty((0, width), dtype=np.float32)
