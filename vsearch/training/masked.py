"""Masked-frame modelling: guess the frame that was hidden from the frames around it (after VideoBERT, Sun et al. 2019).

The guess is contrastive, as vectors have no vocabulary: the hidden frame must be told from the hidden frames of the
other clips. It is an auxiliary loss of the temporal encoder; what makes the guess is thrown away after training.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.models.temporal_encoder import RAW_LENGTH, Clip2Video, SeqTransf
from vsearch.models.transformer import unit

TEMPERATURE = 0.05


def contextual(aggregator: nn.Module, frames: Tensor, mask: Tensor) -> Tensor:
    """Frames [B, T, D] -> what the transformer of a seqtransf or tdb makes of each [B, T, W].

    Raises ValueError for an aggregation that has no transformer over frames.
    """
    if isinstance(aggregator, SeqTransf):
        tokens = aggregator.inward(RAW_LENGTH * frames) + aggregator.positions(frames.shape[1])
        return aggregator.transformer(tokens, mask)
    if isinstance(aggregator, Clip2Video) and aggregator.tdb is not None:
        tokens = aggregator.inward(RAW_LENGTH * frames)
        both, both_mask = aggregator.tdb.differences(tokens, mask)
        return aggregator.tdb.transformer(both, both_mask)[:, ::2]
    raise ValueError(f"masked-frame modelling needs seqtransf, tdb or clip2video, not {type(aggregator).__name__}")


class FrameGuess(nn.Module):
    """What stands in a hidden frame's place, and what turns the transformer's state there into a guess."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.blank = nn.Parameter(torch.zeros(dim))
        self.out = nn.Linear(width, dim)

    def forward(self, aggregator: nn.Module, frames: Tensor, mask: Tensor) -> Tensor:
        """The loss of hiding one frame of each clip of two or more: frames [B, T, D], mask [B, T]. 0 without such."""
        clips = mask.sum(1) > 1
        if int(clips.sum()) < 2:
            return frames.sum() * 0
        frames, mask = frames[clips], mask[clips]
        hidden = torch.multinomial(mask.float(), 1)[:, 0]  # [C]
        rows = torch.arange(len(frames), device=frames.device)
        target = frames[rows, hidden].detach()
        shown = frames.clone()
        shown[rows, hidden] = self.blank
        guess = unit(self.out(contextual(aggregator, shown, mask)[rows, hidden])).float()
        return F.cross_entropy(guess @ target.T / TEMPERATURE, rows)
