"""The re-ranker: a cross-encoder in which the words of a query attend to the frames of a scene (ITM).

One logit says whether they match; as in BLIP it is added to the inner product of recall (ITC). The last layer starts at
zero, so an untrained head leaves the order of recall as it is.

It is built for a hundred candidates at a time on a laptop. Words attend to words before any frame is seen, once a
query; after that each word looks at the frames by itself, and no word at another, so that what is paid a candidate is
small. Every frame is reduced to one token of `width` numbers first; that does not depend on the query, and may be
done when a video is indexed (`frame_tokens`).
"""

from __future__ import annotations

# torch is untyped here (follow_imports = "skip"), so nn.Module is Any to mypy.
# mypy: disallow-subclassing-any=False
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vsearch.models.transformer import CrossLayer, Transformer, key_bias


@dataclass(frozen=True, slots=True)
class ItmOptions:
    """Sizes of the head. At the default ones a hundred scenes cost about what MiniLM takes to read one query."""

    width: int = 64
    text_layers: int = 1
    """Among words, once a query."""
    layers: int = 1
    """From words to frames, for every candidate."""
    heads: int = 4
    expand: int = 2
    """Width of an MLP, in widths."""

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "expand"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.width % 2 or self.width % self.heads:
            raise ValueError(f"width must be even and a multiple of heads: {self.width = }, {self.heads = }")


def time_waves(length: int, like: Tensor) -> Tensor:
    """Sines and cosines of a frame's place, [T, W] (Vaswani et al. 2017): any number of frames has a place."""
    width = like.shape[-1]
    steps = torch.arange(0, width, 2, dtype=like.dtype, device=like.device)
    places = torch.arange(length, dtype=like.dtype, device=like.device)
    angles = places[:, None] * torch.exp(steps * (-9.210340371976184 / width))[None]  # ln 10000
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)


class ItmHead(nn.Module):
    """Words [Q, L, word_dim] and frames [N, T, frame_dim], with masks, to logits [N]."""

    def __init__(self, word_dim: int, frame_dim: int, options: ItmOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or ItmOptions()
        self.word_dim, self.frame_dim = word_dim, frame_dim
        self.words_in = nn.Sequential(nn.LayerNorm(word_dim), nn.Linear(word_dim, options.width))
        self.reader = Transformer(options.width, options.text_layers, options.heads, options.expand)
        self.frames_in = nn.Linear(frame_dim, options.width, bias=False)
        self.time_scale = nn.Parameter(torch.tensor(0.1))
        self.frames_norm = nn.LayerNorm(options.width)
        self.layers = nn.ModuleList(
            CrossLayer(options.width, options.heads, options.expand) for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.width)
        self.attend = nn.Linear(options.width, 1)
        self.logit = nn.Linear(options.width, 1)
        nn.init.zeros_(self.logit.weight)
        nn.init.zeros_(self.logit.bias)

    def read_words(self, words: Tensor, word_mask: Tensor) -> Tensor:
        """[Q, L, word_dim], [Q, L] bool -> [Q, L, W]: all that a query costs once."""
        return self.reader(self.words_in(words.masked_fill(~word_mask[..., None], 0)), word_mask)

    def frame_tokens(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """[N, T, frame_dim], [N, T] bool -> [N, T, W]: all that a scene costs once, 2 W bytes a frame in fp16."""
        # Frames are unit vectors and need no norm of their own; padding is cut where it is narrow.
        tokens = (self.frame_dim**0.5 * self.frames_in(frames)).masked_fill(~frame_mask[..., None], 0)
        return self.frames_norm(tokens + self.time_scale * time_waves(frames.shape[1], tokens))

    def match(self, read: Tensor, word_mask: Tensor, tokens: Tensor, frame_mask: Tensor) -> Tensor:
        """What read_words and frame_tokens gave -> logits [N]."""
        bias = key_bias(frame_mask, tokens.dtype)
        for layer in self.layers:
            read = layer(read, tokens, bias)  # [N, L, W]
        read = self.norm(read)
        shares = self.attend(read).masked_fill(~word_mask[..., None], torch.finfo(read.dtype).min).softmax(dim=1)
        return self.logit((shares * read).sum(dim=1))[:, 0]

    def forward(self, words: Tensor, word_mask: Tensor, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Logits [N]. Q is N: pair by pair; or Q is 1: one query against N candidates, read once.

        Raises ValueError for shapes that do not fit.
        """
        _check(words, word_mask, self.word_dim, "words")
        _check(frames, frame_mask, self.frame_dim, "frames")
        if words.shape[0] not in (1, frames.shape[0]):
            raise ValueError(f"as many queries as scenes, or one: {words.shape[0]} queries, {frames.shape[0]} scenes")
        return self.match(
            self.read_words(words, word_mask), word_mask, self.frame_tokens(frames, frame_mask), frame_mask
        )


def _check(tokens: Tensor, mask: Tensor, dim: int, name: str) -> None:
    if tokens.ndim != 3 or tokens.shape[2] != dim or tokens.shape[:2] != mask.shape or mask.dtype != torch.bool:
        raise ValueError(
            f"{name} must be [N, length, {dim}] with a bool mask [N, length]: "
            f"{tuple(tokens.shape) = }, {tuple(mask.shape) = }, {mask.dtype = }"
        )


def export_itm(head: ItmHead, path: Path, *, max_frames: int = 64, max_words: int = 128) -> None:
    """Write the head as ONNX, for one query against N candidates.

    "words" float32 [1, L, word_dim], "word_mask" bool [1, L], "frames" float32 [N, T, frame_dim], "frame_mask" bool
    [N, T] -> "logits" float32 [N]. N, L and T are free. Leaves the head in eval mode. Needs the packages onnx and
    onnxscript.
    """
    scenes = torch.export.Dim("scenes")
    length, time = torch.export.Dim("length", max=max_words), torch.export.Dim("time", max=max_frames)
    torch.onnx.export(
        head.eval(),
        (
            torch.zeros(1, 5, head.word_dim),
            torch.ones(1, 5, dtype=torch.bool),
            torch.zeros(4, 3, head.frame_dim),
            torch.ones(4, 3, dtype=torch.bool),
        ),
        path,
        input_names=["words", "word_mask", "frames", "frame_mask"],
        output_names=["logits"],
        dynamic_shapes=({1: length}, {1: length}, {0: scenes, 1: time}, {0: scenes, 1: time}),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
