"""Where a training step runs and in which numbers: plain float32 on a CPU, mixed precision on a GPU.

Mixed precision (Micikevicius et al., 2018): weights stay float32, products run in bfloat16 where the hardware has it,
else in float16. float16 has little range, so its loss is scaled up and steps that overflow are left out.
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
"""Of glibc's malloc.h."""


@dataclass(frozen=True, slots=True)
class Precision:
    """The device of a run, and what its products are computed in."""

    device: str = "cpu"
    dtype: Any = None
    """torch.bfloat16 or torch.float16; None: float32 throughout."""

    @property
    def scaled(self) -> bool:
        """Whether the loss has to be scaled."""
        return self.dtype is torch.float16

    def autocast(self) -> Any:
        """The context of a forward pass."""
        return torch.autocast(self.device.partition(":")[0], self.dtype, enabled=self.dtype is not None)


PLAIN = Precision()


def choose_precision(device: str | None = None) -> Precision:
    """The named device, or the best that is there. Raises InputError where it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = device or next(kind for kind, found in there.items() if found)
    kind = name.partition(":")[0]
    if not there.get(kind):
        known = ", ".join(kind for kind, found in there.items() if found)
        raise InputError(f"There is no device {name!r} here: {known}.")
    if kind != "cuda":
        return Precision(name)
    return Precision(name, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)


class Stepper:
    """An optimiser's step from a loss: scaled where that is needed, gradients cut to length 1."""

    LONGEST = 1.0

    def __init__(self, optimiser: Any, parameters: Sequence[Any], precision: Precision = PLAIN) -> None:
        self._optimiser, self._parameters = optimiser, parameters
        self._scaler = torch.amp.GradScaler(precision.device.partition(":")[0], enabled=precision.scaled)

    def step(self, loss: Tensor) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._parameters, self.LONGEST)
        self._scaler.step(self._optimiser)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's state and the scaler's."""
        return {"optimiser": self._optimiser.state_dict(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:  # of a scaler that was off, there is none
            self._scaler.load_state_dict(state["scaler"])


def keep_memory() -> None:
    """Have the C library keep what was freed (glibc; elsewhere nothing happens).

    A step on a CPU asks for hundreds of megabytes and frees them again. By default each time they go back to the system
    and come back zeroed page by page, which can take longer than what is computed in them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere it would be slower than float32."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "amx_bf16" in flags.read_text()
