"""Words compared with words: passages of what was said or shown, as vectors of the sentence encoder inside a model.

The embedded model's text tower is a sentence encoder with a head that turns its vectors towards pictures; before that
head it compares sentences (measured in docs/experiments.md). Whatever model answers for pictures, words are always
encoded by the embedded one, so a library's words stay comparable when its pictures are encoded anew.
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
    """The sentence encoder of a model folder that has one (see `sentences_of`). Safe to use from several threads."""

    def __init__(self, model: FolderModel) -> None:
        self._model = model
        config, info = model.config, model.config.sentences
        if info is None:
            raise ValueError(f"model {config.name} gives no sentence vectors")
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

    None where the embedded model gives no sentence vectors: then words are found by their letters alone.
    """
    for model in models:
        if isinstance(model, FolderModel) and model.folder == EMBEDDED:
            return sentences_of(model)
    with _guard:
        if threads not in _shared:
            _shared[threads] = FolderModel(EMBEDDED, threads=threads)
        return sentences_of(_shared[threads])


def sentences_of(model: FolderModel) -> SentenceEncoder | None:
    """The sentence encoder of a model folder, where it has one."""
    return None if model.config.sentences is None else FolderSentences(model)


def encode_passages(encoder: SentenceEncoder, channel: str, lines: Sequence[Segment]) -> PassageVectors:
    """The passages of a channel of a video with their vectors; none where too little is said."""
    found = list(passages_of(lines))
    vectors = encoder.encode_sentences([text for _, _, text in found])
    return PassageVectors(encoder.space(channel), tuple((start, end) for start, end, _ in found), vectors)
