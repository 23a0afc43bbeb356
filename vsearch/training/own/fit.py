"""Steps, checks on the validation split, early stopping, and going on where a run was stopped.

A step is a function of (seed, step number) alone, so a run that was stopped and goes on is the run that was not. What
has learnt best on the validation split is what is kept; before the first step that is the model as it was.
"""

# torch is not followed by the type checker: its decorators are Any
# mypy: disallow-untyped-decorators=False

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsearch.training.losses import itc, positive_targets
from vsearch.training.own.gather import Clip
from vsearch.training.own.scores import BothWays, both_ways, matches, plain, sentences
from vsearch.training.precision import PLAIN, Precision, Stepper

CHUNK = 64
"""Clips or sentences encoded at once when checking."""


class Learner(Protocol):
    """What learns: an nn.Module whose parameters that require a gradient are trained."""

    log_scale: Tensor

    def clip_vectors(self, frames: Sequence[NDArray[Any]]) -> Tensor:
        """What the cache holds of B clips, [T_b, ...] each -> [B, D], unit length."""
        ...

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """Q sentences -> [Q, D], unit length."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how fast."""

    steps: int = 400
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.05
    keep_frame: float = 0.7
    """Chance that a frame of a training clip is shown in a step; one is always."""
    check_every: int = 20
    patience: int = 6
    """Checks without gain before the run stops."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a run went; the learner holds the best weights."""

    step: int
    """Of the best weights; 0: nothing that was learnt is better than the model as it was."""
    steps: int
    """That were run."""
    before: BothWays
    best: BothWays
    stopped: bool
    """By Ctrl-C."""


def fit(
    learner: Any,
    training: Sequence[Clip],
    validation: Sequence[Clip],
    plan: Plan,
    *,
    precision: Precision = PLAIN,
    checkpoint: Path | None = None,
    lineage: str = "",
    beaten: BothWays | None = None,
    progress: Callable[[int, float, BothWays | None], None] = lambda step, loss, found: None,
) -> Fitted:
    """Train in place. checkpoint: written at every check, read back where it is of this plan and `lineage`.
    beaten: how the model ranks that learning starts from, which untrained prompt vectors may rank below: then only what
    ranks above it is kept.

    Ctrl-C ends it early, with the best so far.
    """
    trained = {name: p for name, p in learner.named_parameters() if p.requires_grad}
    groups = [
        {"params": [p for p in trained.values() if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in trained.values() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98))
    stepper = Stepper(optimiser, list(trained.values()), precision)
    recipe = repr((plan, lineage))
    before, loss = check(learner, validation, precision)
    merit = before.merit
    if beaten is not None and round(beaten.merit, 6) > round(merit, 6):
        merit, loss = beaten.merit, float("-inf")
    state: dict[str, Any] = {"step": 0, "stale": 0, "best_step": 0, "merit": merit, "loss": loss, "best": {}}
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=precision.device)
        if saved["recipe"] == recipe:
            state = saved["state"]
            _put(trained, saved["weights"])
            stepper.load_state_dict(saved["stepper"])
    best = state["best"] or _copy(trained)
    stopped = False
    try:
        while state["step"] < plan.steps and state["stale"] < plan.patience:
            step = state["step"]
            for group in optimiser.param_groups:
                group["lr"] = plan.rate * _rise(step)
            value = _step(learner, training, plan, step, precision, stepper)
            state["step"] = step + 1
            found = None
            if (step + 1) % plan.check_every == 0 or step + 1 == plan.steps:
                found, loss = check(learner, validation, precision)
                # Of equal ranks, as small sets often have, the surer one is the better.
                better = (round(found.merit, 6), -loss) > (round(state["merit"], 6), -state["loss"])
                state["stale"] = 0 if better else state["stale"] + 1
                if better:
                    best = _copy(trained)
                    state |= {"best_step": step + 1, "merit": found.merit, "loss": loss}
                state["best"] = best
                if checkpoint is not None:
                    _save(checkpoint, recipe, state, _copy(trained), stepper)
            progress(step + 1, value, found)
    except KeyboardInterrupt:
        stopped = True
    _put(trained, best)
    after, _ = check(learner, validation, precision)
    return Fitted(state["best_step"], state["step"], before, after, stopped)


def _step(
    learner: Any, training: Sequence[Clip], plan: Plan, step: int, precision: Precision, stepper: Stepper
) -> float:
    """One batch of different clips, a caption each, some of their frames."""
    rng = np.random.default_rng((plan.seed, step))
    torch.manual_seed(int(rng.integers(2**31)))
    chosen = [training[place] for place in rng.permutation(len(training))[: plan.batch]]
    texts = [clip.captions[int(rng.integers(len(clip.captions)))] for clip in chosen]
    shown = []
    for clip in chosen:
        frames = clip.load()
        kept = rng.random(len(frames)) < plan.keep_frame
        kept[int(rng.integers(len(frames)))] = True
        shown.append(frames[kept])
    numbers: dict[str, int] = {}
    labels = torch.tensor([numbers.setdefault(plain(text), len(numbers)) for text in texts])
    learner.train()
    with precision.autocast():
        text, video = learner.text_vectors(texts), learner.clip_vectors(shown)
    targets = positive_targets(labels).to(text.device)  # clips of one sentence are right for each other
    loss = itc(text.float(), video.float(), targets, learner.log_scale.exp().clamp(max=100))
    stepper.step(loss)
    return float(loss.detach())


def _rise(step: int) -> float:
    """The rate rises over the first steps, then stays: early stopping ends a run, not a plan."""
    return min(1.0, (step + 1) / 10)


@torch.inference_mode()
def check(learner: Any, clips: Sequence[Clip], precision: Precision = PLAIN) -> tuple[BothWays, float]:
    """Ranks among these clips with all of their frames, and the loss over them."""
    learner.eval()
    texts = sentences(clips)
    with precision.autocast():
        read = [learner.text_vectors(texts[at : at + CHUNK]) for at in range(0, len(texts), CHUNK)]
        seen = [
            learner.clip_vectors([clip.load() for clip in clips[at : at + CHUNK]]) for at in range(0, len(clips), CHUNK)
        ]
    text, video = torch.cat(read).float(), torch.cat(seen).float()
    right = matches(texts, clips)
    found = both_ways(text.cpu().numpy(), video.cpu().numpy(), right)
    targets = torch.from_numpy(right).to(text.device).float()
    logits = learner.log_scale.exp().clamp(max=100) * text @ video.T
    forth = -(targets / targets.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    back = -(targets / targets.sum(0) * logits.log_softmax(0)).sum(0).mean()
    return found, float(forth + back) / 2


def _copy(trained: dict[str, Any]) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trained.items()}


@torch.no_grad()
def _put(trained: dict[str, Any], weights: dict[str, Tensor]) -> None:
    for name, parameter in trained.items():
        parameter.copy_(weights[name])


def _save(checkpoint: Path, recipe: str, state: dict[str, Any], weights: dict[str, Tensor], stepper: Stepper) -> None:
    partial = checkpoint.with_suffix(".part")
    torch.save({"recipe": recipe, "state": state, "weights": weights, "stepper": stepper.state_dict()}, partial)
    partial.replace(checkpoint)
