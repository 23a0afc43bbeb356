"""Training: one set a batch, heads first, then as much of the towers as the recipe says.

A step is a function of (seed, step number) alone: its batch, its augmentation and its dropout are drawn from generators
seeded with both. So a run that was interrupted and resumed is the run that was not.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from vsearch.training.backbone import CUT, FEATURES
from vsearch.training.data import PictureSet
from vsearch.training.features import Cache
from vsearch.training.heads import INPUTS, PictureTower, TextTower, pool_frames
from vsearch.training.losses import itc, positive_targets, soft_targets
from vsearch.training.metrics import retrieval, top1
from vsearch.training.minilm import pad
from vsearch.training.precision import PLAIN, Precision, Stepper
from vsearch.training.typed import as_typed

WEIGHTS = {
    "msrvtt": 0.62,
    "flickr8k": 0.14,
    "coco": 0.05,
    "youcook2": 0.03,
    "actions": 0.04,
    "events": 0.04,
    "sports": 0.04,
    "places": 0.04,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One stage of training. Learning rates of 0 leave a part frozen."""

    steps: int = 480
    batch: int = 512
    head_rate: float = 7e-4
    text_head_rate: float | None = None
    """Of the text tower's head; None: that of the heads."""
    text_rate: float = 0.0
    """Of the sentence encoder's layers; its word table stays as it is, so that rare words keep their meaning."""
    tail_rate: float = 0.0
    """Of the picture backbone's last blocks."""
    weight_decay: float = 0.1
    text_decay: float = 0.01
    """The same for the sentence encoder, which has seen far more than these sets."""
    warm_up: float = 0.3
    """Share of the steps in which the rate rises (one-cycle)."""
    soft_share: float = 0.3
    soft_temperature: float = 0.05
    mix: float = 0.4
    """Beta parameter of the mixture of two captions of one item; 0 mixes none. Frozen sentences only."""
    keep_frame: float = 0.7
    views: int = 4
    """Views of the cache that training draws from."""
    typed: float = 0.0
    """Share of captions that are rewritten the way people type queries. Tuned sentence encoders only."""
    paired: float = 0.0
    """Weight of the loss that brings two captions of one video together, every second step: it also learns from videos
    whose frames are not there. Tuned sentence encoders only."""
    pairs: int = 128
    """Videos of which that loss takes two captions each."""
    ema: float = 0.0
    """Decay of the averaged weights that evaluation and export use; 0 averages none."""
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    blend: float = 1.0
    """Share of this stage's weights in what it leaves behind; the rest are those that it began with (a model soup,
    Wortsman et al. 2022)."""
    conse: float = 1.0
    """How much more a head that is trained apart leans on ImageNet's classes."""
    apart: bool = False
    """A new picture head is trained, against everything else as it is, and joins the others."""
    seed: int = 1
    """Stages of one run need different ones, or they see the same batches."""


def describe(recipe: Recipe) -> str:
    """One paragraph that says what a stage did."""
    rates = (("heads", recipe.head_rate), ("sentence encoder", recipe.text_rate), ("last blocks", recipe.tail_rate))
    shares = ", ".join(f"{name} {share:.0%}" for name, share in recipe.weights.items())
    return (
        f"{recipe.steps} batches of up to {recipe.batch} items, one set a batch ({shares}); AdamW, one-cycle, "
        f"{', '.join(f'{part} {rate:g}' for part, rate in rates if rate)}, weight decay {recipe.weight_decay:g}; soft "
        f"targets {recipe.soft_share:g} at temperature {recipe.soft_temperature:g}; "
        f"{f'captions mixed by Beta({recipe.mix:g}); ' if recipe.mix and not recipe.text_rate else ''}"
        f"{f'{recipe.typed:.0%} of the captions as people type; ' if recipe.typed and recipe.text_rate else ''}"
        f"{f'pairs of captions {recipe.paired:g} x {recipe.pairs}; ' if recipe.paired and recipe.text_rate else ''}"
        f"{f'weights averaged by {recipe.ema:g}; ' if recipe.ema else ''}"
        f"{f'{recipe.blend:.0%} of them blended with those before; ' if recipe.blend < 1 else ''}"
        f"{'one more picture head, by itself; ' if recipe.apart else ''}"
        f"frames kept {recipe.keep_frame:.0%}, up to {recipe.views} views; seed {recipe.seed}."
    )


@dataclass(frozen=True, slots=True, eq=False)
class SetData:
    """A set with everything that a step needs of it."""

    pictures: PictureSet
    cache: Cache
    sentences: Tensor
    """[C, 384] float16: frozen sentence vectors of all captions, item by item."""
    first: NDArray[np.int64]
    """[items + 1]: where each item's captions start in `sentences` and `ids`."""
    ids: Sequence[Sequence[int]]
    """Word pieces of all captions."""


class Towers(nn.Module):
    """Both towers and the learned temperature."""

    def __init__(self, picture: PictureTower, text: TextTower) -> None:
        super().__init__()
        self.picture, self.text = picture, text
        self.tuned_picture = False
        """The last blocks were trained: the cached features no longer speak for them, the cached maps do."""
        self.tuned_text = False
        """The sentence encoder was trained: the frozen sentence vectors no longer speak for it."""
        self.log_scale = nn.Parameter(torch.tensor(math.log(20.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B items of one set, drawn."""

    items: NDArray[np.int64]
    places: NDArray[np.int64]
    """[B, T] pictures, padded with the first."""
    views: NDArray[np.int64]
    mask: Tensor
    """[B, T]."""
    captions: NDArray[np.int64]
    """[B, 2] rows of `SetData.sentences`."""
    mixture: Tensor
    """[B, 1]: weight of the first caption."""
    labels: Tensor


def draw_batch(data: SetData, recipe: Recipe, rng: np.random.Generator, *, mixing: bool) -> Batch:
    """Items without repetition; of each, two captions and a random part of its frames in random views."""
    items = data.pictures.items
    chosen = np.sort(rng.permutation(len(items))[: recipe.batch])
    longest = max(len(items[i].pictures) for i in chosen)
    places = np.zeros((len(chosen), longest), np.int64)
    mask = np.zeros((len(chosen), longest), np.float32)
    captions = np.zeros((len(chosen), 2), np.int64)
    for row, index in enumerate(chosen):
        own = np.array(items[index].pictures)
        own = own[data.cache.readable[own]] if data.cache.readable[own].any() else own
        kept = own[rng.random(len(own)) < recipe.keep_frame]
        kept = kept if len(kept) else rng.choice(own, 1)
        places[row, : len(kept)], mask[row, : len(kept)] = kept, 1
        count = len(items[index].captions)
        captions[row] = data.first[index] + rng.integers(0, count, 2)
    views = rng.integers(0, min(recipe.views, data.cache.features.shape[1]), places.shape)
    mixture = rng.beta(recipe.mix, recipe.mix, (len(chosen), 1)) if mixing else np.ones((len(chosen), 1))
    labels = torch.tensor([items[i].label for i in chosen])
    return Batch(chosen, places, views, torch.from_numpy(mask), captions, torch.from_numpy(mixture).float(), labels)


def video_vectors(towers: Towers, data: SetData, batch: Batch) -> Tensor:
    """[B, 512]. Tuned last blocks run on the cached maps; of frozen ones the cached output is used."""
    valid = batch.mask.bool().numpy()
    device = towers.log_scale.device
    places, views = batch.places[valid], batch.views[valid]
    if towers.tuned_picture:
        maps = np.stack([data.cache.maps[view][place] for place, view in zip(places, views, strict=True)])
        others = data.cache.features[places, views][:, FEATURES:]
        frames = towers.picture(torch.from_numpy(maps).float().to(device), torch.from_numpy(others).float().to(device))
    else:
        frames = towers.picture.embed(torch.from_numpy(data.cache.features[places, views]).float().to(device))
    table = torch.zeros(*valid.shape, frames.shape[-1], device=device)
    table[torch.from_numpy(valid).to(device)] = frames.float()
    return pool_frames(table, batch.mask.to(device))


def text_vectors(towers: Towers, ids: Sequence[Sequence[int]], chunk: int = 64) -> Tensor:
    """Word pieces to [Q, 512], in chunks of like length: padded to the longest of all, most work were padding."""
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    parts = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    device = towers.log_scale.device
    padded = (pad([ids[place] for place in part]) for part in parts)
    vectors = torch.cat([towers.text(pieces.to(device), mask.to(device)) for pieces, mask in padded])
    return vectors[torch.tensor(order, device=device).argsort()]


@dataclass(frozen=True, slots=True, eq=False)
class Writing:
    """What tuning the sentence encoder needs beside the sets."""

    tokens: Callable[[Sequence[str]], list[list[int]]]
    """Sentences to word pieces."""
    paired: Sequence[Sequence[Sequence[int]]] = ()
    """Word pieces of the captions of each video, two or more, pictures or not."""


def caption_ids(data: SetData, batch: Batch, recipe: Recipe, rng: np.random.Generator, writing: Writing | None) -> Any:
    """Word pieces of a batch's first captions, some of them rewritten as people type."""
    ids = [data.ids[row] for row in batch.captions[:, 0]]
    if writing is None or not recipe.typed:
        return ids
    chosen = np.flatnonzero(rng.random(len(ids)) < recipe.typed)
    captions = [
        data.pictures.items[item].captions[row - data.first[item]]
        for item, row in zip(batch.items[chosen], batch.captions[chosen, 0], strict=True)
    ]
    for place, pieces in zip(chosen, writing.tokens([as_typed(caption, rng) for caption in captions]), strict=True):
        ids[place] = pieces
    return ids


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
    batch = draw_batch(data, recipe, rng, mixing=bool(recipe.mix) and not towers.tuned_text)
    first, second = (data.sentences[torch.from_numpy(batch.captions[:, i])].float() for i in (0, 1))
    mixed = F.normalize(batch.mixture * first + (1 - batch.mixture) * second, dim=-1).to(towers.log_scale.device)
    if towers.tuned_text:
        text = text_vectors(towers, caption_ids(data, batch, recipe, rng, writing)).float()
    else:
        text = towers.text.embed(mixed)
    video = video_vectors(towers, data, batch)
    targets = positive_targets(batch.labels).to(mixed.device)
    targets = soft_targets(targets, mixed, recipe.soft_share, recipe.soft_temperature)
    return itc(text, video, targets, towers.log_scale.exp().clamp(max=100))


def parameter_groups(towers: Towers, recipe: Recipe, *, locked: bool = False) -> list[dict[str, Any]]:
    """What is trained, at which rate; the rest is frozen. Biases, norms and the temperature do not decay.

    locked: nothing of the picture tower is trained, its head neither (locked-image tuning, LiT, Zhai et al. 2022).
    """
    text_head = recipe.head_rate if recipe.text_head_rate is None else recipe.text_head_rate
    rates = {"picture.head": recipe.head_rate, "text.head": text_head, "log_scale": recipe.head_rate}
    rates |= {"picture.others": 0.0}
    rates |= {"text.encoder": recipe.text_rate, "picture.tail": recipe.tail_rate}
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in towers.named_parameters():
        rate = next(rate for prefix, rate in rates.items() if name.startswith(prefix))
        below_cut = name.startswith("picture.tail.blocks.") and int(name.split(".")[3]) < CUT
        locked_picture = locked and name.startswith("picture.")
        frozen_words = name.startswith(("text.encoder.words", "text.encoder.positions"))
        parameter.requires_grad_(bool(rate) and not (below_cut or locked_picture or frozen_words))
        if parameter.requires_grad:
            decay = recipe.text_decay if name.startswith("text.encoder") else recipe.weight_decay
            decay = decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def _set_mode(towers: Towers, recipe: Recipe) -> None:
    """Dropout on; batch normalisation keeps its ImageNet statistics, which a small batch would spoil."""
    towers.train()
    towers.picture.tail.eval()
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
    towers.tuned_text = towers.tuned_text or bool(recipe.text_rate)
    towers.tuned_picture = towers.tuned_picture or bool(recipe.tail_rate and not locked)
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
        if state["recipe"] == _plain(recipe):
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
                "recipe": _plain(recipe),
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
    train(alone.to(device), sets, recipe, **options)
    with torch.no_grad():  # what it saw larger, it weighs more from now on
        for layer in (alone.picture.head.linear, alone.picture.head.hidden):
            layer.weight[:, INPUTS:] *= recipe.conse
    towers.picture.others.append(alone.picture.head)
    towers.eval()


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere it would be slower than float32."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "amx_bf16" in flags.read_text()


def _plain(recipe: Recipe) -> dict[str, Any]:
    return {f.name: dict(v) if isinstance(v := asdict(recipe)[f.name], Mapping) else v for f in fields(recipe)}


@torch.inference_mode()
def all_frames(towers: Towers, data: SetData) -> Tensor:
    """Every item of a set, all its frames as the product sees them (view 0): [items, 512]."""
    items = data.pictures.items
    vectors = []
    for start in range(0, len(items), 128):
        part = items[start : start + 128]
        longest = max(len(item.pictures) for item in part)
        places = np.zeros((len(part), longest), np.int64)
        mask = np.zeros((len(part), longest), np.float32)
        for row, item in enumerate(part):
            places[row, : len(item.pictures)], mask[row, : len(item.pictures)] = item.pictures, 1
        nothing = torch.zeros(0)
        batch = Batch(
            places[:, 0], places, np.zeros_like(places), torch.from_numpy(mask), places[:, :0], nothing, nothing
        )
        vectors.append(video_vectors(towers, data, batch))
    return torch.cat(vectors)


@torch.inference_mode()
def all_captions(towers: Towers, data: SetData) -> Tensor:
    """Every caption of a set: [captions, 512]."""
    if not towers.tuned_text:
        return towers.text.embed(data.sentences.float().to(towers.log_scale.device))
    return text_vectors(towers, data.ids)


def evaluate(towers: Towers, validation: SetData, labelled: Sequence[SetData]) -> dict[str, float]:
    """Text-to-video on the validation split, then zero-shot top-1 of each labelled set (templates averaged)."""
    towers.eval()
    similarity = all_captions(towers, validation) @ all_frames(towers, validation).T
    found = retrieval(similarity.cpu().numpy())
    for data in labelled:
        items = data.pictures.items
        rows: dict[int, slice] = {}
        for place, item in enumerate(items):
            rows.setdefault(item.label, slice(int(data.first[place]), int(data.first[place + 1])))
        captions = all_captions(towers, data)
        phrases = torch.stack([captions[rows[label]].mean(0) for label in sorted(rows)])
        order = {label: column for column, label in enumerate(sorted(rows))}
        truth = np.array([order[item.label] for item in items])
        scores = all_frames(towers, data) @ F.normalize(phrases, dim=-1).T
        found[data.pictures.name] = top1(scores.cpu().numpy(), truth)
    return found
