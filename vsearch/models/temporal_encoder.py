"""From the frame vectors of a clip to what the index holds: one family of aggregations behind one protocol.

    single      the middle frame
    mean        unit frames, mean over time, unit (meanP of CLIP4Clip, Luo et al. 2021)
    kmeans      K centres; the best centre counts (Portillo-Quintero et al. 2021)
    seqlstm     mean over frames + LSTM (CLIP4Clip)
    seqtransf   mean over frames + transformer (CLIP4Clip)
    tdb         mean over frames + temporal difference block (CLIP2Video, Fang et al. 2021)
    tab         mean, and beside it the temporal alignment block's vector
    clip2video  tdb and tab

Frames are [B, T, D] unit vectors in time order with a mask [B, T], True for the frames that are there; they come first
in their row. Padded frames may hold anything. Every trained branch ends in a projection that starts at zero, so an
untrained seqlstm, seqtransf or tdb is exactly `mean`. TAB's centres cannot start so; there `center_weight` starts at 1,
which leaves its vector no say: [v ; 0] against [t ; 0] scores exactly as `mean` does.

The score of a query and a clip is one inner product of unit vectors, which is what FAISS searches. In CLIP2Video it is
w <t, v> + (1-w) <z_t, z_v>, and so the vectors are [sqrt(w) v ; sqrt(1-w) z_v] and [sqrt(w) t ; sqrt(1-w) z_t].
kmeans is the exception: a maximum over K rows (see KMeans).
"""

from __future__ import annotations

# torch is untyped here (follow_imports = "skip"), so nn.Module is Any to mypy.
# mypy: disallow-subclassing-any=False
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from vsearch.models.transformer import SelfLayer, Transformer, key_bias, masked_mean, unit, zero_linear

RAW_LENGTH = 10.0
"""The length of CLIP's raw embeddings, about. Trained branches see the unit frames scaled to it: CLIP2Video's initial
values suit that length, and beside shorter frames they would drown the differences and the centres."""


@dataclass(frozen=True, slots=True)
class TemporalOptions:
    """Sizes of the trained aggregations; the values are CLIP2Video's. Each uses what concerns it."""

    max_frames: int = 12
    """Longest clip; a longer one is thinned first (`pad_clips`), else it is a ValueError."""
    layers: int = 4
    """Of the transformer of seqtransf and TDB."""
    heads: int = 8
    width: int | None = None
    """Of the branch; None is that of the frames. Narrower is smaller and faster."""
    centres: int = 5
    """K of kmeans and TAB: CLIP2Video takes 5 for MSR-VTT and MSVD, 7 for VATEX."""
    center_weight: float = 1.0
    """w, the part of the global vector in the score. CLIP2Video trains and searches with 0.5."""

    def __post_init__(self) -> None:
        for name in ("max_frames", "layers", "heads", "centres"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.center_weight <= 1:
            raise ValueError(f"center_weight must be from 0 to 1, not {self.center_weight}")


class Aggregator(Protocol):
    """What turns frames into a vector. Every implementation is an nn.Module."""

    out_dim: int
    """D'."""

    def __call__(self, frames: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D], [B, T] bool -> [B, D'], unit length. ValueError for shapes or a mask that break the contract."""
        ...

    def encode_query(self, text: Tensor, words: Tensor | None = None, word_mask: Tensor | None = None) -> Tensor:
        """Sentences [Q, D], and for TAB their word tokens [Q, L, D] with mask [Q, L] -> [Q, D''], unit length."""
        ...

    def score(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """[Q, D''], [B, D'] -> [Q, B], from -1 to 1."""
        ...


def pad_clips(clips: Sequence[Tensor], at_most: int | None = None) -> tuple[Tensor, Tensor]:
    """Clips [T_s, D] of unequal length -> frames [B, T, D], mask [B, T].

    A clip of more than `at_most` frames keeps that many, spread evenly from its first to its last.
    """
    if at_most is not None:
        clips = [clip if len(clip) <= at_most else clip[_spread(len(clip), at_most)] for clip in clips]
    lengths = torch.tensor([len(clip) for clip in clips])
    frames = nn.utils.rnn.pad_sequence(list(clips), batch_first=True)  # [B, T, D]
    mask = torch.arange(frames.shape[1])[None] < lengths[:, None]
    return frames, mask.to(frames.device)


def _spread(length: int, count: int) -> list[int]:
    if count == 1:
        return [(length - 1) // 2]
    return [round(at * (length - 1) / (count - 1)) for at in range(count)]


def _checked(frames: Tensor, mask: Tensor, dim: int, max_frames: int | None = None) -> Tensor:
    """The frames with zeros where the mask is False, whatever stood there."""
    if frames.ndim != 3 or frames.shape[2] != dim or frames.shape[1] < 1:
        raise ValueError(f"frames must be [B, T, {dim}] with T >= 1: {tuple(frames.shape) = }")
    if mask.shape != frames.shape[:2] or mask.dtype != torch.bool:
        raise ValueError(f"mask must be bool [B, T]: {tuple(mask.shape) = }, {mask.dtype = }, {tuple(frames.shape) = }")
    if max_frames is not None and frames.shape[1] > max_frames:
        raise ValueError(f"a clip has at most {max_frames} frames, not {frames.shape[1]}: thin it first (pad_clips)")
    if not torch.compiler.is_compiling():  # an exported graph cannot look at values
        if not bool(mask[:, 0].all()):
            raise ValueError("every clip needs at least one frame, and its frames come before the padding")
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError("the mask has a gap: a clip's frames come before the padding")
    return frames.masked_fill(~mask[..., None], 0)


def _mean(frames: Tensor, mask: Tensor) -> Tensor:
    return unit(masked_mean(unit(frames), mask))


class _OneVector(nn.Module):
    """What the aggregations of one D-dimensional vector a clip share."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.out_dim = dim

    def encode_query(self, text: Tensor, words: Tensor | None = None, word_mask: Tensor | None = None) -> Tensor:
        return unit(text)

    def score(self, queries: Tensor, vectors: Tensor) -> Tensor:
        return queries @ vectors.T


class Single(_OneVector):
    """The middle frame; of an even number, the earlier of the two."""

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        frames = _checked(frames, mask, self.dim)
        middle = (mask.sum(dim=1) - 1) // 2  # [B]
        return unit(frames.gather(1, middle[:, None, None].expand(-1, 1, self.dim))[:, 0])


class Mean(_OneVector):
    """meanP: unit frames, mean over time, unit."""

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        return _mean(_checked(frames, mask, self.dim), mask)


class KMeans(_OneVector):
    """Spherical k-means over the frames of a clip. The best centre counts, so a clip is K rows, not one.

    The vector is the K unit centres behind each other, each divided by sqrt(K), [B, K*D] of unit length; `score` reads
    it as sqrt(K) times the largest of the K inner products. An index stores `centres` as K rows of one scene and keeps
    the scene's best row. Deterministic: the first centre is the first frame, each next one the frame farthest from
    those chosen. A clip of fewer than K frames repeats some, which changes no maximum.
    """

    STEPS = 10

    def __init__(self, dim: int, centres: int) -> None:
        super().__init__(dim)
        self.count = centres
        self.out_dim = centres * dim

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        return self.centres(frames, mask).flatten(1) / self.count**0.5

    def score(self, queries: Tensor, vectors: Tensor) -> Tensor:
        centres = vectors.unflatten(1, (self.count, self.dim))  # [B, K, D]
        return torch.einsum("qd,bkd->qbk", queries, centres).amax(dim=-1) * self.count**0.5

    def centres(self, frames: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D], [B, T] -> [B, K, D], unit length."""
        frames = unit(_checked(frames, mask, self.dim))
        centres = self._first_centres(frames, mask)
        ids = torch.arange(self.count, device=frames.device)
        for _ in range(self.STEPS):
            nearest = torch.einsum("btd,bkd->btk", frames, centres).argmax(dim=-1)  # [B, T]
            member = (nearest[..., None] == ids) & mask[..., None]  # [B, T, K]
            sums = torch.einsum("btk,btd->bkd", member.to(frames.dtype), frames)
            centres = torch.where(member.any(dim=1)[..., None], unit(sums), centres)
        return centres

    def _first_centres(self, frames: Tensor, mask: Tensor) -> Tensor:
        # Similarities lie from -1 to 1. Beyond them a frame already chosen ranks below every other (3), and padding
        # below that (4); so nothing is left to rounding where frames are fewer than centres.
        places = torch.arange(frames.shape[1], device=frames.device)
        index = torch.zeros_like(mask[:, 0], dtype=torch.long)  # [B]
        chosen = [self._take(frames, index)]
        closest = torch.full_like(frames[..., 0], -2).masked_fill(~mask, 4)  # [B, T]: to the nearest centre so far
        for _ in range(self.count - 1):
            closest = torch.maximum(closest, torch.einsum("btd,bd->bt", frames, chosen[-1]))
            closest = torch.where(places == index[:, None], 3, closest)
            index = closest.argmin(dim=1)
            chosen.append(self._take(frames, index))
        return torch.stack(chosen, dim=1)

    @staticmethod
    def _take(frames: Tensor, index: Tensor) -> Tensor:
        return frames.gather(1, index[:, None, None].expand(-1, 1, frames.shape[2]))[:, 0]


class SeqLstm(_OneVector):
    """A one-layer LSTM beside the frames, then meanP. Padding comes after the frames, so no state ever sees it."""

    def __init__(self, dim: int, options: TemporalOptions) -> None:
        super().__init__(dim)
        width = options.width or dim
        self.lstm = nn.LSTM(dim, width, batch_first=True)
        self.out = zero_linear(width, dim)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        frames = _checked(frames, mask, self.dim)
        states, _ = self.lstm(RAW_LENGTH * frames)  # [B, T, W]
        return _mean(frames + self.out(states), mask)


class _Positions(nn.Module):
    """One learned vector a place in time."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(count, width))
        nn.init.normal_(self.table, std=0.01)

    def forward(self, length: int) -> Tensor:
        return self.table[:length]  # [T, W]


class SeqTransf(_OneVector):
    """A transformer over the frames and their positions beside the frames, then meanP."""

    def __init__(self, dim: int, options: TemporalOptions) -> None:
        super().__init__(dim)
        width = options.width or dim
        self.max_frames = options.max_frames
        self.inward = nn.Linear(dim, width, bias=False) if width != dim else nn.Identity()
        self.positions = _Positions(options.max_frames, width)
        self.transformer = Transformer(width, options.layers, options.heads)
        self.out = zero_linear(width, dim)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        frames = _checked(frames, mask, self.dim, self.max_frames)
        tokens = self.inward(RAW_LENGTH * frames) + self.positions(frames.shape[1])  # [B, T, W]
        return _mean(frames + self.out(self.transformer(tokens, mask)), mask)


class DifferenceTokens(nn.Module):
    """The first half of TDB: between two frames stands a token of what changed.

    Frames [B, T, W] become f0 d0 f1 d1 ... [B, 2T, W], with d_i made from f_{i+1} - f_i. The difference after the last
    frame of a clip does not exist, in a padded row as in a full one, and the mask [B, 2T] says so.
    """

    def __init__(self, width: int, heads: int, positions: _Positions) -> None:
        super().__init__()
        self.positions = positions
        self.layer = SelfLayer(width, heads)
        self.norm = nn.LayerNorm(width)
        self.types = nn.Parameter(torch.empty(2, width))  # difference, frame
        nn.init.normal_(self.types, std=0.01)

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        length = frames.shape[1]
        places = self.positions(length)  # [T, W]
        # One place is added behind the last, so that a clip of one frame is no special case: its difference is masked.
        after = torch.cat([frames[:, 1:], torch.zeros_like(frames[:, :1])], dim=1)  # [B, T, W]: f_{i+1}
        there = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)  # [B, T]: is there an f_{i+1}?
        after_places = torch.cat([places[1:], torch.zeros_like(places[:1])])  # [T, W]
        changes = self.layer(after - frames + after_places, key_bias(there, frames.dtype))
        changes = 2 * torch.sigmoid(self.norm(changes)) - 1
        tokens = torch.stack([frames + places + self.types[1], changes + places + self.types[0]], dim=2)  # [B, T, 2, W]
        return tokens.flatten(1, 2), torch.stack([mask, there], dim=2).flatten(1)


class Clip2Video(_OneVector):
    """CLIP2Video's encoder: the global vector v (TDB, or the mean), and beside it TAB's z where TAB is on.

    With TAB the vector is [sqrt(w) v ; sqrt(1-w) z], 2D long. `parts` and `query_parts` give v, z and t, z_t apart:
    CLIP2Video's loss is the same weighted sum of a loss over each.
    """

    def __init__(self, dim: int, options: TemporalOptions, *, tdb: bool, tab: bool) -> None:
        super().__init__(dim)
        width = options.width or dim
        self.max_frames = options.max_frames
        self.inward = nn.Linear(dim, width, bias=False) if width != dim else nn.Identity()
        self.positions = _Positions(options.max_frames, width)
        self.tdb = Tdb(width, dim, options, self.positions) if tdb else None
        self.tab = Tab(width, dim, options) if tab else None
        self.out_dim = 2 * dim if tab else dim
        self.register_buffer("center_weight", torch.tensor(float(options.center_weight)))

    def parts(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """[B, T, D], [B, T] -> v [B, D] and z [B, D] (None without TAB), unit length."""
        frames = _checked(frames, mask, self.dim, self.max_frames)
        tokens = self.inward(RAW_LENGTH * frames)  # [B, T, W]
        v = _mean(frames if self.tdb is None else frames + self.tdb(tokens, mask), mask)
        if self.tab is None:
            return v, None
        # TAB looks at every second frame with the shared difference tokens: motion at half the frame rate.
        slow, slow_mask = tokens[:, ::2], mask[:, ::2]  # [B, ceil(T/2), W]
        if self.tdb is None:
            between, between_mask = slow + self.positions(slow.shape[1]), slow_mask
        else:
            between, between_mask = self.tdb.differences(slow, slow_mask)
        moved = self.tab.motion(between, between_mask)[:, :: 1 if self.tdb is None else 2]
        slow_frames = frames[:, ::2] + self.tab.out(moved)  # [B, ceil(T/2), D]
        everything = torch.cat([frames, slow_frames], dim=1)
        return v, self.tab.align(everything, torch.cat([mask, slow_mask], dim=1))

    def query_parts(
        self, text: Tensor, words: Tensor | None = None, word_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Sentences [Q, D], word tokens [Q, L, D] with mask [Q, L] -> t [Q, D] and z_t [Q, D] (None without TAB)."""
        if self.tab is None:
            return unit(text), None
        if words is None or word_mask is None:
            raise ValueError("TAB aligns frames with words: the word tokens [Q, L, D] and their mask are needed")
        if words.shape[:2] != word_mask.shape or words.shape[2] != self.dim:
            raise ValueError(f"words [Q, L, {self.dim}], mask [Q, L]: {tuple(words.shape)}, {tuple(word_mask.shape)}")
        return unit(text), self.tab.align(words.masked_fill(~word_mask[..., None], 0), word_mask)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        return self._joined(*self.parts(frames, mask))

    def encode_query(self, text: Tensor, words: Tensor | None = None, word_mask: Tensor | None = None) -> Tensor:
        return self._joined(*self.query_parts(text, words, word_mask))

    def _joined(self, whole: Tensor, aligned: Tensor | None) -> Tensor:
        if aligned is None:
            return whole
        weight = self.center_weight.to(whole.dtype)
        return torch.cat([weight.sqrt() * whole, (1 - weight).sqrt() * aligned], dim=-1)


class Tdb(nn.Module):
    """Temporal difference block: what it adds to each frame, nothing until it is trained."""

    def __init__(self, width: int, dim: int, options: TemporalOptions, positions: _Positions) -> None:
        super().__init__()
        self.differences = DifferenceTokens(width, options.heads, positions)
        self.transformer = Transformer(width, options.layers, options.heads)
        self.out = zero_linear(width, dim)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """[B, T, W], [B, T] -> [B, T, D]."""
        both, both_mask = self.differences(tokens, mask)  # [B, 2T, W]
        return self.out(self.transformer(both, both_mask)[:, ::2])


class Tab(nn.Module):
    """Temporal alignment block: K centres that frames and words are both assigned to (after NetVLAD)."""

    def __init__(self, width: int, dim: int, options: TemporalOptions) -> None:
        super().__init__()
        self.motion = Transformer(width, 1, options.heads)
        self.out = zero_linear(width, dim)
        self.assign = nn.Parameter(torch.empty(options.centres, dim))
        self.centres = nn.Parameter(torch.empty(options.centres, dim))
        nn.init.normal_(self.assign, std=1 / 8)
        nn.init.normal_(self.centres, std=1 / 8)

    def align(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Frames or words [B, T, D], [B, T] -> z [B, D], unit length."""
        tokens = RAW_LENGTH * unit(tokens)
        shares = torch.softmax(tokens @ self.assign.T, dim=-1).masked_fill(~mask[..., None], 0)  # [B, T, K]
        # sum_i a_ik (x_i - c_k), without a tensor [B, T, K, D]
        sums = torch.einsum("btk,btd->bkd", shares, tokens) - shares.sum(dim=1)[..., None] * self.centres
        return unit(unit(sums).mean(dim=1))


_BUILDERS: dict[str, Callable[[int, TemporalOptions], Aggregator]] = {
    "single": lambda dim, options: Single(dim),
    "mean": lambda dim, options: Mean(dim),
    "kmeans": lambda dim, options: KMeans(dim, options.centres),
    "seqlstm": SeqLstm,
    "seqtransf": SeqTransf,
    "tdb": lambda dim, options: Clip2Video(dim, options, tdb=True, tab=False),
    "tab": lambda dim, options: Clip2Video(dim, options, tdb=False, tab=True),
    "clip2video": lambda dim, options: Clip2Video(dim, options, tdb=True, tab=True),
}
AGGREGATIONS = tuple(_BUILDERS)


def build_aggregator(name: str, dim: int, options: TemporalOptions | None = None) -> Aggregator:
    """An untrained aggregation of frames [B, T, dim]. Raises ValueError where there is none of that name."""
    if name not in _BUILDERS:
        raise ValueError(f"aggregation must be one of {', '.join(AGGREGATIONS)}, not {name!r}")
    return _BUILDERS[name](dim, options or TemporalOptions())


def export_aggregator(aggregator: Aggregator, path: Path, *, dim: int, max_frames: int = 12) -> None:
    """Write the video side as ONNX: "frames" float32 [B, T, dim], "mask" bool [B, T] -> "vectors" float32 [B, D'].

    B and T (up to max_frames) are free. Leaves the module in eval mode. Needs the packages onnx and onnxscript.
    """
    assert isinstance(aggregator, nn.Module)
    clips, time = torch.export.Dim("clips"), torch.export.Dim("time", max=max_frames)
    torch.onnx.export(
        aggregator.eval(),
        (torch.zeros(2, 3, dim), torch.ones(2, 3, dtype=torch.bool)),
        path,
        input_names=["frames", "mask"],
        output_names=["vectors"],
        dynamic_shapes=({0: clips, 1: time}, {0: clips, 1: time}),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
