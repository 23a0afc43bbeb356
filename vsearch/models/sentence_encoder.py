"""Semantic search: passages and queries are encoded by the sentence encoder of the embedded model.

The text graph of the embedded model is a sentence encoder, followed by a projection to the space of frames. Before that
projection it compares sentences (measured in docs/experiments.md). Passages always use the embedded model, whichever
model encodes the frames, so a library's passages stay searchable when its frames are encoded with another model.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

from vsearch.media import PassageVectors, Segment, Space, Vectors
from vsearch.models.model_folder import FolderModel
from vsearch.models.protocols import SentenceEncoder
from vsearch.models.registry import EMBEDDED
from vsearch.passages import passages_of


class FolderSentences:
    """The sentence encoder of a model folder. Thread-safe."""

    def __init__(self, model: FolderModel) -> None:
        self._model = model
        config, info = model.config, model.config.sentences
        if info is None:
            raise ValueError(f"model {config.name} has no sentence encoder")
        files = (config.sha256[config.text_file], config.sha256[config.tokenizer_file])
        shapes = repr((files, info.dim, info.context_length))
        self._fingerprint = hashlib.blake2b(shapes.encode(), digest_size=16, person=b"sentences").hexdigest()
        self._dim = info.dim

    def space(self, channel: str) -> Space:
        return Space(self._model.config.name, self._fingerprint, self._dim, channel)

    def encode_sentences(self, texts: Sequence[str]) -> Vectors:
        return self._model.encode_sentences(texts)


_guard = threading.Lock()
_shared: dict[int, FolderModel] = {}


def load_sentences(models: Sequence[object] = (), *, threads: int = 0) -> SentenceEncoder | None:
    """The embedded sentence encoder: that of one of `models`, which are loaded already, where it is the embedded one.

    None where the embedded model has no sentence encoder: then words are found by their letters alone.
    """
    for model in models:
        if isinstance(model, FolderModel) and model.folder == EMBEDDED:
            return sentences_of(model)
    with _guard:
        if threads not in _shared:
            _shared[threads] = FolderModel(EMBEDDED, threads=threads)
        return sentences_of(_shared[threads])


def sentences_of(model: FolderModel) -> SentenceEncoder | None:
    """The sentence encoder of a model folder; None where it has none."""
    return None if model.config.sentences is None else FolderSentences(model)


def encode_passages(encoder: SentenceEncoder, channel: str, lines: Sequence[Segment]) -> PassageVectors:
    """Split the segments of a channel into passages and encode them."""
    found = list(passages_of(lines))
    vectors = encoder.encode_sentences([text for _, _, text in found])
    return PassageVectors(encoder.space(channel), tuple((start, end) for start, end, _ in found), vectors)
