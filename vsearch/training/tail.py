"""Lite2's last blocks as matrix products, for tuning them in large batches on a CPU.

Depthwise convolutions train slowly on a CPU. On maps of 9 x 9 one of them is, for each channel, a product with an
81 x 81 matrix that holds the kernel along its diagonals (a Toeplitz matrix): more multiplications, but of the kind
that processors are made for. Points of the map stand in one dimension and channels come first, so that the 1 x 1
convolutions are single products, too. Batch normalisation keeps its ImageNet statistics and is folded into the weights
before it, so its scale and shift are tuned with them. Making the matrices costs the same for any batch: for a few dozen
frames convolutions are no slower (benchmarks/tuning.py).
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.training.backbone import CUT, Block, Lite


def tail_features(network: Lite, maps: Tensor, first: int = CUT) -> Tensor:
    """maps [N, C, S, S], the input of block `first` -> pooled features [N, 1280] in float32, with gradients.

    Equal to `Lite2.tail` up to rounding. Blocks from `first` on must keep the map's size. Computes in the numbers of
    autocast where that is on, else in those of `maps`.
    """
    kind = maps.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else maps.dtype
    with torch.autocast(kind, enabled=False):
        count, channels, side, _ = maps.shape
        x = maps.permute(1, 0, 2, 3).reshape(channels, count, side * side).to(dtype)
        for module in network.blocks[first:]:
            block = cast(Block, module)
            y = F.relu6(_pointwise(x, block.expand)) if block.expand is not None else x
            y = F.relu6(_depthwise(y, block.depthwise, side))
            y = _pointwise(y, block.project)
            x = x + y if block.residual else y
        return F.relu6(_pointwise(x, network.head)).float().mean(-1).T


def _folded(layers: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Weights and biases of a convolution and the batch normalisation behind it."""
    convolution, normalisation = cast(nn.Conv2d, layers[-2]), cast(nn.BatchNorm2d, layers[-1])
    mean, variance = cast(Tensor, normalisation.running_mean), cast(Tensor, normalisation.running_var)
    scale = normalisation.weight / (variance + normalisation.eps).sqrt()
    return convolution.weight * scale[:, None, None, None], normalisation.bias - mean * scale


def _pointwise(x: Tensor, layers: nn.Sequential) -> Tensor:
    """[C, N, P] -> [C', N, P]."""
    weight, bias = _folded(layers)
    y = torch.addmm(bias.to(x.dtype)[:, None], weight[:, :, 0, 0].to(x.dtype), x.reshape(len(x), -1))
    return y.reshape(len(weight), *x.shape[1:])


def _depthwise(x: Tensor, layers: nn.Sequential, side: int) -> Tensor:
    """[C, N, side * side] -> the same shape."""
    weight, bias = _folded(layers)
    kernel = weight.shape[-1]
    taps, inside = _diagonals(kernel, side, x.device)
    points = side * side
    matrices = weight.reshape(-1, kernel * kernel)[:, taps].reshape(-1, points, points) * inside
    return torch.baddbmm(bias.to(x.dtype)[:, None, None], x, matrices.to(x.dtype))


@cache
def _diagonals(kernel: int, side: int, device: Any) -> tuple[Tensor, Tensor]:
    """Which tap of a kernel joins each point of a map (row) to each (column): int64 [P * P]; float [P, P], 0 where none
    does."""
    pad = kernel // 2
    with torch.inference_mode(False):  # they are kept, and training must be able to use what evaluation made
        rows = torch.arange(side)
        step = rows[:, None] - rows[None, :] + pad  # [in, out] along one axis
        step = step[:, None, :, None] * kernel + step[None, :, None, :]
        near = (rows[:, None] - rows[None, :]).abs() <= pad
        inside = (near[:, None, :, None] & near[None, :, None, :]).reshape(side * side, side * side)
        taps = torch.where(inside, step.reshape(side * side, side * side), 0)
        return taps.reshape(-1).to(device), inside.float().to(device)
