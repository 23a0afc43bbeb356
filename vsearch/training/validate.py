"""Retrieval and zero-shot classification of the towers, measured between the stages of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vsearch.metrics import accuracy, ranks, summarize
from vsearch.training.batches import SetData
from vsearch.training.encode import encode_all_captions, encode_items
from vsearch.training.towers import Towers


def validate_towers(towers: Towers, validation: SetData, labelled: Sequence[SetData]) -> dict[str, float]:
    """Text-to-video retrieval on the validation split, and zero-shot top-1 (percent) of each labelled set."""
    towers.eval()
    similarity = (encode_all_captions(towers, validation) @ encode_items(towers, validation).T).cpu().numpy()
    results = summarize(ranks(similarity, np.arange(len(similarity))))
    for data in labelled:
        phrases, truth = label_phrases(data, encode_all_captions(towers, data))
        results[data.pictures.name] = accuracy((encode_items(towers, data) @ phrases.T).cpu().numpy(), truth)
    return results


def label_phrases(data: SetData, captions: Tensor) -> tuple[Tensor, NDArray[np.int64]]:
    """Caption embeddings [C, D] of a labelled set -> one per label [L, D], its templates averaged; label of each item
    as a row of these [items]."""
    items = data.pictures.items
    first = {item.label: place for place, item in reversed(list(enumerate(items)))}
    labels = sorted(first)
    means = [captions[int(data.first[first[label]]) : int(data.first[first[label] + 1])].mean(0) for label in labels]
    return F.normalize(torch.stack(means), dim=-1), np.array([labels.index(item.label) for item in items])
