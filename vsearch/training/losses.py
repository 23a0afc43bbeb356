"""ITC, the symmetric cross-entropy of CLIP (Radford et al., 2021), and its targets.

Targets may be soft, as in ALBEF: a caption may also describe other clips of the batch. How well is estimated by the
similarity of their captions to it, by the frozen sentence encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def positive_targets(labels: Tensor) -> Tensor:
    """labels int64 [B], -1 for none -> [B, B], rows sum to one. Positives of an item: itself and those of its label."""
    same = (labels[:, None] == labels[None, :]) & (labels[:, None] >= 0)
    same = same | torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return F.normalize(same.float(), p=1, dim=1)


def soft_targets(hard: Tensor, sentences: Tensor, share: float, temperature: float) -> Tensor:
    """Mix `hard` [B, B] with a softmax over the similarities of the captions.

    sentences: unit sentence embeddings [B, W]. share: the weight of the softmax. Rows sum to one.
    """
    if share == 0:
        return hard
    return (1 - share) * hard + share * torch.softmax(sentences @ sentences.T / temperature, dim=1)


def itc(text: Tensor, video: Tensor, targets: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of unit vectors [B, D] with targets [B, B] (text rows, video columns), mean of both directions."""
    logits = scale * text @ video.T
    back = F.normalize(targets.T, p=1, dim=1)
    forth_loss = -(targets * F.log_softmax(logits, 1)).sum(1).mean()
    back_loss = -(back * F.log_softmax(logits.T, 1)).sum(1).mean()
    return (forth_loss + back_loss) / 2
