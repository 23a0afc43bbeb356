"""The torch parts that temporal.py and itm.py are built from: pre-LayerNorm transformers over tokens with a mask.

It knows nothing of frames or words. A mask is bool, True where a token counts. Attention takes it as a bias over keys,
[B, 1, 1, T], which broadcasts over heads: a mask repeated head by head can get into the wrong order, this one cannot.
"""

from __future__ import annotations

# torch is untyped here (follow_imports = "skip"), so nn.Module is Any to mypy.
# mypy: disallow-subclassing-any=False
import torch
from torch import Tensor, nn
from torch.nn import functional


def unit(vectors: Tensor) -> Tensor:
    """Rows [..., D] scaled to length 1; a row of zeros stays as it is."""
    return functional.normalize(vectors, dim=-1)


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """[B, T, D], [B, T] bool -> [B, D]: the mean of the tokens that count; zeros where none does."""
    kept = tokens.masked_fill(~mask[..., None], 0)
    return kept.sum(dim=1) / mask.sum(dim=1).clamp(min=1)[:, None]


def key_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, T] bool -> [B, 1, 1, T]: what attention adds to the score of each key.

    The lowest finite number, not -inf: beside any key that counts its weight is exactly 0, and a row where no key
    counts (the differences of a clip of one frame) stays finite until it is masked out.
    """
    zeros = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return zeros.masked_fill(~mask, torch.finfo(dtype).min)[:, None, None, :]


def zero_linear(width: int, dim: int) -> nn.Linear:
    """The last projection of a residual branch: until it is trained, the branch adds nothing."""
    linear = nn.Linear(width, dim, bias=False)
    nn.init.zeros_(linear.weight)
    return linear


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), as in CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


def mlp(width: int, expand: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, expand * width), QuickGELU(), nn.Linear(expand * width, width))


class Attention(nn.Module):
    """Multi-head attention of `queries` to `context`, both of one width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads: {width = }, {heads = }")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        """[Q, L, W], [B, T, W], key_bias [B, 1, 1, T] -> [B, L, W]. Q is B, or 1: one query for every context."""
        query = self._split(self.query(queries))  # [Q, h, L, W/h]
        key, value = map(self._split, self.key_value(context).chunk(2, dim=-1))  # [B, h, T, W/h]
        query = query.expand(key.shape[0], -1, -1, -1)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)  # [B, h, L, W/h]
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class SelfLayer(nn.Module):
    """One pre-LayerNorm layer: tokens attend to tokens, then an MLP."""

    def __init__(self, width: int, heads: int, expand: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = mlp(width, expand)

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """[B, T, W], key_bias [B, 1, 1, T] -> [B, T, W]."""
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, bias)
        return tokens + self.mlp(self.mlp_norm(tokens))


class CrossLayer(nn.Module):
    """One pre-LayerNorm layer: tokens attend to a context, then an MLP."""

    def __init__(self, width: int, heads: int, expand: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = mlp(width, expand)

    def forward(self, tokens: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        """[Q, L, W], [B, T, W], key_bias [B, 1, 1, T] -> [B, L, W]. Q is B or 1."""
        tokens = tokens + self.attention(self.norm(tokens), context, bias)
        return tokens + self.mlp(self.mlp_norm(tokens))


class Transformer(nn.Module):
    """A stack of self-attention layers over tokens with a mask."""

    def __init__(self, width: int, layers: int, heads: int, expand: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SelfLayer(width, heads, expand) for _ in range(layers))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """[B, T, W], [B, T] bool -> [B, T, W]; what stands where the mask is False means nothing."""
        bias = key_bias(mask, tokens.dtype)
        for layer in self.layers:
            tokens = layer(tokens, bias)
        return tokens
