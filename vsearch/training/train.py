"""Training: one set a batch, heads first, then as much of the towers as the recipe says.

A step is a function of (seed, step number) alone: its batch, its augmentation and its dropout are drawn from generators
seeded with both. So a run that was interrupted and resumed is the run that was not.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

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

from vsearch.training.backbone import CUT, FEATURES
from vsearch.training.batches import Batch, SetData, Writing, caption_ids, draw_batch
from vsearch.training.blocks import features_from, is_slow
from vsearch.training.heads import INPUTS, PictureTower, TextTower, pool_frames
from vsearch.training.losses import itc, positive_targets, soft_targets
from vsearch.training.minilm import pad
from vsearch.training.precision import PLAIN, Precision, Stepper, has_fast_bf16
from vsearch.training.recipe import Recipe, plain


class Towers(nn.Module):
    """Both towers and the learned temperature."""

    def __init__(self, picture: PictureTower, text: TextTower) -> None:
        super().__init__()
        self.picture, self.text = picture, text
        self.tuned_picture = False
        """The last blocks were trained: the cached features no longer speak for them, the cached maps do."""
        self.tuned_whole = False
        """All of both networks was trained: only the pixels do."""
        self.tuned_text = False
        """The sentence encoder was trained: the frozen sentence vectors no longer speak for it."""
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))


def frame_features(towers: Towers, data: SetData, batch: Batch) -> Tensor:
    """[F, 2560] of a batch's valid frames: of frozen networks the cached output; tuned last blocks run on the cached
    maps, networks that are tuned as a whole on the pixels."""
    valid = batch.mask.bool().numpy()
    device = towers.log_scale.device
    places, views = batch.places[valid], batch.views[valid]
    if towers.tuned_whole and not data.settled:
        if data.pixels is None:
            raise ValueError(f"set {data.pictures.name} comes without its pictures")
        shown = np.stack([data.pixels(place, view) for place, view in zip(places, views, strict=True)])
        return towers.picture.look(torch.from_numpy(shown).to(device).permute(0, 3, 1, 2).float()).float()
    features = torch.from_numpy(data.cache.features[places, views]).float().to(device)
    if not towers.tuned_picture or data.settled:
        return features
    maps = np.stack([data.cache.maps[view][place] for place, view in zip(places, views, strict=True)])
    main = features_from(towers.picture.tail, torch.from_numpy(maps).float().to(device))
    return torch.cat([main, features[:, FEATURES:]], dim=-1)


def pool_batch(frames: Tensor, batch: Batch) -> Tensor:
    """Vectors of a batch's valid frames [F, 512] -> one an item [B, 512]."""
    valid = batch.mask.bool()
    table = torch.zeros(*valid.shape, frames.shape[-1], device=frames.device)
    table[valid.to(frames.device)] = frames.float()
    return pool_frames(table, batch.mask.to(frames.device))


def video_vectors(towers: Towers, data: SetData, batch: Batch) -> Tensor:
    """[B, 512]."""
    return pool_batch(towers.picture.embed(frame_features(towers, data, batch)), batch)


def text_vectors(towers: Towers, ids: Sequence[Sequence[int]], chunk: int = 64) -> Tensor:
    """Word pieces to [Q, 512], in chunks of like length: padded to the longest of all, most work were padding."""
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    parts = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    device = towers.log_scale.device
    padded = (pad([ids[place] for place in part]) for part in parts)
    vectors = torch.cat([towers.text(pieces.to(device), mask.to(device)) for pieces, mask in padded])
    return vectors[torch.tensor(order, device=device).argsort()]


def paired_loss(towers: Towers, recipe: Recipe, rng: np.random.Generator, writing: Writing) -> Tensor:
    """Two captions of each of some videos, against those of the others."""
    chosen = rng.permutation(len(writing.paired))[: recipe.pairs]
    both = [rng.choice(len(writing.paired[video]), 2, replace=False) for video in chosen]
    ids = [writing.paired[video][pair[side]] for side in (0, 1) for video, pair in zip(chosen, both, strict=True)]
    vectors = text_vectors(towers, ids).float()
    one, other = vectors[: len(chosen)], vectors[len(chosen) :]
    targets = torch.eye(len(chosen), device=one.device) * 0.9 + 0.1 / len(chosen)  # captions that fit others are common
    return itc(one, other, targets, towers.log_scale.exp().clamp(max=100))


def step_loss(
    towers: Towers, data: SetData, recipe: Recipe, rng: np.random.Generator, writing: Writing | None = None
) -> Tensor:
    """The loss of one drawn batch of one set."""
    finished = data.written is not None and not recipe.text_rate
    batch = draw_batch(data, recipe, rng, mixing=bool(recipe.mix) and not towers.tuned_text and not finished)
    first, second = (data.sentences[torch.from_numpy(batch.captions[:, i])].float() for i in (0, 1))
    mixed = F.normalize(batch.mixture * first + (1 - batch.mixture) * second, dim=-1).to(towers.log_scale.device)
    if finished and data.written is not None:
        text = data.written[torch.from_numpy(batch.captions[:, 0])].float().to(mixed.device)
    elif towers.tuned_text:
        text = text_vectors(towers, caption_ids(data, batch, recipe, rng, writing)).float()
    else:
        text = towers.text.embed(mixed)
    features = frame_features(towers, data, batch)
    frames = towers.picture.each(features) if recipe.each else [towers.picture.embed(features)]
    targets = positive_targets(batch.labels).to(mixed.device)
    targets = soft_targets(targets, mixed, recipe.soft_share, recipe.soft_temperature)
    scale = towers.log_scale.exp().clamp(max=100)
    loss = torch.stack([itc(text, pool_batch(one, batch), targets, scale) for one in frames]).mean()
    if recipe.classes and towers.tuned_picture:
        loss = loss + recipe.classes * _forgotten(towers, data, batch, features)
    return loss


def _forgotten(towers: Towers, data: SetData, batch: Batch, features: Tensor) -> Tensor:
    """How far the ImageNet posterior of tuned features has moved from that of the cached ones (Kullback-Leibler)."""
    valid = batch.mask.bool().numpy()
    before = torch.from_numpy(data.cache.features[batch.places[valid], batch.views[valid]]).float().to(features.device)
    with torch.no_grad():
        told = towers.picture.classes(before)
    return F.kl_div(towers.picture.classes(features).clamp_min(1e-6).log(), told, reduction="batchmean")


def parameter_groups(towers: Towers, recipe: Recipe, *, locked: bool = False) -> list[dict[str, Any]]:
    """What is trained, at which rate; the rest is frozen. Biases, norms and the temperature do not decay.

    locked: nothing of the picture tower is trained, its head neither (locked-image tuning, LiT, Zhai et al. 2022).
    """
    text_head = recipe.head_rate if recipe.text_head_rate is None else recipe.text_head_rate
    rates = {"picture.head": recipe.head_rate, "text.head": text_head, "log_scale": recipe.head_rate}
    rates |= {"picture.others": recipe.head_rate if recipe.each else 0.0}
    rates |= {"text.encoder": recipe.text_rate, "picture.tail": recipe.tail_rate or recipe.whole_rate}
    rates |= {"picture.other": recipe.whole_rate}
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in towers.named_parameters():
        rate = next(rate for prefix, rate in rates.items() if name.startswith(f"{prefix}.") or name == prefix)
        rate = recipe.whole_rate if _below_cut(name) else rate
        locked_picture = locked and name.startswith("picture.")
        frozen_words = name.startswith(("text.encoder.words", "text.encoder.positions"))
        parameter.requires_grad_(bool(rate) and not (locked_picture or frozen_words or is_slow(name)))
        if parameter.requires_grad:
            decay = recipe.text_decay if name.startswith("text.encoder") else recipe.weight_decay
            decay = decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def _below_cut(name: str) -> bool:
    """Whether a parameter belongs to what comes before Lite2's last blocks."""
    parts = name.split(".")
    return parts[:3] == ["picture", "tail", "stem"] or (
        parts[:3] == ["picture", "tail", "blocks"] and int(parts[3]) < CUT
    )


def _set_mode(towers: Towers, recipe: Recipe) -> None:
    """Dropout on; batch normalisation keeps its ImageNet statistics, which a small batch would spoil."""
    towers.train()
    towers.picture.tail.eval()
    if towers.picture.other is not None:
        towers.picture.other.eval()
    towers.text.encoder.train(bool(recipe.text_rate))
    towers.text.head.train(any(p.requires_grad for p in towers.text.head.parameters()))


def rate_factor(step: int, recipe: Recipe) -> float:
    """One-cycle: a cosine up from 1/25 to 1, then a cosine down to 0."""
    rise = max(1.0, recipe.warm_up * recipe.steps)
    if step < rise:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * step / rise)) / 2
    return (1 + math.cos(math.pi * (step - rise) / max(1.0, recipe.steps - rise))) / 2


def train(
    towers: Towers,
    sets: Sequence[SetData],
    recipe: Recipe,
    *,
    precision: Precision = PLAIN,
    locked: bool = False,
    writing: Writing | None = None,
    checkpoint: Path | None = None,
    save_every: int = 50,
    progress: Callable[[int, float], None] = lambda step, loss: None,
    stop_at: int | None = None,
) -> None:
    """Train in place; at the end (or at `stop_at`) the towers hold the averaged weights if the recipe averages.

    writing: for recipes that rewrite or pair captions. checkpoint: written every `save_every` steps and read back when
    it exists and is of the same recipe. locked: see parameter_groups.
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
    groups = parameter_groups(towers, recipe, locked=locked)
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    rates = [group["lr"] for group in groups]
    trained = [(n, p) for n, p in towers.named_parameters() if p.requires_grad]
    stepper = Stepper(optimiser, [p for _, p in trained], precision)
    average = {name: p.detach().clone() for name, p in trained} if recipe.ema else {}
    begun = {name: p.detach().clone() for name, p in trained} if recipe.blend < 1 else {}
    chances = np.array([recipe.weights.get(data.pictures.name, 0.0) for data in sets])
    chances = chances / chances.sum()
    start = 0
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=precision.device)
        if {**plain(Recipe()), **state["recipe"]} == plain(recipe):
            towers.load_state_dict(state["towers"])
            if "stepper" in state:
                stepper.load_state_dict(state["stepper"])
            else:  # written before the loss could be scaled
                optimiser.load_state_dict(state["optimiser"])
            average, start = state["average"], state["step"]
            begun = state.get("begun", begun)
    _set_mode(towers, recipe)
    for step in range(start, min(recipe.steps, stop_at or recipe.steps)):
        rng = np.random.default_rng((recipe.seed, step))
        torch.manual_seed(int(rng.integers(2**31)))
        data = sets[int(rng.choice(len(sets), p=chances))]
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * rate_factor(step, recipe)
        with precision.autocast():
            loss = step_loss(towers, data, recipe, rng, writing)
            if towers.tuned_text and recipe.paired and writing is not None and writing.paired and step % 2 == 0:
                loss = loss + recipe.paired * paired_loss(towers, recipe, rng, writing)
        stepper.step(loss)
        decay = min(recipe.ema, (step + 1) / (step + 10))
        for name, parameter in trained if average else ():
            average[name].lerp_(parameter.detach(), 1 - decay)
        progress(step + 1, float(loss.detach()))
        if checkpoint is not None and ((step + 1) % save_every == 0 or step + 1 in (recipe.steps, stop_at)):
            state = {
                "recipe": plain(recipe),
                "towers": towers.state_dict(),
                "stepper": stepper.state_dict(),
                "average": average,
                "begun": begun,
                "step": step + 1,
            }
            partial = checkpoint.with_suffix(".part")
            torch.save(state, partial)
            partial.replace(checkpoint)
    if average:
        with torch.no_grad():
            for name, parameter in trained:
                parameter.copy_(average[name])
    with torch.no_grad():
        for name, parameter in trained if begun else ():
            parameter.lerp_(begun[name], 1 - recipe.blend)
    towers.eval()


def train_apart(towers: Towers, sets: Sequence[SetData], recipe: Recipe, **options: Any) -> None:
    """Train one more picture head by itself, in place; options as of `train`. Heads that start apart err apart."""
    device = towers.log_scale.device
    torch.manual_seed(recipe.seed)
    alone = Towers(copy.deepcopy(towers.picture), towers.text)
    alone.picture.others = nn.ModuleList()
    alone.picture.head = towers.picture.head.fresh()
    alone.picture.conse = recipe.conse
    alone.picture.anchor(torch.zeros_like(towers.picture.anchors))
    alone.tuned_text, alone.tuned_picture = towers.tuned_text, towers.tuned_picture
    alone.tuned_whole = towers.tuned_whole
    train(alone.to(device), sets, recipe, **options)
    with torch.no_grad():  # what it saw larger, it weighs more from now on
        for layer in (alone.picture.head.linear, alone.picture.head.hidden):
            layer.weight[:, INPUTS:] *= recipe.conse
    towers.picture.others.append(alone.picture.head)
    towers.eval()
