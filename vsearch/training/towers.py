"""The two towers of the embedded model: heads on backbones that are frozen or tuned.

A head is a linear layer plus an MLP with one hidden layer whose output starts at zero, so that training starts at the
linear map. A frame's input is its pooled features of two backbones and its ConSE vector (Norouzi et al., 2014): the
ImageNet posterior times the sentence embeddings of the class names. It places a frame in the space of sentences before
any training.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from vsearch.training.backbone import CLASSES, FEATURES, Backbones, Lite0, Lite2
from vsearch.training.lite_blocks import features_of
from vsearch.training.minilm import WIDTH, MiniLM

DIM = 512
INPUTS = 2 * FEATURES
"""Lite2's pooled features, then Lite0's."""
FEATURE_LIMIT = 6.0
"""Standard deviations at which features are clipped."""
ANCHOR_SHARE = 0.38
"""Weight of a frame's ImageNet classes relative to its heads: see `PictureTower.anchor`."""
CHECKPOINTED = 32
"""Pictures a chunk when whole networks are tuned. The backward pass recomputes the maps of each chunk, because they
take about 120 MB a picture."""
CONSE_SCALE = 20.0
"""Brings the ConSE vector to the magnitude of the features."""


class TowerHead(nn.Module):
    """[N, inner] -> [N, 512], not normalised."""

    def __init__(self, inner: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.linear = nn.Linear(inner, DIM)
        self.hidden = nn.Linear(inner, hidden)
        self.out = nn.Linear(hidden, DIM)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def fresh(self) -> TowerHead:
        """A newly initialised head of the same shape."""
        return TowerHead(self.linear.in_features, self.hidden.out_features, self.drop.p)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(x)
        return self.linear(x) + self.out(self.drop(F.relu(self.hidden(x))))


class PictureTower(nn.Module):
    """Pooled features, or the cached map before Lite2's last blocks -> frame embeddings [N, 512]."""

    class_vectors: Tensor
    fc_weight: Tensor
    fc_bias: Tensor
    centre: Tensor
    spread: Tensor
    anchors: Tensor

    def __init__(self, backbone: Lite2, class_vectors: Tensor, hidden: int = 768, dropout: float = 0.5) -> None:
        """class_vectors [1000, 384]: sentence embeddings of ImageNet's class names."""
        super().__init__()
        self.tail = copy.deepcopy(backbone)
        del self.tail.stem, self.tail.fc
        self.register_buffer("class_vectors", class_vectors)
        self.register_buffer("fc_weight", backbone.fc.weight.detach().clone())
        self.register_buffer("fc_bias", backbone.fc.bias.detach().clone())
        assert self.fc_weight.shape == (CLASSES, FEATURES)
        self.register_buffer("centre", torch.zeros(INPUTS))
        self.register_buffer("spread", torch.ones(INPUTS))
        self.head = TowerHead(INPUTS + WIDTH, hidden, dropout)
        self.conse = 1.0
        """Factor of CONSE_SCALE while a head is trained that should rely more on the classes."""
        self.register_buffer("anchors", torch.zeros(CLASSES, DIM))
        self.other: Lite0 | None = None
        """Lite0, if it is tuned as well: see `hold_networks`."""
        self.others = nn.ModuleList()
        """More heads, trained separately on the finished text tower; a frame embedding is the mean over all heads."""

    def hold_networks(self, backbones: Backbones) -> None:
        """Add the layers before the cached maps, and Lite0, so that both networks can be tuned as a whole."""
        self.tail.stem = copy.deepcopy(backbones.main.stem)
        self.other = copy.deepcopy(backbones.other)

    def whole_features(self, pixels: Tensor) -> Tensor:
        """pixels [N, 3, 260, 260], 0..255 -> features [N, 2560]. Raises ValueError before `hold_networks`."""
        if self.other is None:
            raise ValueError("the picture tower does not hold both networks: call hold_networks first")
        chunks = pixels.split(CHECKPOINTED)
        return torch.cat([checkpoint(self._chunk_features, self.other, part, use_reentrant=False) for part in chunks])

    def _chunk_features(self, other: Lite0, pixels: Tensor) -> Tensor:
        return torch.cat([features_of(self.tail, pixels), features_of(other, other.scaled(pixels))], dim=-1)

    def standardise(self, features: Tensor) -> None:
        """Standardise features by the mean and the standard deviation of these, [N, 2560]."""
        self.centre.copy_(features.mean(0))
        self.spread.copy_(features.std(0) + 1e-3)

    def anchor(self, vectors: Tensor) -> None:
        """Set the embeddings of the class names [1000, 512] by the finished text tower.

        A frame embedding then also contains those of the classes that ImageNet's classifier predicts, which helps with
        rare objects that no caption names.
        """
        self.anchors.copy_(vectors)

    def classes(self, features: Tensor) -> Tensor:
        """features [N, 2560] -> ImageNet posterior [N, 1000]."""
        return torch.softmax(F.linear(features[:, :FEATURES], self.fc_weight, self.fc_bias), dim=-1)

    def inputs(self, features: Tensor, posterior: Tensor) -> Tensor:
        """features [N, 2560], posterior [N, 1000] -> input of a head [N, 2944]: features, then the ConSE vector."""
        standard = ((features - self.centre) / self.spread).clamp(-FEATURE_LIMIT, FEATURE_LIMIT)
        conse = self.conse * CONSE_SCALE * (posterior @ self.class_vectors)
        return torch.cat([standard, conse], dim=-1)

    def renew(self, count: int) -> None:
        """Replace all heads by `count` new ones."""
        fresh = [self.head.fresh() for _ in range(count)]
        self.head, self.others = fresh[0], nn.ModuleList(fresh[1:])

    def each(self, features: Tensor, posterior: Tensor | None = None) -> list[Tensor]:
        """features [N, 2560] -> [N, 512] of unit length from every head."""
        inputs = self.inputs(features, self.classes(features) if posterior is None else posterior)
        return [F.normalize(head(inputs), dim=-1) for head in (self.head, *self.others)]

    def embed(self, features: Tensor) -> Tensor:
        """features [N, 2560] -> [N, 512], unit length."""
        posterior = self.classes(features)
        vectors = torch.stack(self.each(features, posterior)).sum(0)
        return F.normalize(F.normalize(vectors, dim=-1) + ANCHOR_SHARE * (posterior @ self.anchors), dim=-1)

    def forward(self, maps: Tensor, others: Tensor) -> Tensor:
        """maps [N, 208, 9, 9] of Lite2 and features [N, 1280] of Lite0 -> [N, 512], unit length."""
        return self.embed(torch.cat([self.tail.tail(maps), others], dim=-1))


class TextTower(nn.Module):
    """Sentence embeddings, or word pieces -> query embeddings [Q, 512]."""

    def __init__(self, encoder: MiniLM, hidden: int = 512, dropout: float = 0.4) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = TowerHead(WIDTH, hidden, dropout)

    def embed(self, sentence: Tensor) -> Tensor:
        """Unit sentence embeddings [Q, 384] -> unit query embeddings [Q, 512]. Inputs are scaled to unit variance."""
        return F.normalize(self.head(sentence * WIDTH**0.5), dim=-1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.embed(F.normalize(self.encoder(input_ids, attention_mask), dim=-1))


def pool_frames(frames: Tensor, mask: Tensor) -> Tensor:
    """Unit frame embeddings [B, T, 512] and their mask [B, T] -> unit means [B, 512]."""
    return F.normalize((frames * mask[:, :, None]).sum(1), dim=-1)


class Towers(nn.Module):
    """Both towers, the learned temperature, and which parts of them are no longer as published."""

    def __init__(self, picture: PictureTower, text: TextTower) -> None:
        super().__init__()
        self.picture, self.text = picture, text
        self.tuned_picture = False
        """Whether Lite2's last blocks were trained: features are then computed from the cached maps."""
        self.tuned_whole = False
        """Whether both networks were trained as a whole: features are then computed from the pixels."""
        self.tuned_text = False
        """Whether the sentence encoder was trained: captions are then encoded anew."""
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))
