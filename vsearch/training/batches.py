"""One batch of one set, drawn: which items, which of their frames in which views, which captions in which words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsearch.media import Pixels
from vsearch.training.data import PictureSet
from vsearch.training.features import Cache
from vsearch.training.recipe import Recipe
from vsearch.training.typed import as_typed


@dataclass(frozen=True, slots=True, eq=False)
class SetData:
    """A set with everything that a step needs of it."""

    pictures: PictureSet
    cache: Cache
    sentences: Tensor
    """[C, 384] float16: frozen sentence vectors of all captions, item by item."""
    first: NDArray[np.int64]
    """[items + 1]: where each item's captions start in `sentences` and `ids`."""
    ids: Sequence[Sequence[int]]
    """Word pieces of all captions."""
    pixels: Callable[[int, int], Pixels] | None = None
    """(picture, view) -> uint8 [260, 260, 3], for tuning whole networks."""
    settled: bool = False
    """The cached features are those of the tuned networks: nothing in them will move any more."""
    written: Tensor | None = None
    """[C, 512]: what a finished text tower makes of the captions, for stages that do not train it."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B items of one set, drawn."""

    items: NDArray[np.int64]
    places: NDArray[np.int64]
    """[B, T] pictures, padded with the first."""
    views: NDArray[np.int64]
    mask: Tensor
    """[B, T]."""
    captions: NDArray[np.int64]
    """[B, 2] rows of `SetData.sentences`."""
    mixture: Tensor
    """[B, 1]: weight of the first caption."""
    labels: Tensor


def draw_batch(data: SetData, recipe: Recipe, rng: np.random.Generator, *, mixing: bool) -> Batch:
    """Items without repetition; of each, two captions and a random part of its frames in random views."""
    items = data.pictures.items
    chosen = np.sort(rng.permutation(len(items))[: recipe.batch])
    longest = max(len(items[i].pictures) for i in chosen)
    places = np.zeros((len(chosen), longest), np.int64)
    mask = np.zeros((len(chosen), longest), np.float32)
    captions = np.zeros((len(chosen), 2), np.int64)
    for row, index in enumerate(chosen):
        own = np.array(items[index].pictures)
        own = own[data.cache.readable[own]] if data.cache.readable[own].any() else own
        kept = own[rng.random(len(own)) < recipe.keep_frame]
        kept = kept if len(kept) else rng.choice(own, 1)
        kept = rng.choice(kept, recipe.frames, replace=False) if 0 < recipe.frames < len(kept) else kept
        places[row, : len(kept)], mask[row, : len(kept)] = kept, 1
        count = len(items[index].captions)
        captions[row] = data.first[index] + rng.integers(0, count, 2)
    views = rng.integers(0, min(recipe.views, data.cache.features.shape[1]), places.shape)
    mixture = rng.beta(recipe.mix, recipe.mix, (len(chosen), 1)) if mixing else np.ones((len(chosen), 1))
    labels = torch.tensor([items[i].label for i in chosen])
    return Batch(chosen, places, views, torch.from_numpy(mask), captions, torch.from_numpy(mixture).float(), labels)


@dataclass(frozen=True, slots=True, eq=False)
class Writing:
    """What tuning the sentence encoder needs beside the sets."""

    tokens: Callable[[Sequence[str]], list[list[int]]]
    """Sentences to word pieces."""
    paired: Sequence[Sequence[Sequence[int]]] = ()
    """Word pieces of the captions of each video, two or more, pictures or not."""


def caption_ids(data: SetData, batch: Batch, recipe: Recipe, rng: np.random.Generator, writing: Writing | None) -> Any:
    """Word pieces of a batch's first captions, some of them rewritten as people type."""
    ids = [data.ids[row] for row in batch.captions[:, 0]]
    if writing is None or not recipe.typed:
        return ids
    chosen = np.flatnonzero(rng.random(len(ids)) < recipe.typed)
    captions = [
        data.pictures.items[item].captions[row - data.first[item]]
        for item, row in zip(batch.items[chosen], batch.captions[chosen, 0], strict=True)
    ]
    for place, pieces in zip(chosen, writing.tokens([as_typed(caption, rng) for caption in captions]), strict=True):
        ids[place] = pieces
    return ids
