"""Where a torch model runs and how: the device, the number format, and batches as large as its memory allows.

It knows nothing of pictures or words. What is measured of a device (free memory, the peak of a run) comes in through
functions, so that all decisions here can be tried without one.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, get_args

import torch
from torch import Tensor

from vsearch.errors import InputError, ModelError

_log = logging.getLogger(__name__)

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

CPU_BATCH = 16
"""Rows a run on a CPU: enough to fill the cores, small enough for a laptop."""
LARGEST_BATCH = 256
"""Rows a run on an accelerator: beyond, nothing gets faster."""
PROBE = 4
"""Rows of the first run on an accelerator, which tells what a row costs."""
SHARE = 0.7
"""Of the free memory that a batch may take: others use the device, too, and memory gets fragmented."""


@dataclass(frozen=True, slots=True)
class Compute:
    """How a torch model is run."""

    device: str = "auto"
    """"auto": cuda, else mps, else cpu. Or a device as torch names it: "cpu", "mps", "cuda", "cuda:1"."""
    precision: Precision = "auto"
    """"auto": products in bf16 or fp16 on a GPU, float32 on a CPU. "int8": linear layers of
    8 bits by torchao; their vectors are a space of their own."""
    compile: bool = False
    """Compile the towers (torch.compile): minutes at the start, which long runs on an accelerator earn back."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"The precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}.")


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto": the fastest that is there. Raises InputError where it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _mps() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"There is no device {name!r}: it is auto, cpu, cuda, cuda:1 (and so on) or mps.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            why = f"torch {torch.__version__} sees {count} CUDA devices"
            raise InputError(f"There is no device {name!r}: {why}; --device cpu always works.")
    elif device.type == "mps" and not _mps():
        raise InputError("There is no device 'mps': it needs a Mac with Apple silicon; --device cpu always works.")
    elif device.type not in ("cpu", "mps"):
        raise InputError(f"There is no device {name!r}: it is auto, cpu, cuda, cuda:1 (and so on) or mps.")
    return device


def _mps() -> bool:
    return bool(torch.backends.mps.is_available())


def autocast_dtype(device: torch.device, precision: Precision) -> torch.dtype | None:
    """The number format of products; None: float32 throughout."""
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp16":
        return torch.float16
    if precision != "auto":
        return None
    if device.type == "cuda":
        # Emulated bf16 is slower than float32. Cards before Ampere have fp16 only.
        major, _ = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if major >= 8 else torch.float16
    if device.type == "mps":
        return torch.float16
    return None  # few CPUs multiply bf16 faster than float32, many emulate it: only on request


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """A context in which products are of that type; weights, norms and softmax stay float32."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def quantise(module: Any) -> None:
    """Linear layers to 8-bit weights and activations, in place (torchao).

    A row's activations get a scale of their own, so that a vector does not depend on what else is in its batch.
    Raises ModelError where torchao is missing.
    """
    import warnings

    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it tells of every kernel that it was not built with
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

            quantize_(module, Int8DynamicActivationInt8WeightConfig())
    except ImportError as error:
        raise ModelError("The precision int8 needs torchao: `pip install torchao`.") from error
    finally:
        logging.disable(previous)


def free_bytes(device: torch.device) -> int | None:
    """Bytes that a run may still take on an accelerator; None where nobody says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what torch holds in reserve is free for it
        return int(free) + int(torch.cuda.memory_reserved(device)) - int(torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    return None


class Gauge(Protocol):
    """What a run of the device took."""

    def start(self) -> None: ...
    def peak(self) -> int | None:
        """Bytes above what was taken at the start, at the highest; None where nobody says."""
        ...


class CudaGauge:
    """Torch's own count."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._before = device, 0

    def start(self) -> None:
        torch.cuda.reset_peak_memory_stats(self._device)
        self._before = torch.cuda.memory_allocated(self._device)

    def peak(self) -> int | None:
        return int(torch.cuda.max_memory_allocated(self._device)) - self._before


class NoGauge:
    """For devices that keep no count."""

    def start(self) -> None: ...

    def peak(self) -> int | None:
        return None


Rows = TypeVar("Rows", bound=Sized)


class Batches:
    """Runs a function over rows, as many at once as fit.

    On a CPU always CPU_BATCH. On an accelerator the first few rows tell what one costs, and the free memory how many
    fit; where that was too many after all, half as many are tried, and so on.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        largest: int = LARGEST_BATCH,
        free: Callable[[torch.device], int | None] = free_bytes,
        gauge: Gauge | None = None,
    ) -> None:
        self._device, self._free, self._largest = device, free, largest
        self._gauge: Gauge = gauge or (CudaGauge(device) if device.type == "cuda" else NoGauge())
        accelerated = device.type != "cpu"
        self.size = min(largest, PROBE if accelerated else CPU_BATCH)
        """Rows of the next run."""
        self._settled = not accelerated

    @property
    def preferred(self) -> int:
        """Rows that are worth collecting before a run is begun."""
        return self.size if self._settled else min(self._largest, 4 * CPU_BATCH)

    def run(self, function: Callable[[Any], Tensor], rows: Any) -> Iterator[Tensor]:
        """function(rows[a:b]) -> Tensor, batch by batch, in order. Raises ModelError where even one row is too much."""
        at = 0
        while at < len(rows):
            part = rows[at : at + self.size]
            try:
                result = self._measured(function, part)
            except RuntimeError as error:  # torch.OutOfMemoryError is one; MPS and the CPU raise plain ones
                if not is_out_of_memory(error):
                    raise
                result = None
            # Outside of the handler: the error holds the frames of the run, and with them what they had allocated.
            if result is None:
                self._shrink(len(part))
                continue
            at += len(part)
            yield result

    def _measured(self, function: Callable[[Any], Tensor], part: Any) -> Tensor:
        if self._settled:
            return function(part)
        self._gauge.start()
        result = function(part)
        if len(part) < PROBE and self._largest > len(part):
            return result  # a query says little of what a run over a video takes
        peak, free = self._gauge.peak(), self._free(self._device)
        self._settled = True
        self.size = fitting_batch(free, peak, len(part), self._largest)
        _log.info("batches of %d on %s (%s bytes free)", self.size, self._device, free)
        return result

    def _shrink(self, tried: int) -> None:
        if tried <= 1:
            raise ModelError(f"{self._device} has too little memory for this model: --device cpu, or a smaller model.")
        self.size = max(1, tried // 2)
        self._settled = True
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()
        _log.info("%s is out of memory: batches of %d from here on", self._device, self.size)


def fitting_batch(free: int | None, peak: int | None, rows: int, largest: int) -> int:
    """How many rows fit into `free` bytes when `rows` of them took `peak`: a power of two, from 1 to `largest`.

    Where one of the two is not known: 4 x CPU_BATCH, which running out of memory can still lower.
    """
    if free is None or not peak or peak <= 0:
        return min(largest, 4 * CPU_BATCH)
    fits = int(SHARE * free * rows / peak)
    return max(1, min(largest, 1 << max(0, fits.bit_length() - 1)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says that memory ran out, in any of its ways."""
    if isinstance(error, getattr(torch, "OutOfMemoryError", ())):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "cannot allocate memory" in text
