"""The trained parts of the two towers, on backbones that stay as they are or are tuned along.

A head is a linear layer plus a one-hidden-layer MLP whose output starts at zero, so that training begins at the linear
map. A picture's input is its pooled features of two backbones beside its ConSE vector (Norouzi et al., 2014): the
ImageNet posterior times the sentence vectors of the class names, which places a picture in the language's own space
before any training.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vsearch.training.backbone import CLASSES, FEATURES, Backbones, Lite0, Lite2
from vsearch.training.blocks import features_of
from vsearch.training.minilm import WIDTH, MiniLM

DIM = 512
INPUTS = 2 * FEATURES
"""Lite2's pooled features, then Lite0's."""
FARTHEST = 6.0
"""Standard deviations beyond which a feature says no more."""
ANCHOR_SHARE = 0.38
"""What a picture's ImageNet classes weigh beside its heads: see `PictureTower.anchor`."""
AT_ONCE = 32
"""Pictures whose maps are held for the way back, where whole networks are tuned: each takes some 120 MB. The others'
are made again then."""
CONSE_SCALE = 20.0
"""Brings the ConSE vector to the size of the features beside it."""


class Head(nn.Module):
    """[N, inner] -> [N, 512], not normalised."""

    def __init__(self, inner: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Linear(inner, DIM)
        self.hidden = nn.Linear(inner, hidden)
        self.out = nn.Linear(hidden, DIM)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def fresh(self) -> Head:
        """Another of the same shape, as at the start."""
        return Head(self.linear.in_features, self.hidden.out_features, self.drop.p)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(x)
        return cast(Tensor, self.linear(x) + self.out(self.drop(F.relu(self.hidden(x)))))


class PictureTower(nn.Module):
    """Pooled features, or the cached map before Lite2's last blocks, to unit frame vectors [N, 512]."""

    class_vectors: Tensor
    fc_weight: Tensor
    fc_bias: Tensor
    centre: Tensor
    spread: Tensor
    anchors: Tensor

    def __init__(self, backbone: Lite2, class_vectors: Tensor, hidden: int = 768, dropout: float = 0.5) -> None:
        """class_vectors [1000, 384]: unit sentence vectors of ImageNet's class names."""
        super().__init__()
        self.tail = copy.deepcopy(backbone)
        del self.tail.stem, self.tail.fc
        self.register_buffer("class_vectors", class_vectors)
        self.register_buffer("fc_weight", backbone.fc.weight.detach().clone())
        self.register_buffer("fc_bias", backbone.fc.bias.detach().clone())
        assert self.fc_weight.shape == (CLASSES, FEATURES)
        self.register_buffer("centre", torch.zeros(INPUTS))
        self.register_buffer("spread", torch.ones(INPUTS))
        self.head = Head(INPUTS + WIDTH, hidden, dropout)
        self.conse = 1.0
        """Times CONSE_SCALE: while a head is trained that should lean on the classes."""
        self.register_buffer("anchors", torch.zeros(CLASSES, DIM))
        self.other: Lite0 | None = None
        """Held where it is tuned, too: see `open_up`."""
        self.others = nn.ModuleList()
        """Heads that were trained apart, on the finished text tower: a frame's vector is the mean of all heads'."""

    def open_up(self, backbones: Backbones) -> None:
        """Hold both networks whole, from the pixels on, so that all of them can be tuned."""
        self.tail.stem = copy.deepcopy(backbones.main.stem)
        self.other = copy.deepcopy(backbones.other)

    def look(self, pixels: Tensor) -> Tensor:
        """pixels [N, 3, 260, 260], 0..255 -> features [N, 2560]; only where it holds both networks whole."""
        if self.other is None:
            raise ValueError("the picture tower holds no whole networks: open it up first")
        found = [checkpoint(self._look, self.other, part, use_reentrant=False) for part in pixels.split(AT_ONCE)]
        return torch.cat(found)

    def _look(self, other: Lite0, pixels: Tensor) -> Tensor:
        return torch.cat([features_of(self.tail, pixels), features_of(other, other.scaled(pixels))], dim=-1)

    def standardise(self, features: Tensor) -> None:
        """From now on features are seen in standard deviations from the mean of these, [N, 2560]."""
        self.centre.copy_(features.mean(0))
        self.spread.copy_(features.std(0) + 1e-3)

    def anchor(self, vectors: Tensor) -> None:
        """vectors [1000, 512]: what the finished text tower makes of the class names.

        From now on a frame is also drawn to where that tower puts the classes that ImageNet's classifier sees: rare
        things that no caption taught are found by it.
        """
        self.anchors.copy_(vectors)

    def classes(self, features: Tensor) -> Tensor:
        """features [N, 2560] -> ImageNet posterior [N, 1000]."""
        return torch.softmax(F.linear(features[:, :FEATURES], self.fc_weight, self.fc_bias), dim=-1)

    def inputs(self, features: Tensor, posterior: Tensor) -> Tensor:
        """features [N, 2560], posterior [N, 1000] -> what a head sees [N, 2944]: features, then the ConSE vector."""
        standard = ((features - self.centre) / self.spread).clamp(-FARTHEST, FARTHEST)
        conse = self.conse * CONSE_SCALE * (posterior @ self.class_vectors)
        return torch.cat([standard, conse], dim=-1)

    def renew(self, count: int) -> None:
        """New heads take the place of all."""
        fresh = [self.head.fresh() for _ in range(count)]
        self.head, self.others = fresh[0], nn.ModuleList(fresh[1:])

    def each(self, features: Tensor, posterior: Tensor | None = None) -> list[Tensor]:
        """features [N, 2560] -> [N, 512] of unit length from every head."""
        seen = self.inputs(features, self.classes(features) if posterior is None else posterior)
        return [F.normalize(head(seen), dim=-1) for head in (self.head, *self.others)]

    def embed(self, features: Tensor) -> Tensor:
        """features [N, 2560] -> [N, 512], unit length."""
        posterior = self.classes(features)
        vectors = torch.stack(self.each(features, posterior)).sum(0)
        return F.normalize(F.normalize(vectors, dim=-1) + ANCHOR_SHARE * (posterior @ self.anchors), dim=-1)

    def forward(self, maps: Tensor, others: Tensor) -> Tensor:
        """maps [N, 208, 9, 9] of Lite2 and features [N, 1280] of Lite0 -> [N, 512], unit length."""
        return self.embed(torch.cat([self.tail.tail(maps), others], dim=-1))


class TextTower(nn.Module):
    """Sentence vectors, or word pieces, to unit vectors [Q, 512]."""

    def __init__(self, encoder: MiniLM, hidden: int = 512, dropout: float = 0.4) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = Head(WIDTH, hidden, dropout)

    def embed(self, sentence: Tensor) -> Tensor:
        """sentence [Q, 384], unit length -> [Q, 512], unit length. Scaled to unit variance first, like the features."""
        return F.normalize(self.head(sentence * WIDTH**0.5), dim=-1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.embed(F.normalize(self.encoder(input_ids, attention_mask), dim=-1))


def pool_frames(frames: Tensor, mask: Tensor) -> Tensor:
    """Unit frame vectors [B, T, 512] and their validity [B, T] -> unit video vectors [B, 512] (mean)."""
    return F.normalize((frames * mask[:, :, None]).sum(1), dim=-1)
