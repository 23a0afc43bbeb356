"""Device and precision of training: float32 on a CPU, mixed precision on a GPU.

Mixed precision (Micikevicius et al., 2018): weights stay float32, products run in bfloat16 if the hardware has it, else
in float16. The small range of float16 requires a scaled loss, and steps that overflow are skipped.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vsearch.errors import InputError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Options of mallopt in glibc's malloc.h."""


@dataclass(frozen=True, slots=True)
class Precision:
    """The device of a run and the type of its products."""

    device: str = "cpu"
    dtype: Any = None
    """torch.bfloat16 or torch.float16; None: float32 throughout."""

    @property
    def scaled(self) -> bool:
        """Whether the loss must be scaled."""
        return self.dtype is torch.float16

    def autocast(self) -> Any:
        """The context of a forward pass."""
        return torch.autocast(self.device.partition(":")[0], self.dtype, enabled=self.dtype is not None)


PLAIN = Precision()


def choose_precision(device: str | None = None) -> Precision:
    """Precision of the named device, or of the best available one. Raises InputError if it is not available."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = device or next(kind for kind, usable in available.items() if usable)
    kind = name.partition(":")[0]
    if not available.get(kind):
        known = ", ".join(kind for kind, usable in available.items() if usable)
        raise InputError(f"Device {name!r} is not available. Available: {known}.")
    if kind != "cuda":
        return Precision(name)
    return Precision(name, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)


class Stepper:
    """Takes optimiser steps from losses: scaled if necessary, gradients clipped to norm 1."""

    def __init__(self, optimiser: Any, parameters: Sequence[Any], precision: Precision = PLAIN) -> None:
        self._optimiser, self._parameters = optimiser, parameters
        self._scaler = torch.amp.GradScaler(precision.device.partition(":")[0], enabled=precision.scaled)

    def step(self, loss: Tensor) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._scaler.step(self._optimiser)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's state and the scaler's."""
        return {"optimiser": self._optimiser.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:  # empty for a disabled scaler
            self._scaler.load_state_dict(state["scaler"])


def keep_memory() -> None:
    """Make glibc keep freed memory; does nothing with other C libraries.

    A step on a CPU allocates and frees hundreds of megabytes. By default they are returned to the system each time, and
    zeroing their pages again can take longer than the computation.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; on others it is slower than float32."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "amx_bf16" in flags.read_text()
