"""Drawing a batch from one set: its items, their frames and views, and their captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsearch.media import Pixels
from vsearch.training.data import PictureSet
from vsearch.training.features import FeatureCache
from vsearch.training.recipe import StageRecipe
from vsearch.training.typed_captions import as_typed


@dataclass(frozen=True, slots=True, eq=False)
class SetData:
    """A set with everything that a training step needs of it."""

    pictures: PictureSet
    cache: FeatureCache
    sentences: Tensor
    """[C, 384] float16: embeddings of all captions by the untuned sentence encoder, item by item."""
    first: NDArray[np.int64]
    """[items + 1]: row of each item's first caption in `sentences` and `ids`."""
    ids: Sequence[Sequence[int]]
    """Word pieces of all captions."""
    pixels: Callable[[int, int], Pixels] | None = None
    """(picture, view) -> uint8 [260, 260, 3], for tuning whole networks."""
    recomputed: bool = False
    """Whether the cached features are those of the tuned networks, which are trained no further."""
    caption_vectors: Tensor | None = None
    """[C, 512]: embeddings of all captions by the finished text tower, for stages that do not train it."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameGrid:
    """Frames of B items, T places each."""

    places: NDArray[np.int64]
    """[B, T] indices of pictures."""
    views: NDArray[np.int64]
    """[B, T] view of each picture."""
    mask: Tensor
    """[B, T]: 1 where there is a frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch(FrameGrid):
    """B items of one set with the frames and captions that were drawn for a step."""

    items: NDArray[np.int64]
    captions: NDArray[np.int64]
    """[B, 2] rows of `SetData.sentences`."""
    mixture: Tensor
    """[B, 1]: weight of the first caption."""
    labels: Tensor
    """[B], -1 for none."""


def draw_batch(data: SetData, recipe: StageRecipe, rng: np.random.Generator, *, mixing: bool) -> Batch:
    """Draw different items; of each, two captions and a random part of its frames in random views."""
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
    return Batch(places, views, torch.from_numpy(mask), chosen, captions, torch.from_numpy(mixture).float(), labels)


@dataclass(frozen=True, slots=True, eq=False)
class TextSource:
    """What tuning the sentence encoder needs besides the sets."""

    tokens: Callable[[Sequence[str]], list[list[int]]]
    """Sentences to word pieces."""
    paired: Sequence[Sequence[Sequence[int]]] = ()
    """Word pieces of the captions, two or more, of each video, with or without frames."""


def caption_ids(
    data: SetData, batch: Batch, recipe: StageRecipe, rng: np.random.Generator, source: TextSource | None
) -> list[Sequence[int]]:
    """Word pieces of a batch's first captions; `recipe.typed` of them are rewritten like typed queries."""
    ids = [data.ids[row] for row in batch.captions[:, 0]]
    if source is None or not recipe.typed:
        return ids
    chosen = np.flatnonzero(rng.random(len(ids)) < recipe.typed)
    captions = [
        data.pictures.items[item].captions[row - data.first[item]]
        for item, row in zip(batch.items[chosen], batch.captions[chosen, 0], strict=True)
    ]
    for place, pieces in zip(chosen, source.tokens([as_typed(caption, rng) for caption in captions]), strict=True):
        ids[place] = pieces
    return ids
