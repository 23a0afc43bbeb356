"""What learns on the vectors of a model that stays as it is: a temporal encoder over frames, or a low-rank adapter.

Both start as the identity. Frames and sentences go through the frozen model once.
"""

# torch is not followed by the type checker: its classes are Any
# mypy: disallow-subclassing-any=False

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
from vsearch.training.own.gather import MAX_FRAMES
from vsearch.training.own.scores import plain

TEMPORAL = ("seqlstm", "seqtransf", "tdb")
"""The trained aggregations of one vector a clip that read no words."""
SCALE = 20.0
"""Where the temperature of the loss starts."""
RANK = 32


class _Frozen(nn.Module):
    """Sentences as the frozen model reads them, kept by their words."""

    def __init__(self, texts: Mapping[str, Vectors], scale: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self._rows = {plain(text): row for row, text in enumerate(texts)}
        self.register_buffer("texts", torch.stack([torch.from_numpy(vector) for vector in texts.values()]))

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        return self.texts[[self._rows[plain(text)] for text in texts]]

    def padded(self, frames: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
        """Clips [T_b, F] -> [B, T, F], bool [B, T]."""
        padded, mask = pad_clips([torch.from_numpy(clip) for clip in frames], MAX_FRAMES)
        return padded.to(self.texts.device), mask.to(self.texts.device)


class TemporalHead(_Frozen):
    """A temporal encoder in the place of mean pooling."""

    def __init__(self, name: str, texts: Mapping[str, Vectors], *, width: int = 128, scale: float = SCALE) -> None:
        super().__init__(texts, scale)
        if name not in TEMPORAL:
            raise ValueError(f"a temporal head is one of {', '.join(TEMPORAL)}: {name!r}")
        dim = self.texts.shape[1]
        self.aggregator: Any = build_aggregator(name, dim, TemporalOptions(MAX_FRAMES, layers=1, heads=4, width=width))

    def clip_vectors(self, frames: Sequence[NDArray[Any]]) -> Tensor:
        vectors: Tensor = self.aggregator(*self.padded(frames))
        return vectors


class LowRank(nn.Module):
    """v -> unit(v + v A B), [..., D] -> [..., D]: the identity until B has learnt."""

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(dim, min(rank, dim)) / dim**0.5)
        self.up = nn.Parameter(torch.zeros(min(rank, dim), dim))

    def forward(self, vectors: Tensor) -> Tensor:
        return unit(vectors + vectors @ self.down @ self.up)


class Adapter(_Frozen):
    """A low-rank map behind each tower, before pooling (after CLIP-Adapter, Gao et al. 2021).

    pooled: clips come as vectors of a temporal encoder of the model's own, [1, D] each; then frames are left alone and
    only the sentences' map learns.
    """

    def __init__(
        self, texts: Mapping[str, Vectors], *, pooled: bool = False, rank: int = RANK, scale: float = SCALE
    ) -> None:
        super().__init__(texts, scale)
        dim = self.texts.shape[1]
        self.text = LowRank(dim, rank)
        self.frame = None if pooled else LowRank(dim, rank)

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        adapted: Tensor = self.text(super().text_vectors(texts))
        return adapted

    def clip_vectors(self, frames: Sequence[NDArray[Any]]) -> Tensor:
        padded, mask = self.padded(frames)
        if self.frame is None:
            return unit(padded[:, 0])
        return unit(masked_mean(self.frame(padded), mask))
