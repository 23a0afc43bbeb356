"""Sets prepared for training: cached picture features, sentence embeddings and word pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vsearch.training.backbone import SIZE
from vsearch.training.batches import FrameGrid, SetData
from vsearch.training.data import PictureSet
from vsearch.training.encode import encode_all_captions, frame_features
from vsearch.training.features import FeatureCache, PictureReader, cache_name, open_cache, save_array
from vsearch.training.minilm import WIDTH, MiniLM, Tokens, encode_sentences
from vsearch.training.precision import has_fast_bf16
from vsearch.training.towers import Towers


def sentence_vectors(folder: Path, encoder: MiniLM, tokens: Tokens, sentences: list[str]) -> Tensor:
    """Unit embeddings [Q, 384] in float16, cached under a digest of the sentences; equal ones are encoded once."""
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:16]
    path = folder / f"sentences-{digest}.npy"
    if not path.exists():
        distinct = sorted(set(sentences))
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            vectors = encode_sentences(encoder, tokens, distinct)
        places = {sentence: place for place, sentence in enumerate(distinct)}
        save_array(path, vectors.numpy()[[places[sentence] for sentence in sentences]].astype(np.float16))
    table = np.load(path, allow_pickle=False)
    assert table.shape == (len(sentences), WIDTH)
    return torch.from_numpy(table)


def prepare_set(pictures: PictureSet, folder: Path, encoder: MiniLM, tokens: Tokens, seed: int = 1) -> SetData:
    """Everything that training needs of one set, whose features must have been extracted with the same seed."""
    sentences = [caption for item in pictures.items for caption in item.captions]
    first = np.cumsum([0] + [len(item.captions) for item in pictures.items])
    vectors = sentence_vectors(folder, encoder, tokens, sentences)
    reader = PictureReader(pictures, SIZE, seed)
    return SetData(pictures, open_cache(folder, pictures), vectors, first, tokens.ids(sentences), reader)


def encode_set_captions(folder: Path, lineage: str, towers: Towers, data: SetData) -> SetData:
    """The set with its captions encoded by the finished text tower (cached)."""
    path = folder / f"captions-{cache_name(data.pictures)}-{data.pictures.name}-{lineage}.npy"
    if not path.exists():
        with torch.autocast(towers.log_scale.device.type, torch.bfloat16, enabled=has_fast_bf16()):
            vectors = encode_all_captions(towers, data)
        save_array(path, vectors.float().cpu().numpy().astype(np.float16))
    table = torch.from_numpy(np.load(path, allow_pickle=False)).float()
    return replace(data, caption_vectors=torch.nn.functional.normalize(table, dim=-1))


def recompute_features(towers: Towers, sets: Sequence[SetData], views: int) -> list[SetData]:
    """Replace cached features by those of the tuned networks, in the first views; sets may share a cache.

    Sets stay as they are if no network was tuned.
    """
    caches: dict[str, FeatureCache] = {}
    result = []
    for data in sets:
        name = cache_name(data.pictures)
        if data.recomputed or not towers.tuned_picture:
            result.append(data)
            continue
        if name not in caches:
            caches[name] = _tuned_cache(towers, data, views)
        result.append(replace(data, cache=caches[name], recomputed=True))
    return result


def _tuned_cache(towers: Towers, data: SetData, views: int) -> FeatureCache:
    features = np.array(data.cache.features[:, :views])
    device = towers.log_scale.device
    for view in range(features.shape[1]):
        for start in range(0, len(features), 256):
            places = np.arange(start, min(start + 256, len(features)))
            grid = FrameGrid(places[:, None], np.full((len(places), 1), view), torch.ones(len(places), 1))
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bf16()):
                features[places, view] = frame_features(towers, data, grid).cpu().numpy()
    return FeatureCache(features, data.cache.maps[:views], data.cache.readable)
