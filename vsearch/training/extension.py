"""A temporal encoder and a matching head on towers that have been trained, and the loss that trains them.

The sentence encoder and the picture backbones stay frozen, so that word tokens and picture features come from a cache;
the towers' heads are frozen or tuned lightly. ITC trains the temporal encoder and the heads, ITM with hard negatives
the matching head.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vsearch.models.itm import ItmHead, ItmOptions
from vsearch.models.temporal_encoder import AGGREGATIONS, Aggregator, TemporalOptions, build_aggregator
from vsearch.training.batches import Batch, SetData, draw_batch
from vsearch.training.encode import query_vectors
from vsearch.training.loop import parameter_groups
from vsearch.training.losses import itc, positive_targets, soft_targets
from vsearch.training.matching import ItmLoss, matching_loss
from vsearch.training.minilm import WIDTH
from vsearch.training.precision import PLAIN, Precision
from vsearch.training.recipe import StageRecipe
from vsearch.training.towers import DIM, Towers
from vsearch.training.word_tokens import WordTokens

MAX_FRAMES = 12
UNTRAINED = ("single", "mean", "kmeans")
"""Aggregations without parameters."""


@dataclass(frozen=True, slots=True)
class ExtensionRecipe:
    """What is trained on top of the towers, and how. The defaults train a matching head alone."""

    base: StageRecipe = field(
        default_factory=lambda: StageRecipe(
            steps=600, batch=256, head_rate=0.0, weight_decay=0.05, warm_up=0.1, mix=0, views=2
        )
    )
    """Steps, batches and rates; `head_rate` is that of the towers' heads, `text_rate` and `tail_rate` must be 0."""
    rate: float = 1e-3
    """Learning rate of the temporal encoder and the matching head."""
    temporal: str = "mean"
    """One of models.temporal.AGGREGATIONS; kmeans and single can only be measured."""
    temporal_width: int = 128
    itm: float = 1.0
    """Weight of the matching loss; 0 trains no matching head."""
    itm_loss: ItmLoss = "ranking"
    itm_options: ItmOptions = field(default_factory=ItmOptions)
    negatives: int = 8
    """Hard negatives of each text and of each video."""
    noisy: bool = True
    """Whether the towers' dropout stays on while the matching head trains, which makes known pairs as uncertain as new
    ones."""
    patience: int = 0
    """Checks without gain before the run stops; 0 runs to the end."""
    check_every: int = 100
    """Steps between checks."""

    def __post_init__(self) -> None:
        if self.base.text_rate or self.base.tail_rate:
            raise ValueError("an extension leaves backbones frozen: text_rate and tail_rate must be 0")
        if self.temporal not in AGGREGATIONS:
            raise ValueError(f"temporal must be one of {', '.join(AGGREGATIONS)}: {self.temporal = }")
        if self.temporal == "kmeans" and self.base.head_rate:
            raise ValueError("kmeans is no inner product of two vectors: ITC cannot train the heads through it")

    @property
    def trains_itc(self) -> bool:
        """Whether ITC reaches anything that is trained."""
        return bool(self.base.head_rate) or self.temporal not in UNTRAINED


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedSet:
    """A set with the word tokens of its captions."""

    data: SetData
    words: WordTokens


class ExtendedModel(nn.Module):
    """Towers, the aggregation of frames, and a matching head if the recipe has one."""

    def __init__(self, towers: Towers, recipe: ExtensionRecipe) -> None:
        super().__init__()
        towers.requires_grad_(False)
        self.recipe = recipe
        self.towers = towers
        options = TemporalOptions(MAX_FRAMES, layers=1, heads=4, width=recipe.temporal_width, center_weight=0.5)
        self.aggregator: Aggregator = build_aggregator(recipe.temporal, DIM, options)
        self.head = ItmHead(WIDTH, DIM, recipe.itm_options) if recipe.itm else None

    def query_vectors(self, words: Tensor, mask: Tensor) -> Tensor:
        """Word tokens [B, L, 384], bool [B, L] -> unit query embeddings [B, D]: D is 512, with TAB 1024."""
        return query_vectors(self.towers.text.embed, self.aggregator, words, mask)

    def frame_vectors(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features of the valid frames [N, 2560], mask bool [B, T] with N set -> [B, T, 512], zeros elsewhere."""
        embedded = self.towers.picture.embed(features)
        table = torch.zeros(*mask.shape, embedded.shape[-1], device=embedded.device)
        return table.masked_scatter(mask[..., None], embedded.float())

    def groups(self) -> list[dict[str, Any]]:
        """Optimiser groups of what the recipe trains; the rest is frozen."""
        base = self.recipe.base

        def rate(name: str, _: Any) -> float:
            if not name.startswith("towers."):
                return self.recipe.rate
            return base.head_rate if name.startswith(("towers.picture.head", "towers.text.head", "towers.log")) else 0.0

        return parameter_groups(self, rate, lambda name: base.weight_decay)

    def set_mode(self) -> None:
        """Training mode: dropout of the towers' heads where the recipe has it; nothing else has dropout."""
        self.eval()
        if self.recipe.noisy or self.recipe.base.head_rate:
            self.towers.picture.head.train()
            self.towers.text.head.train()


def draw_clips(tokenized: TokenizedSet, recipe: StageRecipe, rng: np.random.Generator) -> Batch:
    """A batch whose clips are in time order and of one view each: two crops would look like motion."""
    batch = draw_batch(tokenized.data, recipe, rng, mixing=False)
    order = np.argsort(batch.places + (~batch.mask.bool().numpy()) * 10**9, axis=1)[:, :MAX_FRAMES]
    places = np.take_along_axis(batch.places, order, 1)
    views = np.repeat(batch.views[:, :1], places.shape[1], 1)
    mask = torch.gather(batch.mask, 1, torch.from_numpy(order))
    return replace(batch, places=places, views=views, mask=mask)


def extension_loss(
    model: ExtendedModel, tokenized: TokenizedSet, rng: np.random.Generator, precision: Precision = PLAIN
) -> Tensor:
    """The loss of one batch of one set. Modules run in the precision's numbers, inner products and losses in
    float32."""
    recipe, base = model.recipe, model.recipe.base
    batch = draw_clips(tokenized, base, rng)
    valid = batch.mask.bool().numpy()
    features = torch.from_numpy(tokenized.data.cache.features[batch.places[valid], batch.views[valid]]).float()
    sentences = tokenized.data.sentences[torch.from_numpy(batch.captions[:, 0])].float()
    inputs = (batch.mask.bool(), features, *tokenized.words.take(batch.captions[:, 0]), sentences)
    mask, features, words, word_mask, sentences = (part.to(precision.device) for part in inputs)
    with precision.autocast():
        text = model.query_vectors(words, word_mask).float()
        frames = model.frame_vectors(features, mask)
        video = model.aggregator(frames, mask).float()
    scale = model.towers.log_scale.exp().clamp(max=100)
    positives = positive_targets(batch.labels).to(precision.device)
    loss = torch.zeros((), device=precision.device)
    if recipe.trains_itc:
        targets = soft_targets(positives, sentences, base.soft_share, base.soft_temperature)
        loss = loss + itc(text, video, targets, scale)
    if model.head is not None:
        similarity = model.aggregator.score(text, video)
        with precision.autocast():
            matched = matching_loss(
                model.head,
                (words, word_mask),
                (frames.detach(), mask),  # the matching head must not change the embeddings that are stored
                similarity,
                positives > 0,
                scale,
                kind=recipe.itm_loss,
                negatives=recipe.negatives,
            )
        loss = loss + recipe.itm * matched
    return loss
