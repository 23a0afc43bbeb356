"""Running the second act: steps, checks on the validation split, checkpoints, early stopping.

A step is a function of (seed, step number), as in train.py; a checkpoint holds everything else that a run depends on.
"""

# torch is not followed by the type checker: its classes and decorators are Any
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vsearch.training.data import PictureSet
from vsearch.training.matching import match_best, reranked
from vsearch.training.metrics import retrieval, top1
from vsearch.training.precision import PLAIN, Precision, Stepper
from vsearch.training.second import MAX_FRAMES, Second, StageSet, step_loss
from vsearch.training.train import rate_factor

RECALL = 100
"""Candidates that the matching head re-ranks."""
WEIGHTS_TRIED = (0.25, 0.5, 1.0, 1.5)
"""Of the logit, in units of 1/scale: 1 is the sum that the ranking loss trains."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A whole set, encoded: text [C, 512], video [N, 512], words and frames with their masks, each caption's video."""

    text: Tensor
    video: Tensor
    words: tuple[Tensor, Tensor]
    frames: tuple[Tensor, Tensor]
    owner: Tensor


@torch.inference_mode()
def encode_set(model: Second, stage: StageSet, chunk: int = 512) -> Encoded:
    """Every caption and every item with all its frames, as the product sees them (view 0), on the model's device."""
    model.eval()
    device = model.main.towers.log_scale.device
    data, items = stage.data, stage.data.pictures.items

    def take(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        words, mask = stage.words.take(rows)
        return words.to(device), mask.to(device)

    starts = range(0, len(data.ids), chunk)
    texts = [model.main.text(*take(np.arange(start, min(start + chunk, len(data.ids))))) for start in starts]
    kept = [item.pictures[:MAX_FRAMES] for item in items]
    mask = torch.arange(max(map(len, kept)))[None] < torch.tensor([len(pictures) for pictures in kept])[:, None]
    places = np.concatenate([np.array(pictures) for pictures in kept])
    mask = mask.to(device)
    frames = model.main.frames(torch.from_numpy(data.cache.features[places, 0]).float().to(device), mask)
    owner = torch.repeat_interleave(torch.arange(len(items)), torch.from_numpy(np.diff(data.first)))
    words = take(np.arange(len(data.ids)))
    return Encoded(torch.cat(texts), model.main.aggregator(frames, mask), words, (frames, mask), owner)


def _ranked(scores: Tensor, owner: Tensor) -> dict[str, float]:
    """Retrieval of captions [C, N] whose videos are `owner` [C]: the columns are put where the metric wants them."""
    own = scores.gather(1, owner[:, None])
    ranks = (scores >= own).sum(1).numpy()
    found = {f"R@{k}": float((ranks <= k).mean() * 100) for k in (1, 5, 10)}
    return {**found, "MdR": float(np.median(ranks)), "MnR": float(ranks.mean())}


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at the validation split found."""

    recall: Mapping[str, float]
    """Text-to-video by inner product, the protocol's first captions."""
    recall_all: Mapping[str, float]
    """The same over every caption of the set."""
    reranked: Mapping[float, tuple[Mapping[str, float], Mapping[str, float]]]
    """Weight of the logit (in units of 1/scale) -> the same two after re-ranking. Empty without a head."""
    labels: Mapping[str, float]
    scale: float

    @property
    def merit(self) -> float:
        """What early stopping looks at: the sum of R@1, R@5 and R@10 over all captions, re-ranked where there is a
        head."""
        best = self.reranked[1.0][1] if self.reranked else self.recall_all
        return best["R@1"] + best["R@5"] + best["R@10"]


@torch.inference_mode()
def check(model: Second, validation: StageSet, labelled: Sequence[StageSet] = ()) -> Check:
    """Measure recall, re-ranking and labels. A video's first caption must be the protocol's."""
    found = encode_set(model, validation)
    scored = model.main.aggregator.score(found.text, found.video)
    similarity = scored.cpu()
    first = torch.from_numpy(validation.data.first[:-1])
    scale = float(model.main.towers.log_scale.exp())
    after: dict[float, tuple[Mapping[str, float], Mapping[str, float]]] = {}
    if model.head is not None:
        best, logits = (part.cpu() for part in match_best(model.head, found.words, found.frames, scored, RECALL))
        for weight in WEIGHTS_TRIED:
            scores = reranked(similarity, best, logits, weight / scale)
            after[weight] = (retrieval(scores[first].numpy()), _ranked(scores, found.owner))
    labels = {stage.data.pictures.name: classify(model, stage) for stage in labelled}
    plain = retrieval(similarity[first].numpy()), _ranked(similarity, found.owner)
    return Check(*plain, after, labels, scale)


def classify(model: Second, stage: StageSet) -> float:
    """Zero-shot top-1 over a labelled set's phrases, templates averaged."""
    found = encode_set(model, stage)
    items = stage.data.pictures.items
    rows: dict[int, slice] = {}
    for place, item in enumerate(items):
        rows.setdefault(item.label, slice(int(stage.data.first[place]), int(stage.data.first[place + 1])))
    order = sorted(rows)
    phrases = nn.functional.normalize(torch.stack([found.text[rows[label]].mean(0) for label in order]), dim=-1)
    truth = np.array([order.index(item.label) for item in items])
    return top1(model.main.aggregator.score(phrases, found.video).T.cpu().numpy(), truth)


def run(
    model: Second,
    sets: Sequence[StageSet],
    validation: StageSet,
    *,
    precision: Precision = PLAIN,
    checkpoint: Path | None = None,
    progress: Callable[[int, float, Check | None], None] = lambda step, loss, found: None,
    stop_at: int | None = None,
) -> Check:
    """Train in place and return the check of the weights that the model ends with. It stays on the precision's device.

    With patience, those are the best that a check has seen, and the run stops after `patience` checks without gain;
    else the last. checkpoint: written at every check, read back when it is of the same recipe.
    """
    recipe, base = model.recipe, model.recipe.base
    model.to(precision.device)
    groups = model.groups()
    if not groups:  # the towers as they are: a row to compare with
        untrained: Check = check(model, validation)
        return untrained
    rates = [group["lr"] for group in groups]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    stepper = Stepper(optimiser, [parameter for _, parameter in model.trained()], precision)
    chances = np.array([base.weights.get(stage.data.pictures.name, 0.0) for stage in sets])
    chances = chances / chances.sum()
    start, merit, stale = 0, -1.0, 0
    best: dict[str, Any] = {}
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=precision.device)
        if state["recipe"] == repr((recipe, precision)):
            model.load_state_dict(state["model"], strict=False)
            stepper.load_state_dict(state["stepper"])
            start, merit, stale, best = state["step"], state["merit"], state["stale"], state["best"]
    last = min(base.steps, stop_at or base.steps)
    for step in range(start, last):
        if recipe.patience and stale >= recipe.patience:
            break
        rng = np.random.default_rng((base.seed, step))
        torch.manual_seed(int(rng.integers(2**31)))
        stage = sets[int(rng.choice(len(sets), p=chances))]
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * rate_factor(step, base)
        model.set_mode()
        loss = step_loss(model, stage, rng, precision)
        stepper.step(loss)
        if model.twin is not None:
            model.follow()
        done = step + 1
        found = None
        if recipe.patience and (done % recipe.check_every == 0 or done == base.steps):
            found = check(model, validation)
            stale = 0 if found.merit > merit else stale + 1
            if found.merit > merit:
                merit, best = found.merit, {name: value.clone() for name, value in model.state().items()}
        progress(done, float(loss.detach()), found)
        if checkpoint is not None and (done % recipe.check_every == 0 or done == last):
            state = {
                "recipe": repr((recipe, precision)),
                "model": model.state(),
                "stepper": stepper.state_dict(),
                "step": done,
                "merit": merit,
                "stale": stale,
                "best": best,
            }
            partial = checkpoint.with_suffix(".part")
            torch.save(state, partial)
            partial.replace(checkpoint)
    if best and last == base.steps:
        model.load_state_dict(best, strict=False)
    model.eval()
    final: Check = check(model, validation)
    return final


def first_captions(pictures: PictureSet, count: int) -> PictureSet:
    """Items with their first `count` captions."""
    return pictures.take(replace(item, captions=item.captions[:count]) for item in pictures.items)
