"""Forward and backward pass of EfficientNet-Lite's blocks, fast enough on a CPU to tune a whole network.

torch's backward pass of depthwise convolutions dominates the time of such a network on a CPU. Here three things differ.
Maps have channels last, so that a 1 x 1 convolution is one matrix product. Batch normalisation keeps its ImageNet
statistics and is folded into the weights before it; its scale and shift are still trained. The input gradient of a
depthwise convolution is a convolution with the flipped kernel, as fast as the forward pass. The gradient of the kernel
itself remains slow, one sum for each of its elements. Training freezes these kernels (one parameter in eighteen).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.training.backbone import CUT, Block, Lite

Pads = tuple[int, int, int, int]
"""left, right, top, bottom."""


def features_from(network: Lite, maps: Tensor, first: int = CUT) -> Tensor:
    """maps [N, C, S, S], the input of block `first` -> pooled features [N, 1280] in float32, with gradients.

    Equal to the network's own convolutions up to rounding. Computes in the type of autocast if that is on, else in that
    of `maps`.
    """
    dtype = _compute_type(maps)
    with torch.autocast(maps.device.type, enabled=False):
        return _features(network, maps.permute(0, 2, 3, 1).to(dtype), first)


def features_of(network: Lite, pixels: Tensor) -> Tensor:
    """pixels [N, 3, S, S], 0..255, at the network's own size -> pooled features [N, 1280], through all blocks."""
    dtype = _compute_type(pixels)
    with torch.autocast(pixels.device.type, enabled=False):
        x = ((pixels - 127.0) * (1.0 / 128.0)).to(dtype).contiguous(memory_format=torch.channels_last)
        weight, bias, stride, pads = _folded(network.stem)
        stem = F.conv2d(F.pad(x, pads), weight.to(dtype), bias.to(dtype), stride=stride)
        return _features(network, F.relu6(stem).permute(0, 2, 3, 1), 0)


def is_slow(name: str) -> bool:
    """Whether a parameter of a network is a depthwise kernel or the scale that is folded into one."""
    return ".depthwise." in name and name.endswith(".weight")


def _compute_type(given: Tensor) -> Any:
    """The type to compute in: that of autocast if it is on."""
    kind = given.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else given.dtype


def _features(network: Lite, x: Tensor, first: int) -> Tensor:
    for module in network.blocks[first:]:
        block = cast(Block, module)
        y = F.relu6(_pointwise(x, block.expand)) if block.expand is not None else x
        y = F.relu6(_depthwise(y, block.depthwise))
        y = _pointwise(y, block.project)
        x = x + y if block.residual else y
    return F.relu6(_pointwise(x, network.head)).float().mean((1, 2))


def _folded(layers: nn.Sequential) -> tuple[Tensor, Tensor, int, Pads]:
    """Weights and biases of a convolution and the batch normalisation behind it, its stride and its padding."""
    convolution, normalisation = cast(nn.Conv2d, layers[-2]), cast(nn.BatchNorm2d, layers[-1])
    mean, variance = cast(Tensor, normalisation.running_mean), cast(Tensor, normalisation.running_var)
    scale = normalisation.weight / (variance + normalisation.eps).sqrt()
    if isinstance(layers[0], nn.ZeroPad2d):
        pads = cast(Pads, tuple(layers[0].padding))
    else:
        rows, columns = cast("tuple[int, int]", convolution.padding)
        pads = (columns, columns, rows, rows)
    bias = normalisation.bias - mean * scale
    return convolution.weight * scale[:, None, None, None], bias, convolution.stride[0], pads


def _pointwise(x: Tensor, layers: nn.Sequential) -> Tensor:
    """[N, S, S, C] -> [N, S, S, C']."""
    weight, bias, _, _ = _folded(layers)
    return F.linear(x, weight[:, :, 0, 0].to(x.dtype), bias.to(x.dtype))


def _depthwise(x: Tensor, layers: nn.Sequential) -> Tensor:
    """[N, S, S, C] -> [N, S', S', C]."""
    weight, bias, stride, pads = _folded(layers)
    y = cast(Tensor, _Depthwise.apply(x.permute(0, 3, 1, 2), weight.to(x.dtype), stride, pads))  # type: ignore[no-untyped-call, unused-ignore]
    return y.permute(0, 2, 3, 1) + bias.to(x.dtype)


class _Depthwise(torch.autograd.Function):
    """x [N, C, H, W] with channels last, kernels [C, 1, K, K], stride, padding -> [N, C, H', W']."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, stride: int, pads: Pads) -> Tensor:
        context.save_for_backward(x, weight)
        context.stride, context.pads = stride, pads
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=x.shape[1])

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        x, weight = context.saved_tensors
        stride, (left, right, top, bottom) = context.stride, context.pads
        side, kernels = weight.shape[-1], None
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        if context.needs_input_grad[1]:
            kernels = _kernel_gradient(F.pad(x, context.pads), gradient, weight, stride)
        if stride > 1:  # positions between strides have gradient 0
            rows, columns = x.shape[2] + top + bottom - side + 1, x.shape[3] + left + right - side + 1
            spread = gradient.new_zeros((*gradient.shape[:2], rows, columns))
            spread = spread.contiguous(memory_format=torch.channels_last)
            spread[:, :, ::stride, ::stride] = gradient
            gradient = spread
        around = (side - 1 - left, side - 1 - right, side - 1 - top, side - 1 - bottom)
        back = F.conv2d(F.pad(gradient, around), weight.flip((2, 3)), groups=x.shape[1])
        return back, kernels, None, None


def _kernel_gradient(x: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of the kernels, one element at a time; x is padded."""
    result = torch.empty_like(weight, dtype=torch.float32)
    rows, columns = (stride * (length - 1) + 1 for length in gradient.shape[2:])
    for down in range(weight.shape[2]):
        for along in range(weight.shape[3]):
            inputs = x[:, :, down : down + rows : stride, along : along + columns : stride]
            result[:, 0, down, along] = (inputs * gradient).sum((0, 2, 3), dtype=torch.float32)
    return result.to(weight.dtype)
