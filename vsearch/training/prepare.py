"""Sets to step-ready data: cached picture features, frozen sentence vectors and word pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vsearch.training.data import PictureSet
from vsearch.training.features import open_cache
from vsearch.training.minilm import WIDTH, MiniLM, Tokens, encode_sentences
from vsearch.training.train import SetData, has_fast_bf16


def sentence_vectors(folder: Path, encoder: MiniLM, tokens: Tokens, sentences: list[str]) -> Tensor:
    """Unit vectors [Q, 384] in float16, cached by the sentences themselves; equal sentences are encoded once."""
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:16]
    path = folder / f"sentences-{digest}.npy"
    if not path.exists():
        distinct = sorted(set(sentences))
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            vectors = encode_sentences(encoder, tokens, distinct)
        places = {sentence: place for place, sentence in enumerate(distinct)}
        table = vectors.numpy()[[places[sentence] for sentence in sentences]].astype(np.float16)
        partial = path.with_suffix(".part")
        with partial.open("wb") as handle:
            np.save(handle, table, allow_pickle=False)
        partial.replace(path)
    table = np.load(path, allow_pickle=False)
    assert table.shape == (len(sentences), WIDTH)
    return torch.from_numpy(table)


def prepare_set(pictures: PictureSet, folder: Path, encoder: MiniLM, tokens: Tokens) -> SetData:
    """Everything that training needs of one set; its features must have been extracted."""
    sentences = [caption for item in pictures.items for caption in item.captions]
    first = np.cumsum([0] + [len(item.captions) for item in pictures.items])
    vectors = sentence_vectors(folder, encoder, tokens, sentences)
    return SetData(pictures, open_cache(folder, pictures), vectors, first, tokens.ids(sentences))
