"""Momentum contrast: a slow twin of the heads, and a queue of what it has encoded lately.

The queue (MoCo, He et al. 2020) gives a batch more negatives than fit into it; the twin's encodings change slowly
enough for old ones to stay comparable. As in ALBEF (Li et al. 2021) the twin's softmax is also part of the target: a
caption that fits other videos is not punished for it. A queue holds one set only, because mixed sets give easy
negatives.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Twin(nn.Module):
    """A copy of a module whose weights follow the original's by exponential averaging; it is never trained itself."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(original).requires_grad_(False)

    @torch.no_grad()
    def follow(self, original: nn.Module, decay: float) -> None:
        """weights <- decay * weights + (1 - decay) * the original's."""
        for own, theirs in zip(self.module.parameters(), original.parameters(), strict=True):
            own.lerp_(theirs.detach(), 1 - decay)


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """N pairs: unit vectors text and video [N, D], caption judge [N, W], item numbers and labels int64 [N]."""

    text: Tensor
    video: Tensor
    judge: Tensor
    items: Tensor
    labels: Tensor

    def joined(self, other: Entries) -> Entries:
        """These, then the others."""
        return Entries(*(torch.cat([getattr(self, name), getattr(other, name)]) for name in self.__slots__))


class Queue(nn.Module):
    """The last `size` pairs of one set, oldest overwritten first; all of it is state, so that a resumed run goes on."""

    text: Tensor
    video: Tensor
    judge: Tensor
    items: Tensor
    labels: Tensor
    place: Tensor

    def __init__(self, size: int, dim: int, judge_dim: int) -> None:
        super().__init__()
        for name, width in (("text", dim), ("video", dim), ("judge", judge_dim)):
            self.register_buffer(name, torch.zeros(size, width))
        self.register_buffer("items", torch.full((size,), -1))
        self.register_buffer("labels", torch.full((size,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    def entries(self) -> Entries:
        """What is in it, empty places left out."""
        full = self.items >= 0
        return Entries(self.text[full], self.video[full], self.judge[full], self.items[full], self.labels[full])

    @torch.no_grad()
    def push(self, new: Entries) -> None:
        size = len(self.items)
        rows = (torch.arange(len(new.items), device=self.place.device) + self.place) % size
        kept = slice(max(0, len(rows) - size), None)
        for name in Entries.__slots__:
            getattr(self, name)[rows[kept]] = getattr(new, name)[kept].to(getattr(self, name).dtype)
        self.place.fill_((int(self.place) + len(rows)) % size)


def same_item(items: Tensor, labels: Tensor, keys: Entries) -> Tensor:
    """[B] against [N] -> bool [B, N]: positives, the item itself or (in a labelled set) another one of its label."""
    same = items[:, None] == keys.items[None]
    return cast(Tensor, same | ((labels[:, None] == keys.labels[None]) & (labels[:, None] >= 0)))


def queue_itc(
    text: Tensor,
    video: Tensor,
    slow: Entries,
    queued: Entries,
    scale: Tensor,
    *,
    distilled: float,
    soft_share: float,
    soft_temperature: float,
) -> Tensor:
    """ITC of B pairs [B, D] against the twin's own B and everything queued.

    distilled: share of the target that is the twin's softmax (ALBEF's alpha). soft_share: share of what remains that
    follows the likeness of captions (see losses.soft_targets).
    """
    keys = slow.joined(queued)
    hard = F.normalize(same_item(slow.items, slow.labels, keys).float(), p=1, dim=1)
    soft = torch.softmax(slow.judge @ keys.judge.T / soft_temperature, dim=1)
    target = (1 - soft_share) * hard + soft_share * soft

    def one_way(queries: Tensor, slow_queries: Tensor, candidates: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = torch.softmax(scale * slow_queries @ candidates.T, dim=1)
            wanted = (1 - distilled) * target + distilled * wanted
        return -(wanted * F.log_softmax(scale * queries @ candidates.T, dim=1)).sum(1).mean()

    return (one_way(text, slow.text, keys.video) + one_way(video, slow.video, keys.text)) / 2
