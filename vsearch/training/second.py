"""The second act: a temporal encoder and a matching head on towers that have been trained (see train.py).

The sentence encoder and the picture backbone stay as they are, so that word tokens and picture features come from a
cache; the towers' heads stay or are tuned lightly. Losses: ITC (with a momentum twin and a queue where asked), ITM on
hard negatives, masked-frame modelling. Each is a switch of the recipe.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.models.itm import ItmHead, ItmOptions
from vsearch.models.temporal_encoder import AGGREGATIONS, Aggregator, Clip2Video, TemporalOptions, build_aggregator
from vsearch.training.batches import Batch, SetData, draw_batch
from vsearch.training.heads import DIM
from vsearch.training.losses import itc, positive_targets, soft_targets
from vsearch.training.masked import FrameGuess
from vsearch.training.matching import ItmLoss, matching_loss
from vsearch.training.minilm import WIDTH, mean_of_words
from vsearch.training.momentum import Entries, Queue, Twin, queue_itc
from vsearch.training.precision import PLAIN, Precision
from vsearch.training.recipe import WEIGHTS, Recipe
from vsearch.training.train import Towers
from vsearch.training.words import WordTokens

MAX_FRAMES = 12
UNTRAINED = ("single", "mean", "kmeans")
"""Aggregations with nothing to learn."""
GUESSING = ("seqtransf", "tdb", "clip2video")
"""Those with a transformer over frames, which masked-frame modelling trains."""


@dataclass(frozen=True, slots=True)
class SecondRecipe:
    """What is trained on top, from which losses. The defaults train a matching head alone."""

    base: Recipe = field(
        default_factory=lambda: Recipe(
            steps=600, batch=256, head_rate=0.0, weight_decay=0.05, warm_up=0.1, mix=0, views=2, weights=dict(WEIGHTS)
        )
    )
    """Steps, batches and rates; `head_rate` is that of the towers' heads, `text_rate` and `tail_rate` must be 0."""
    rate: float = 1e-3
    """Of everything new."""
    temporal: str = "mean"
    """One of models.temporal.AGGREGATIONS; kmeans and single can only be measured."""
    temporal_width: int = 128
    temporal_layers: int = 1
    center_weight: float = 0.5
    """Of the global vector, where TAB has one beside it: CLIP2Video's w."""
    queue: int = 0
    """Pairs that each set's queue holds; 0 is ITC within the batch, without a twin."""
    momentum: float = 0.995
    distilled: float = 0.4
    """Share of the twin's softmax in the target."""
    itm: float = 1.0
    """Weight of the matching loss; 0 trains no head."""
    itm_loss: ItmLoss = "ranking"
    itm_options: ItmOptions = field(default_factory=ItmOptions)
    negatives: int = 8
    """Hard negatives a side."""
    noisy: bool = True
    """The towers' dropout stays on while the matching head trains, so that it meets pairs as uncertain as new ones."""
    mfm: float = 0.0
    """Weight of masked-frame modelling."""
    patience: int = 0
    """Checks without gain before the run stops; 0 runs to the end."""
    check_every: int = 100

    def __post_init__(self) -> None:
        if self.base.text_rate or self.base.tail_rate:
            raise ValueError("the second act leaves backbones alone: text_rate and tail_rate must be 0")
        if self.temporal not in AGGREGATIONS:
            raise ValueError(f"temporal must be one of {', '.join(AGGREGATIONS)}: {self.temporal = }")
        if self.mfm and self.temporal not in GUESSING:
            raise ValueError(f"masked-frame modelling trains a transformer over frames: {self.temporal} has none")
        if self.temporal == "kmeans" and self.base.head_rate:
            raise ValueError("kmeans is no inner product of two vectors: ITC cannot train the heads through it")

    @property
    def trains_itc(self) -> bool:
        """Whether anything that ITC reaches is trained."""
        return bool(self.base.head_rate) or self.temporal not in UNTRAINED


@dataclass(frozen=True, slots=True, eq=False)
class StageSet:
    """A set with the word tokens of its captions."""

    data: SetData
    words: WordTokens


class Matching(nn.Module):
    """Everything between cached inputs and vectors: the towers' heads and the aggregation."""

    def __init__(self, towers: Towers, recipe: SecondRecipe) -> None:
        super().__init__()
        self.towers = towers
        options = TemporalOptions(
            MAX_FRAMES,
            recipe.temporal_layers,
            heads=4,
            width=recipe.temporal_width,
            center_weight=recipe.center_weight,
        )
        self.aggregator: Aggregator = build_aggregator(recipe.temporal, DIM, options)

    def text(self, words: Tensor, mask: Tensor) -> Tensor:
        """Word tokens [B, L, 384] -> queries [B, D''], unit length: 512 long, twice that with TAB."""
        return read_query(self.towers.text.embed, self.aggregator, words, mask)

    def frames(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features of the frames that are there [N, 1280], mask bool [B, T] with N set -> [B, T, 512]."""
        return spread_frames(self.towers.picture.embed(features), mask)


def read_query(embed: Any, aggregator: Aggregator, words: Tensor, mask: Tensor) -> Tensor:
    """Word tokens [B, L, 384], bool or int [B, L] -> what the aggregation compares clips with [B, D''].

    embed: sentences [..., 384] to vectors [..., 512]. TAB aligns frames with words: each goes the sentence's way.
    """
    sentence = embed(F.normalize(mean_of_words(words, mask), dim=-1))
    if not isinstance(aggregator, Clip2Video) or aggregator.tab is None:
        return aggregator.encode_query(sentence)
    return aggregator.encode_query(sentence, embed(F.normalize(words, dim=-1)), mask.bool())


def spread_frames(embedded: Tensor, mask: Tensor) -> Tensor:
    """Frames that are there [N, 512], mask bool [B, T] with N set -> float32 [B, T, 512], zeros elsewhere."""
    table = torch.zeros(*mask.shape, embedded.shape[-1], device=embedded.device)
    return table.masked_scatter(mask[..., None], embedded.float())


class Second(nn.Module):
    """All that the second act trains, and the state that its losses keep."""

    def __init__(self, towers: Towers, recipe: SecondRecipe, sets: Sequence[str]) -> None:
        super().__init__()
        towers.requires_grad_(False)
        self.recipe = recipe
        self.main = Matching(towers, recipe)
        self.head = ItmHead(WIDTH, DIM, recipe.itm_options) if recipe.itm else None
        self.guess = FrameGuess(recipe.temporal_width, DIM) if recipe.mfm else None
        self.twin: Twin | None = None
        self.queues: Any = nn.ModuleDict()
        if recipe.queue:
            self.twin = Twin(_Heads(self.main))
            self.queues.update({name: Queue(recipe.queue, self.main.aggregator.out_dim, WIDTH) for name in sets})

    def trained(self) -> list[tuple[str, Any]]:
        """Parameters that learn, by name."""
        return [(name, p) for name, p in self.named_parameters() if p.requires_grad]

    def groups(self) -> list[dict[str, Any]]:
        """Parameters with their rates; sets what is trained and what is frozen."""
        base = self.recipe.base
        groups: dict[tuple[float, float], list[Any]] = {}
        for name, parameter in self.named_parameters():
            if name.startswith("twin."):
                continue
            rate = self.recipe.rate
            if name.startswith("main.towers."):
                headed = name.startswith(("main.towers.picture.head", "main.towers.text.head", "main.towers.log_scale"))
                rate = base.head_rate if headed else 0.0
            parameter.requires_grad_(bool(rate))
            if rate:
                decay = base.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
        return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold: all but the frozen towers."""
        frozen = {
            name for name, p in self.named_parameters() if not p.requires_grad and name.startswith("main.towers.")
        }
        buffers = {name for name, _ in self.named_buffers() if name.startswith("main.towers.")}
        return {name: value for name, value in self.state_dict().items() if name not in frozen | buffers}

    def follow(self) -> None:
        """The twin takes one step towards the trained weights."""
        assert self.twin is not None
        self.twin.follow(_Heads(self.main), self.recipe.momentum)

    def set_mode(self) -> None:
        """Dropout of the towers' heads where it is wanted; nothing else has any."""
        self.eval()
        if self.recipe.noisy or self.recipe.base.head_rate:
            self.main.towers.picture.head.train()
            self.main.towers.text.head.train()


class _Heads(nn.Module):
    """What a twin copies: the heads and the aggregation, without the backbones."""

    def __init__(self, main: Matching) -> None:
        super().__init__()
        self.picture, self.text, self.aggregator = main.towers.picture.head, main.towers.text.head, main.aggregator


def drawn(stage: StageSet, recipe: Recipe, rng: np.random.Generator) -> Batch:
    """A batch whose clips are of one view each: the difference of two crops is no motion."""
    batch = draw_batch(stage.data, recipe, rng, mixing=False)
    order = np.argsort(batch.places + (~batch.mask.bool().numpy()) * 10**9, axis=1)[:, :MAX_FRAMES]  # time order
    places = np.take_along_axis(batch.places, order, 1)
    views = np.repeat(batch.views[:, :1], places.shape[1], 1)
    mask = torch.gather(batch.mask, 1, torch.from_numpy(order))
    return replace(batch, places=places, views=views, mask=mask)


def step_loss(model: Second, stage: StageSet, rng: np.random.Generator, precision: Precision = PLAIN) -> Tensor:
    """The loss of one drawn batch of one set. The towers' heads and what is new run in the precision's numbers, inner
    products and losses in float32."""
    recipe, base, main = model.recipe, model.recipe.base, model.main
    batch = drawn(stage, base, rng)
    shown = batch.mask.bool().numpy()
    features = torch.from_numpy(stage.data.cache.features[batch.places[shown], batch.views[shown]]).float()
    judge = stage.data.sentences[torch.from_numpy(batch.captions[:, 0])].float()
    given = (batch.mask.bool(), features, *stage.words.take(batch.captions[:, 0]), judge)
    mask, features, words, word_mask, judge = (part.to(precision.device) for part in given)
    with precision.autocast():
        text = main.text(words, word_mask).float()
        frames = main.frames(features, mask)
        video = main.aggregator(frames, mask).float()
    scale = main.towers.log_scale.exp().clamp(max=100)
    positives = positive_targets(batch.labels).to(precision.device)
    loss = torch.zeros((), device=precision.device)
    if recipe.trains_itc and model.twin is None:
        targets = soft_targets(positives, judge, base.soft_share, base.soft_temperature)
        loss = loss + itc(text, video, targets, scale)
    elif recipe.trains_itc:
        slow = slow_entries(model, batch, features, words, word_mask, judge)
        queue = model.queues[stage.data.pictures.name]
        loss = loss + queue_itc(
            text,
            video,
            slow,
            queue.entries(),
            scale,
            distilled=recipe.distilled,
            soft_share=base.soft_share,
            soft_temperature=base.soft_temperature,
        )
        queue.push(slow)
    if model.head is not None:
        similarity = main.aggregator.score(text, video)
        with precision.autocast():
            matched = matching_loss(
                model.head,
                words,
                word_mask,
                frames.detach(),  # the head must not bend the vectors that are stored
                mask,
                similarity,
                positives > 0,
                scale,
                kind=recipe.itm_loss,
                negatives=recipe.negatives,
            )
        loss = loss + recipe.itm * matched
    if model.guess is not None:
        assert isinstance(main.aggregator, nn.Module)
        loss = loss + recipe.mfm * model.guess(main.aggregator, frames, mask)
    return loss


@torch.no_grad()
def slow_entries(
    model: Second, batch: Batch, features: Tensor, words: Tensor, word_mask: Tensor, judge: Tensor
) -> Entries:
    """The batch as the twin sees it, without dropout."""
    assert model.twin is not None
    heads, towers, mask = model.twin.module, model.main.towers, batch.mask.bool().to(features.device)
    heads.eval()

    def embed(sentences: Tensor) -> Tensor:
        return F.normalize(heads.text(sentences * WIDTH**0.5), dim=-1)

    text = read_query(embed, heads.aggregator, words, word_mask)
    seen = towers.picture.inputs(features, towers.picture.classes(features))
    frames = spread_frames(F.normalize(heads.picture(seen), dim=-1), mask)
    numbers = torch.from_numpy(batch.items), batch.labels
    items, labels = (part.to(features.device) for part in numbers)
    return Entries(text, heads.aggregator(frames, mask), judge, items, labels)
