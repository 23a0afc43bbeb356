"""What the towers are pulled towards: ITC with soft targets and with positives that share a phrase.

ITC is the symmetric cross-entropy of CLIP (Radford et al., 2021). The soft part follows ALBEF's idea that a caption may
also describe its neighbours, with the frozen sentence encoder as the judge of who is a neighbour.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def positive_targets(labels: Tensor) -> Tensor:
    """labels int64 [B], -1 for none -> [B, B], rows summing to one: an item's positives are itself and its label's."""
    same = (labels[:, None] == labels[None, :]) & (labels[:, None] >= 0)
    same = same | torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return F.normalize(same.float(), p=1, dim=1)


def soft_targets(hard: Tensor, judge: Tensor, share: float, temperature: float) -> Tensor:
    """Mix `hard` [B, B] with a softmax over the similarities of the captions.

    judge: unit sentence vectors [B, W]. share: how much of a row's mass is soft. Rows sum to one.
    """
    if share == 0:
        return hard
    return (1 - share) * hard + share * torch.softmax(judge @ judge.T / temperature, dim=1)


def itc(text: Tensor, video: Tensor, targets: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy of unit vectors [B, D] each way against targets [B, B] (text rows, video columns)."""
    logits = scale * text @ video.T
    back = F.normalize(targets.T, p=1, dim=1)
    forth_loss = -(targets * F.log_softmax(logits, 1)).sum(1).mean()
    back_loss = -(back * F.log_softmax(logits.T, 1)).sum(1).mean()
    return (forth_loss + back_loss) / 2
