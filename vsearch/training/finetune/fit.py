"""A run of fine-tuning: the loss of a step, the check on the validation split, and the weights that are kept.

The learner ends with the weights that rank the validation split best, which may be those that it started with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vsearch.training.finetune.clip_frames import CaptionedClip
from vsearch.training.finetune.clip_ranks import ClipRanks, distinct_captions, matches, normalized, rank_both_ways
from vsearch.training.loop import LoopPlan, parameter_groups, run_loop
from vsearch.training.losses import itc, positive_targets
from vsearch.training.precision import PLAIN, Precision

CHUNK = 64
"""Clips or sentences encoded at once by a check."""


@dataclass(frozen=True, slots=True)
class FitPlan:
    """Length, batches and learning rate of a run."""

    steps: int = 400
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.05
    keep_frame: float = 0.7
    """Probability that a frame of a training clip is used in a step; at least one is."""
    check_every: int = 20
    """Steps between checks."""
    patience: int = 6
    """Checks without gain before the run stops."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class ClipCheck:
    """Ranks and loss on the validation split."""

    ranks: ClipRanks
    loss: float

    @property
    def merit(self) -> tuple[float, float]:
        """Of equal ranks, which are common in small sets, the smaller loss is better."""
        return self.ranks.reciprocal, -self.loss


@dataclass(frozen=True, slots=True)
class FitResult:
    """Outcome of a run; the learner holds the best weights."""

    best_step: int
    """Step of the best weights; 0 if no step was better than the start."""
    steps: int
    """Steps taken."""
    before: ClipRanks
    best: ClipRanks
    interrupted: bool
    """Whether Ctrl-C ended the run."""


def fit(
    learner: Any,
    training: Sequence[CaptionedClip],
    validation: Sequence[CaptionedClip],
    plan: FitPlan,
    *,
    precision: Precision = PLAIN,
    checkpoint: Path | None = None,
    lineage: str = "",
    baseline: ClipRanks | None = None,
    progress: Callable[[int, float, ClipCheck | None], None] = lambda step, loss, checked: None,
) -> FitResult:
    """Train a learner (see `StartingModel.learner`) in place. Ctrl-C ends the run early, with the best weights so far.

    checkpoint: see `run_loop`; it is resumed if plan and `lineage` are the same. baseline: ranks by the original model,
    which untrained prompt vectors may not reach; only better weights are kept.
    """
    groups = parameter_groups(
        learner, lambda _, parameter: plan.rate * parameter.requires_grad, lambda _: plan.weight_decay
    )
    before = check(learner, validation, precision)
    merit = before.merit
    if baseline is not None and baseline.reciprocal > before.ranks.reciprocal:
        merit = (baseline.reciprocal, float("inf"))
    result = run_loop(
        learner,
        groups,
        lambda _, rng: clip_loss(learner, training, plan, rng, precision),
        LoopPlan(plan.steps, plan.seed, lambda step: min(1.0, (step + 1) / 10), plan.check_every, plan.patience),
        precision=precision,
        validate=lambda: check(learner, validation, precision),
        merit=merit,
        checkpoint=checkpoint,
        run_id=repr((plan, lineage)),
        progress=progress,
    )
    after = check(learner, validation, precision)
    return FitResult(result.best_step, result.steps, before.ranks, after.ranks, result.interrupted)


def clip_loss(
    learner: Any, training: Sequence[CaptionedClip], plan: FitPlan, rng: np.random.Generator, precision: Precision
) -> Tensor:
    """ITC of a batch of different clips, with one caption and some frames of each."""
    chosen = [training[place] for place in rng.permutation(len(training))[: plan.batch]]
    texts = [clip.captions[int(rng.integers(len(clip.captions)))] for clip in chosen]
    frames = []
    for clip in chosen:
        every = clip.load()
        kept = rng.random(len(every)) < plan.keep_frame
        kept[int(rng.integers(len(every)))] = True
        frames.append(every[kept])
    numbers: dict[str, int] = {}
    labels = torch.tensor([numbers.setdefault(normalized(text), len(numbers)) for text in texts])
    learner.train()
    with precision.autocast():
        text, video = learner.text_vectors(texts), learner.clip_vectors(frames)
    targets = positive_targets(labels).to(text.device)  # clips with the same caption are positives of each other
    return itc(text.float(), video.float(), targets, learner.log_scale.exp().clamp(max=100))


@torch.inference_mode()
def check(learner: Any, clips: Sequence[CaptionedClip], precision: Precision = PLAIN) -> ClipCheck:
    """Ranks and loss among these clips, with all of their frames."""
    learner.eval()
    texts = distinct_captions(clips)
    with precision.autocast():
        text = torch.cat([learner.text_vectors(texts[at : at + CHUNK]) for at in range(0, len(texts), CHUNK)]).float()
        parts = [clips[at : at + CHUNK] for at in range(0, len(clips), CHUNK)]
        video = torch.cat([learner.clip_vectors([clip.load() for clip in part]) for part in parts]).float()
    right = matches(texts, clips)
    targets = torch.from_numpy(right).to(text.device).float()
    logits = learner.log_scale.exp().clamp(max=100) * text @ video.T
    forth = -(targets / targets.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    back = -(targets / targets.sum(0) * logits.log_softmax(0)).sum(0).mean()
    return ClipCheck(rank_both_ways(text.cpu().numpy(), video.cpu().numpy(), right), float(forth + back) / 2)
