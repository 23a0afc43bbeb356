"""The training loop of every run: steps, validation, early stopping, checkpoints.

A step depends on the seed and its own number alone: batch, augmentation and dropout are drawn from generators that are
seeded with both. A run that was interrupted and resumed therefore gives the same weights as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vsearch.training.precision import PLAIN, Precision, Stepper


class StageProgress(Protocol):
    """Receives the progress of a named stage."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None: ...


class Validation(Protocol):
    """What a check on the validation split measured."""

    @property
    def merit(self) -> Any:
        """Compared with the merit of earlier checks: the larger, the better."""


V = TypeVar("V", bound=Validation)


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """Length and rhythm of a run."""

    steps: int
    seed: int
    rate_factor: Callable[[int], float]
    """Step number -> factor of every group's learning rate."""
    check_every: int = 50
    """Steps between checkpoints, and between checks on the validation split."""
    patience: int = 0
    """Checks without gain after which the run stops; 0 runs to the end."""


@dataclass(frozen=True, slots=True)
class LoopResult:
    """How a run ended."""

    steps: int
    """Steps taken, including those before a resume."""
    best_step: int
    """Step of the best check; 0 if no check was better than the start."""
    interrupted: bool
    """Whether Ctrl-C ended the run."""


def parameter_groups(
    model: nn.Module, rate: Callable[[str, Any], float], decay: Callable[[str], float]
) -> list[dict[str, Any]]:
    """Optimiser groups of a model; parameters whose rate is 0 are frozen. Vectors and scalars do not decay."""
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        own_rate = rate(name, parameter)
        parameter.requires_grad_(bool(own_rate))
        if own_rate:
            groups.setdefault((own_rate, decay(name) if parameter.ndim > 1 else 0.0), []).append(parameter)
    return [{"params": part, "lr": lr, "weight_decay": weight} for (lr, weight), part in groups.items()]


def trained_parameters(model: nn.Module) -> dict[str, Any]:
    """Parameters that require a gradient, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def copy_weights(trained: dict[str, Any]) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trained.items()}


@torch.no_grad()
def restore_weights(trained: dict[str, Any], weights: dict[str, Tensor]) -> None:
    for name, parameter in trained.items():
        parameter.copy_(weights[name])


def run_loop(
    model: nn.Module,
    groups: list[dict[str, Any]],
    loss_of: Callable[[int, np.random.Generator], Tensor],
    plan: LoopPlan,
    *,
    precision: Precision = PLAIN,
    validate: Callable[[], V] | None = None,
    merit: Any = None,
    average: tuple[dict[str, Tensor], float] | None = None,
    checkpoint: Path | None = None,
    run_id: str = "",
    progress: Callable[[int, float, V | None], None] = lambda step, loss, checked: None,
) -> LoopResult:
    """Train `model` in place. With `validate` it ends with the weights of the best check, which may be the first ones.

    groups: from `parameter_groups`. loss_of: draws a batch with the generator of a step and returns its loss. merit: a
    check above it is a gain; with None the first one is. average: weights that follow the trained ones by exponential
    averaging, and the decay. checkpoint: a file that is written every `plan.check_every` steps and resumed if `run_id`
    is the same. Ctrl-C ends the run early; the caller decides whether to raise it again.
    """
    trained = trained_parameters(model)
    rates = [group["lr"] for group in groups]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    stepper = Stepper(optimiser, list(trained.values()), precision)
    averages, decay = average or ({}, 0.0)
    state: dict[str, Any] = {"step": 0, "stale": 0, "best_step": 0, "merit": merit}
    state["best"] = copy_weights(trained) if validate is not None else {}
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=precision.device)
        if saved["run"] == run_id:
            state = saved["state"]
            restore_weights(trained, saved["weights"])
            restore_weights(averages, saved["averages"])
            stepper.load_state_dict(saved["stepper"])
    interrupted = False
    try:
        while state["step"] < plan.steps and not 0 < plan.patience <= state["stale"]:
            step = state["step"]
            rng = np.random.default_rng((plan.seed, step))
            torch.manual_seed(int(rng.integers(2**31)))
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * plan.rate_factor(step)
            loss = loss_of(step, rng)
            stepper.step(loss)
            for name, mean in averages.items():
                mean.lerp_(trained[name].detach(), 1 - min(decay, (step + 1) / (step + 10)))
            state["step"] = step + 1
            checked = None
            if (step + 1) % plan.check_every == 0 or step + 1 == plan.steps:
                if validate is not None:
                    checked = validate()
                    gain = state["merit"] is None or checked.merit > state["merit"]
                    state["stale"] = 0 if gain else state["stale"] + 1
                    if gain:
                        state |= {"best_step": step + 1, "merit": checked.merit, "best": copy_weights(trained)}
                if checkpoint is not None:
                    _save(checkpoint, run_id, state, trained, averages, stepper)
            progress(step + 1, float(loss.detach()), checked)
    except KeyboardInterrupt:
        interrupted = True
    if validate is not None:
        restore_weights(trained, state["best"])
    return LoopResult(state["step"], state["best_step"], interrupted)


def _save(
    path: Path,
    run_id: str,
    state: dict[str, Any],
    trained: dict[str, Any],
    averages: dict[str, Tensor],
    stepper: Stepper,
) -> None:
    partial = path.with_suffix(".part")
    saved = {"run": run_id, "state": state, "weights": copy_weights(trained), "averages": averages}
    torch.save({**saved, "stepper": stepper.state_dict()}, partial)
    partial.replace(path)
