"""Learners inside the towers of an open_clip model: low-rank weight updates, or prompt vectors.

Low-rank adaptation (LoRA; Hu et al. 2021) adds the product of two narrow matrices to each frozen weight matrix. Prompt
vectors (CoOp; Zhou et al. 2022) are learned token embeddings in front of every sentence. The result of both is exported
like any other model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vsearch.errors import InputError
from vsearch.models.openclip_source import OpenClipParts
from vsearch.models.temporal_encoder import pad_clips
from vsearch.models.transformer import masked_mean, unit
from vsearch.training.finetune.clip_frames import MAX_FRAMES
from vsearch.training.finetune.clip_ranks import normalized

PHRASE = "a photo of a"
"""The words that prompt vectors are initialised with."""
PICTURES = 64
"""Frames in a batch of the picture tower during checks."""


class _LowRankUpdate(nn.Module):
    """W -> W + B A for a weight [out, in]. B starts at 0."""

    def __init__(self, out: int, width: int, rank: int) -> None:
        super().__init__()
        rank = min(rank, out, width)
        self.down = nn.Parameter(torch.randn(rank, width) / width**0.5)
        self.up = nn.Parameter(torch.zeros(out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def add_low_rank(model: nn.Module, rank: int) -> int:
    """Add an update to every linear layer and joint attention projection, freeze the rest; return their number."""
    model.requires_grad_(False)
    places = []
    for module in model.modules():
        if isinstance(module, nn.Linear):
            places.append((module, "weight"))
        if isinstance(getattr(module, "in_proj_weight", None), nn.Parameter):
            places.append((module, "in_proj_weight"))
    for module, name in places:
        out, width = getattr(module, name).shape
        parametrize.register_parametrization(module, name, _LowRankUpdate(out, width, rank))
    return len(places)


def merge_low_rank(model: nn.Module) -> None:
    """Add the updates to the weights, in place."""
    for module in list(model.modules()):
        for name in list(module.parametrizations) if parametrize.is_parametrized(module) else ():
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    model.requires_grad_(False)


class Prompted(nn.Module):
    """An open_clip model with N prompt vectors in front of every sentence, after its start token if it has one.

    at: position of the first prompt vector, 0 or 1. The last N tokens of a sentence that fills the context are cut.
    """

    def __init__(self, model: Any, vectors: Tensor, at: int) -> None:
        super().__init__()
        self.inner = model
        self._at = at
        tower = _text_tower(model)
        tower.token_embedding = _Embedding(tower.token_embedding, vectors, at)
        self._pooled = str(getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", ""))

    @property
    def vectors(self) -> Tensor:
        return _text_tower(self.inner).token_embedding.vectors

    @property
    def visual(self) -> Any:
        return self.inner.visual

    @property
    def logit_scale(self) -> Any:
        return self.inner.logit_scale

    @property
    def logit_bias(self) -> Any:
        return getattr(self.inner, "logit_bias", None)

    def encode_image(self, pixels: Tensor, normalize: bool = False) -> Tensor:
        return self.inner.encode_image(pixels, normalize=normalize)

    def encode_text(self, ids: Tensor, normalize: bool = False) -> Tensor:
        return self.inner.encode_text(self._shifted(ids), normalize=normalize)

    def _shifted(self, ids: Tensor) -> Tensor:
        """Tokens int64 [Q, L] with placeholders for the prompt vectors; the token that the tower pools is kept."""
        count, length = len(self.vectors), ids.shape[1]
        placeholders = torch.zeros_like(ids[:, :count])
        last = ids[:, -1]
        if self._pooled == "argmax":
            # if the end token would be cut, it moves to the last position
            last = torch.where(ids.argmax(dim=-1) >= length - count, ids.amax(dim=-1), ids[:, length - count - 1])
        return torch.cat(
            [ids[:, : self._at], placeholders, ids[:, self._at : length - count - 1], last[:, None]], dim=1
        )


class _Embedding(nn.Module):
    """A token embedding whose vectors at the prompt's positions are learned, whatever the tokens there."""

    def __init__(self, table: Any, vectors: Tensor, at: int) -> None:
        super().__init__()
        self.table = table
        self.vectors = nn.Parameter(vectors)
        self._at = at

    def forward(self, ids: Tensor) -> Tensor:
        embedded = self.table(ids)
        # len(embedded) would fix the batch size of the exported graph
        own = self.vectors.to(embedded.dtype).expand(embedded.shape[0], -1, -1)
        return torch.cat([embedded[:, : self._at], own, embedded[:, self._at + own.shape[1] :]], dim=1)


def add_prompt(parts: OpenClipParts, count: int) -> Prompted:
    """Add `count` prompt vectors to the model of `parts`, in place. Raises InputError for unsupported text towers.

    The first ones are initialised with the words of PHRASE, the others near 0.
    """
    tower = _text_tower(parts.model)
    pooled = getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", None)
    masked = getattr(tower, "use_pad_mask", False) or getattr(tower, "cls_emb", None) is not None
    if not hasattr(tower, "token_embedding") or pooled not in ("argmax", "last") or masked:
        raise InputError(f"The text tower of {parts.name} does not support prompt vectors: use --method lora.")
    one, other, phrase = parts.tokenizer(["cat", "two dogs", PHRASE])
    at = int(one[0] == other[0])
    if count > parts.context_length // 2:
        raise InputError(
            f"{parts.name} has a context of {parts.context_length} tokens: --vectors is at most half of that."
        )
    table = tower.token_embedding
    vectors = 0.02 * torch.randn(count, table.weight.shape[1])
    words = table.weight.detach()[phrase[at : at + min(count, len(PHRASE.split()))]]
    vectors[: len(words)] = words
    parts.model.requires_grad_(False)
    return Prompted(parts.model, vectors, at)


def _text_tower(model: Any) -> Any:
    """The module with the token embedding: a separate text tower, or the model itself."""
    return getattr(model, "text", model)


class TowerLearner(nn.Module):
    """An open_clip model under training. Clips are pixels, or with `frozen_frames` frame embeddings.

    tokens: every sentence of the run -> int64 [L]. The temperature is not trained.
    """

    def __init__(self, parts: OpenClipParts, model: Any, tokens: Mapping[str, Tensor], *, frozen_frames: bool) -> None:
        super().__init__()
        self.model = model
        self._frozen_frames = frozen_frames
        self._rows = {normalized(text): row for row, text in enumerate(tokens)}
        self.register_buffer("_tokens", torch.stack(list(tokens.values())))
        self.register_buffer("log_scale", model.logit_scale.detach().clone().reshape(()))
        self.register_buffer("_mean", torch.tensor(parts.preprocessing.mean)[:, None, None])
        self.register_buffer("_std", torch.tensor(parts.preprocessing.std)[:, None, None])

    def train(self, mode: bool = True) -> TowerLearner:
        """The model stays in eval mode: no dropout, no statistics of a small batch."""
        super().train(mode)
        self.model.eval()
        return self

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        ids = self._tokens[[self._rows[normalized(text)] for text in texts]]
        return unit(self.model.encode_text(ids, normalize=False).float())

    def clip_vectors(self, frames: Sequence[NDArray[Any]]) -> Tensor:
        """Frame embeddings [T_b, D] or pixels uint8 [T_b, H, W, 3] of B clips -> [B, D]."""
        device = self._tokens.device
        if self._frozen_frames:
            vectors = [torch.from_numpy(np.asarray(clip, np.float32)).to(device) for clip in frames]
        else:
            pixels = torch.from_numpy(np.concatenate(list(frames)))
            parts = (pixels,) if torch.is_grad_enabled() else pixels.split(PICTURES)
            encoded = torch.cat([self._encode(part.to(device)) for part in parts])
            vectors = list(encoded.split([len(clip) for clip in frames]))
        padded, mask = pad_clips(vectors, MAX_FRAMES)
        return unit(masked_mean(padded, mask.to(device)))

    def _encode(self, pixels: Tensor) -> Tensor:
        pictures = (pixels.permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std
        return unit(self.model.encode_image(pictures, normalize=False).float())
