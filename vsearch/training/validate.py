"""What the towers find on the validation split and on the labelled sets, while they are trained."""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vsearch.training.batches import Batch, SetData
from vsearch.training.metrics import retrieval, top1
from vsearch.training.train import Towers, text_vectors, video_vectors


@torch.inference_mode()
def all_frames(towers: Towers, data: SetData) -> Tensor:
    """Every item of a set, all its frames as the product sees them (view 0): [items, 512]."""
    items = data.pictures.items
    vectors = []
    for start in range(0, len(items), 128):
        part = items[start : start + 128]
        longest = max(len(item.pictures) for item in part)
        places = np.zeros((len(part), longest), np.int64)
        mask = np.zeros((len(part), longest), np.float32)
        for row, item in enumerate(part):
            places[row, : len(item.pictures)], mask[row, : len(item.pictures)] = item.pictures, 1
        nothing = torch.zeros(0)
        batch = Batch(
            places[:, 0], places, np.zeros_like(places), torch.from_numpy(mask), places[:, :0], nothing, nothing
        )
        vectors.append(video_vectors(towers, data, batch))
    return torch.cat(vectors)


@torch.inference_mode()
def all_captions(towers: Towers, data: SetData) -> Tensor:
    """Every caption of a set: [captions, 512]."""
    if not towers.tuned_text:
        return towers.text.embed(data.sentences.float().to(towers.log_scale.device))
    return text_vectors(towers, data.ids)


def evaluate(towers: Towers, validation: SetData, labelled: Sequence[SetData]) -> dict[str, float]:
    """Text-to-video on the validation split, then zero-shot top-1 of each labelled set (templates averaged)."""
    towers.eval()
    similarity = all_captions(towers, validation) @ all_frames(towers, validation).T
    found = retrieval(similarity.cpu().numpy())
    for data in labelled:
        items = data.pictures.items
        rows: dict[int, slice] = {}
        for place, item in enumerate(items):
            rows.setdefault(item.label, slice(int(data.first[place]), int(data.first[place + 1])))
        captions = all_captions(towers, data)
        phrases = torch.stack([captions[rows[label]].mean(0) for label in sorted(rows)])
        order = {label: column for column, label in enumerate(sorted(rows))}
        truth = np.array([order[item.label] for item in items])
        scores = all_frames(towers, data) @ F.normalize(phrases, dim=-1).T
        found[data.pictures.name] = top1(scores.cpu().numpy(), truth)
    return found
