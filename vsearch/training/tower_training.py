"""Training of the towers: what a stage trains, its losses, and the stage itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.training.backbone import CUT
from vsearch.training.batches import Batch, SetData, TextSource, caption_ids, draw_batch
from vsearch.training.encode import encode_captions, frame_features, pool_grid
from vsearch.training.lite_blocks import is_slow
from vsearch.training.loop import (
    LoopPlan,
    copy_weights,
    parameter_groups,
    restore_weights,
    run_loop,
    trained_parameters,
)
from vsearch.training.losses import itc, positive_targets, soft_targets
from vsearch.training.precision import PLAIN, Precision, has_fast_bf16
from vsearch.training.recipe import StageRecipe
from vsearch.training.towers import INPUTS, Towers

CHECKPOINT_EVERY = 50
"""Steps."""


def paired_loss(towers: Towers, recipe: StageRecipe, rng: np.random.Generator, source: TextSource) -> Tensor:
    """ITC of two captions of each of `recipe.pairs` videos."""
    chosen = rng.permutation(len(source.paired))[: recipe.pairs]
    both = [rng.choice(len(source.paired[video]), 2, replace=False) for video in chosen]
    ids = [source.paired[video][pair[side]] for side in (0, 1) for video, pair in zip(chosen, both, strict=True)]
    vectors = encode_captions(towers, ids).float()
    one, other = vectors[: len(chosen)], vectors[len(chosen) :]
    targets = torch.eye(len(chosen), device=one.device) * 0.9 + 0.1 / len(chosen)  # captions that fit others are common
    return itc(one, other, targets, towers.log_scale.exp().clamp(max=100))


def step_loss(
    towers: Towers, data: SetData, recipe: StageRecipe, rng: np.random.Generator, source: TextSource | None = None
) -> Tensor:
    """The loss of one batch, drawn from one set."""
    finished = data.caption_vectors is not None and not recipe.text_rate
    batch = draw_batch(data, recipe, rng, mixing=bool(recipe.mix) and not towers.tuned_text and not finished)
    first, second = (data.sentences[torch.from_numpy(batch.captions[:, i])].float() for i in (0, 1))
    mixed = F.normalize(batch.mixture * first + (1 - batch.mixture) * second, dim=-1).to(towers.log_scale.device)
    if finished and data.caption_vectors is not None:
        text = data.caption_vectors[torch.from_numpy(batch.captions[:, 0])].float().to(mixed.device)
    elif towers.tuned_text:
        text = encode_captions(towers, caption_ids(data, batch, recipe, rng, source)).float()
    else:
        text = towers.text.embed(mixed)
    features = frame_features(towers, data, batch)
    frames = towers.picture.each(features) if recipe.each else [towers.picture.embed(features)]
    targets = positive_targets(batch.labels).to(mixed.device)
    targets = soft_targets(targets, mixed, recipe.soft_share, recipe.soft_temperature)
    scale = towers.log_scale.exp().clamp(max=100)
    loss = torch.stack([itc(text, pool_grid(one, batch), targets, scale) for one in frames]).mean()
    if recipe.classes and towers.tuned_picture:
        loss = loss + recipe.classes * _class_drift(towers, data, batch, features)
    return loss


def _class_drift(towers: Towers, data: SetData, batch: Batch, features: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the ImageNet posterior of tuned features from that of the cached ones."""
    valid = batch.mask.bool().numpy()
    cached = torch.from_numpy(data.cache.features[batch.places[valid], batch.views[valid]]).float().to(features.device)
    with torch.no_grad():
        before = towers.picture.classes(cached)
    return F.kl_div(towers.picture.classes(features).clamp_min(1e-6).log(), before, reduction="batchmean")


def stage_groups(towers: Towers, recipe: StageRecipe, *, locked: bool = False) -> list[dict[str, Any]]:
    """Optimiser groups of a stage; what the recipe does not train is frozen.

    locked: the whole picture tower, its head included, is frozen (locked-image tuning, LiT, Zhai et al. 2022).
    """
    text_head = recipe.head_rate if recipe.text_head_rate is None else recipe.text_head_rate
    rates = {"picture.head": recipe.head_rate, "text.head": text_head, "log_scale": recipe.head_rate}
    rates |= {"picture.others": recipe.head_rate if recipe.each else 0.0}
    rates |= {"text.encoder": recipe.text_rate, "picture.tail": recipe.tail_rate or recipe.whole_rate}
    rates |= {"picture.other": recipe.whole_rate}

    def rate(name: str, _: Any) -> float:
        locked_picture = locked and name.startswith("picture.")
        if locked_picture or name.startswith(("text.encoder.words", "text.encoder.positions")) or is_slow(name):
            return 0.0
        if _below_cut(name):
            return recipe.whole_rate
        return next(rate for part, rate in rates.items() if name.startswith(f"{part}.") or name == part)

    def decay(name: str) -> float:
        return recipe.text_decay if name.startswith("text.encoder") else recipe.weight_decay

    return parameter_groups(towers, rate, decay)


def _below_cut(name: str) -> bool:
    """Whether a parameter belongs to the layers before Lite2's last blocks."""
    parts = name.split(".")
    return parts[:3] == ["picture", "tail", "stem"] or (
        parts[:3] == ["picture", "tail", "blocks"] and int(parts[3]) < CUT
    )


def _set_mode(towers: Towers, recipe: StageRecipe) -> None:
    """Dropout on; batch normalisation keeps its ImageNet statistics, which a small batch would spoil."""
    towers.train()
    towers.picture.tail.eval()
    if towers.picture.other is not None:
        towers.picture.other.eval()
    towers.text.encoder.train(bool(recipe.text_rate))
    towers.text.head.train(any(p.requires_grad for p in towers.text.head.parameters()))


def one_cycle(step: int, recipe: StageRecipe) -> float:
    """Factor of the learning rates: a cosine from 1/25 up to 1, then a cosine down to 0."""
    rise = max(1.0, recipe.warm_up * recipe.steps)
    if step < rise:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * step / rise)) / 2
    return (1 + math.cos(math.pi * (step - rise) / max(1.0, recipe.steps - rise))) / 2


def set_shares(names: Sequence[str], recipe: StageRecipe) -> Any:
    """Probability of drawing a batch from each of these sets [S]."""
    shares = np.array([recipe.weights.get(name, 0.0) for name in names])
    return shares / shares.sum()


def train_stage(
    towers: Towers,
    sets: Sequence[SetData],
    recipe: StageRecipe,
    *,
    precision: Precision = PLAIN,
    locked: bool = False,
    source: TextSource | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Train in place; if the recipe averages, the towers end with the averaged weights.

    source: captions to rewrite and to pair, for recipes that tune the sentence encoder. checkpoint: see `run_loop`.
    locked: see `stage_groups`.
    """
    if recipe.fresh:
        torch.manual_seed(recipe.seed)
        towers.picture.renew(recipe.fresh)
    towers.tuned_text = towers.tuned_text or bool(recipe.text_rate)
    towers.tuned_whole = towers.tuned_whole or bool(recipe.whole_rate and not locked)
    towers.tuned_picture = towers.tuned_picture or towers.tuned_whole or bool(recipe.tail_rate and not locked)
    if precision == PLAIN and (towers.tuned_text or towers.tuned_picture) and has_fast_bf16():
        precision = Precision("cpu", torch.bfloat16)
    towers.to(precision.device)
    groups = stage_groups(towers, recipe, locked=locked)
    trained = trained_parameters(towers)
    averages = copy_weights(trained) if recipe.ema else {}
    start = copy_weights(trained) if recipe.blend < 1 else {}
    shares = set_shares([data.pictures.name for data in sets], recipe)

    def loss_of(step: int, rng: np.random.Generator) -> Tensor:
        data = sets[int(rng.choice(len(sets), p=shares))]
        with precision.autocast():
            loss = step_loss(towers, data, recipe, rng, source)
            if towers.tuned_text and recipe.paired and source is not None and source.paired and step % 2 == 0:
                loss = loss + recipe.paired * paired_loss(towers, recipe, rng, source)
        return loss

    _set_mode(towers, recipe)
    result = run_loop(
        towers,
        groups,
        loss_of,
        LoopPlan(recipe.steps, recipe.seed, lambda step: one_cycle(step, recipe), CHECKPOINT_EVERY),
        precision=precision,
        average=(averages, recipe.ema),
        checkpoint=checkpoint,
        run_id=repr((recipe, locked)),
        progress=lambda step, loss, _: progress(step, loss),
    )
    if result.interrupted:
        raise KeyboardInterrupt
    restore_weights({name: trained[name] for name in averages}, averages)
    with torch.no_grad():
        for name, weights in start.items():
            trained[name].lerp_(weights, 1 - recipe.blend)
    towers.eval()


def train_extra_head(towers: Towers, sets: Sequence[SetData], recipe: StageRecipe, **options: Any) -> None:
    """Train one more picture head, independently of the others, and add it; options as of `train_stage`."""
    device = towers.log_scale.device
    torch.manual_seed(recipe.seed)
    alone = Towers(copy.deepcopy(towers.picture), towers.text)
    alone.picture.others = nn.ModuleList()
    alone.picture.head = towers.picture.head.fresh()
    alone.picture.conse = recipe.conse
    alone.picture.anchor(torch.zeros_like(towers.picture.anchors))
    alone.tuned_text, alone.tuned_picture = towers.tuned_text, towers.tuned_picture
    alone.tuned_whole = towers.tuned_whole
    train_stage(alone.to(device), sets, recipe, **options)
    with torch.no_grad():  # the product scales the ConSE vector by 1, not by `conse`
        for layer in (alone.picture.head.linear, alone.picture.head.hidden):
            layer.weight[:, INPUTS:] *= recipe.conse
    towers.picture.others.append(alone.picture.head)
    towers.eval()
