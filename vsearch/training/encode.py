"""Frames and captions of a set through the towers, as they are trained and as the product uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vsearch.models.temporal_encoder import Aggregator, Clip2Video
from vsearch.training.backbone import FEATURES
from vsearch.training.batches import FrameGrid, SetData
from vsearch.training.lite_blocks import features_from
from vsearch.training.minilm import mean_of_words, pad
from vsearch.training.towers import Towers, pool_frames


def frame_features(towers: Towers, data: SetData, grid: FrameGrid) -> Tensor:
    """Features [F, 2560] of the valid frames of a grid.

    Frozen networks: from the cache. Tuned last blocks run on the cached maps, networks that are tuned as a whole on the
    pixels. Raises ValueError for a set without the pixels that this needs.
    """
    valid = grid.mask.bool().numpy()
    device = towers.log_scale.device
    places, views = grid.places[valid], grid.views[valid]
    if towers.tuned_whole and not data.recomputed:
        if data.pixels is None:
            raise ValueError(f"set {data.pictures.name} has no pixels")
        pixels = np.stack([data.pixels(place, view) for place, view in zip(places, views, strict=True)])
        return towers.picture.whole_features(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()).float()
    features = torch.from_numpy(data.cache.features[places, views]).float().to(device)
    if not towers.tuned_picture or data.recomputed:
        return features
    maps = np.stack([data.cache.maps[view][place] for place, view in zip(places, views, strict=True)])
    main = features_from(towers.picture.tail, torch.from_numpy(maps).float().to(device))
    return torch.cat([main, features[:, FEATURES:]], dim=-1)


def pool_grid(frames: Tensor, grid: FrameGrid) -> Tensor:
    """Embeddings of the valid frames of a grid [F, 512] -> one per item [B, 512]."""
    valid = grid.mask.bool()
    table = torch.zeros(*valid.shape, frames.shape[-1], device=frames.device)
    table[valid.to(frames.device)] = frames.float()
    return pool_frames(table, grid.mask.to(frames.device))


def encode_captions(towers: Towers, ids: Sequence[Sequence[int]], chunk: int = 64) -> Tensor:
    """Word pieces of Q captions -> embeddings [Q, 512]. Captions of similar length share a chunk: less padding."""
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    parts = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    device = towers.log_scale.device
    padded = (pad([ids[place] for place in part]) for part in parts)
    vectors = torch.cat([towers.text(pieces.to(device), mask.to(device)) for pieces, mask in padded])
    return vectors[torch.tensor(order, device=device).argsort()]


def query_vectors(embed: Any, aggregator: Aggregator, words: Tensor, mask: Tensor) -> Tensor:
    """Word tokens [B, L, 384], bool or int [B, L] -> the vectors that an aggregation compares clips with [B, D].

    embed: sentence embeddings [..., 384] to vectors [..., 512]. For TAB, which aligns frames with words, it also embeds
    each word.
    """
    sentence = embed(F.normalize(mean_of_words(words, mask), dim=-1))
    if not isinstance(aggregator, Clip2Video) or aggregator.tab is None:
        return aggregator.encode_query(sentence)
    return aggregator.encode_query(sentence, embed(F.normalize(words, dim=-1)), mask.bool())


@torch.inference_mode()
def encode_items(towers: Towers, data: SetData) -> Tensor:
    """Every item of a set with all of its frames in view 0, as the product encodes them: [items, 512]."""
    items = data.pictures.items
    vectors = []
    for start in range(0, len(items), 128):
        part = items[start : start + 128]
        longest = max(len(item.pictures) for item in part)
        places = np.zeros((len(part), longest), np.int64)
        mask = np.zeros((len(part), longest), np.float32)
        for row, item in enumerate(part):
            places[row, : len(item.pictures)], mask[row, : len(item.pictures)] = item.pictures, 1
        grid = FrameGrid(places, np.zeros_like(places), torch.from_numpy(mask))
        vectors.append(pool_grid(towers.picture.embed(frame_features(towers, data, grid)), grid))
    return torch.cat(vectors)


@torch.inference_mode()
def encode_all_captions(towers: Towers, data: SetData) -> Tensor:
    """Every caption of a set: [captions, 512]."""
    if not towers.tuned_text:
        return towers.text.embed(data.sentences.float().to(towers.log_scale.device))
    return encode_captions(towers, data.ids)
