"""Sets to step-ready data: cached picture features, frozen sentence vectors and word pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsearch.training.backbone import SIZE
from vsearch.training.batches import Batch, SetData
from vsearch.training.data import PictureSet
from vsearch.training.features import Cache, PictureReader, cache_name, open_cache
from vsearch.training.minilm import WIDTH, MiniLM, Tokens, encode_sentences
from vsearch.training.precision import has_fast_bf16
from vsearch.training.train import Towers, frame_features
from vsearch.training.validate import all_captions


def sentence_vectors(folder: Path, encoder: MiniLM, tokens: Tokens, sentences: list[str]) -> Tensor:
    """Unit vectors [Q, 384] in float16, cached by the sentences themselves; equal sentences are encoded once."""
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:16]
    path = folder / f"sentences-{digest}.npy"
    if not path.exists():
        distinct = sorted(set(sentences))
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            vectors = encode_sentences(encoder, tokens, distinct)
        places = {sentence: place for place, sentence in enumerate(distinct)}
        _save(path, vectors.numpy()[[places[sentence] for sentence in sentences]].astype(np.float16))
    table = np.load(path, allow_pickle=False)
    assert table.shape == (len(sentences), WIDTH)
    return torch.from_numpy(table)


def prepare_set(pictures: PictureSet, folder: Path, encoder: MiniLM, tokens: Tokens, seed: int = 1) -> SetData:
    """Everything that training needs of one set; its features must have been extracted, with this seed."""
    sentences = [caption for item in pictures.items for caption in item.captions]
    first = np.cumsum([0] + [len(item.captions) for item in pictures.items])
    vectors = sentence_vectors(folder, encoder, tokens, sentences)
    reader = PictureReader(pictures, SIZE, seed)
    return SetData(pictures, open_cache(folder, pictures), vectors, first, tokens.ids(sentences), reader)


def written_vectors(folder: Path, lineage: str, towers: Towers, data: SetData) -> SetData:
    """The set with what the finished text tower makes of its captions (cached): stages of pictures need no more."""
    path = folder / f"written-{cache_name(data.pictures)}-{data.pictures.name}-{lineage}.npy"
    if not path.exists():
        with torch.autocast(towers.log_scale.device.type, torch.bfloat16, enabled=has_fast_bf16()):
            vectors = all_captions(towers, data)
        _save(path, vectors.float().cpu().numpy().astype(np.float16))
    table = torch.from_numpy(np.load(path, allow_pickle=False)).float()
    return replace(data, written=torch.nn.functional.normalize(table, dim=-1))


def settle(towers: Towers, sets: Sequence[SetData], views: int) -> list[SetData]:
    """Sets whose cached features are those of the tuned networks, in the first views, for what is trained on top.

    Sets that share their pictures share the cache. Where nothing was tuned they stay as they are.
    """
    caches: dict[str, Cache] = {}
    settled = []
    for data in sets:
        name = cache_name(data.pictures)
        if data.settled or not towers.tuned_picture:
            settled.append(data)
            continue
        if name not in caches:
            caches[name] = _tuned_cache(towers, data, views)
        settled.append(replace(data, cache=caches[name], settled=True))
    return settled


def _tuned_cache(towers: Towers, data: SetData, views: int) -> Cache:
    features = np.array(data.cache.features[:, :views])
    device = towers.log_scale.device
    for view in range(features.shape[1]):
        for start in range(0, len(features), 256):
            places = np.arange(start, min(start + 256, len(features)))
            none = torch.zeros(0)
            batch = Batch(
                places, places[:, None], np.full((len(places), 1), view), torch.ones(len(places), 1), places, none, none
            )
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bf16()):
                features[places, view] = frame_features(towers, data, batch).cpu().numpy()
    return Cache(features, data.cache.maps[:views], data.cache.readable)


def _save(path: Path, table: NDArray[np.float16]) -> None:
    partial = path.with_suffix(".part")
    with partial.open("wb") as handle:
        np.save(handle, table, allow_pickle=False)
    partial.replace(path)
