"""Learners on the embeddings of a frozen model: a temporal encoder over frames, or a low-rank adapter.

Both start as the original model. Frames and sentences go through the frozen model once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vsearch.media import Vectors
from vsearch.models.temporal_encoder import TemporalOptions, build_aggregator, pad_clips
from vsearch.models.transformer import masked_mean, unit
from vsearch.training.finetune.clip_frames import MAX_FRAMES
from vsearch.training.finetune.clip_ranks import normalized

TEMPORAL = ("seqlstm", "seqtransf", "tdb")
"""Temporal encoders that make one vector per clip without the query."""
SCALE = 20.0
"""Initial inverse temperature of the loss."""


class _Frozen(nn.Module):
    """Sentence embeddings of the frozen model, looked up by sentence."""

    def __init__(self, texts: Mapping[str, Vectors]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))
        self._rows = {normalized(text): row for row, text in enumerate(texts)}
        self.register_buffer("texts", torch.stack([torch.from_numpy(vector) for vector in texts.values()]))

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        return self.texts[[self._rows[normalized(text)] for text in texts]]

    def padded(self, frames: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
        """Clips [T_b, F] -> [B, T, F], bool [B, T]."""
        padded, mask = pad_clips([torch.from_numpy(clip) for clip in frames], MAX_FRAMES)
        return padded.to(self.texts.device), mask.to(self.texts.device)


class TemporalHead(_Frozen):
    """A temporal encoder instead of mean pooling."""

    def __init__(self, name: str, texts: Mapping[str, Vectors], *, width: int = 128) -> None:
        super().__init__(texts)
        if name not in TEMPORAL:
            raise ValueError(f"a temporal head is one of {', '.join(TEMPORAL)}: {name!r}")
        dim = self.texts.shape[1]
        self.aggregator: Any = build_aggregator(name, dim, TemporalOptions(MAX_FRAMES, layers=1, heads=4, width=width))

    def clip_vectors(self, frames: Sequence[NDArray[Any]]) -> Tensor:
        return self.aggregator(*self.padded(frames))


class LowRank(nn.Module):
    """v -> unit(v + v A B), [..., D] -> [..., D]. B starts at 0, so that it starts as the identity on unit vectors."""

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(dim, min(rank, dim)) / dim**0.5)
        self.up = nn.Parameter(torch.zeros(min(rank, dim), dim))

    def forward(self, vectors: Tensor) -> Tensor:
        return unit(vectors + vectors @ self.down @ self.up)


class Adapter(_Frozen):
    """A low-rank map after each tower, before pooling (after CLIP-Adapter, Gao et al. 2021).

    pooled: clips are vectors [1, D] of the model's own temporal encoder; then only the map of sentences is trained.
    """

    def __init__(self, texts: Mapping[str, Vectors], *, pooled: bool = False, rank: int) -> None:
        super().__init__(texts)
        dim = self.texts.shape[1]
        self.text = LowRank(dim, rank)
        self.frame = None if pooled else LowRank(dim, rank)

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        return self.text(super().text_vectors(texts))

    def clip_vectors(self, frames: Sequence[NDArray[Any]]) -> Tensor:
        padded, mask = self.padded(frames)
        if self.frame is None:
            return unit(padded[:, 0])
        return unit(masked_mean(self.frame(padded), mask))
