"""Run torch models: choose the device, the number format, and batches as large as the memory allows.

Measurements of a device (free memory, peak of a run) are passed as functions, so that tests need no accelerator.
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
"""Rows per batch on a CPU: enough to fill the cores, small enough for a laptop."""
LARGEST_BATCH = 256
"""Most rows per batch on an accelerator: larger batches are no faster."""
PROBE = 4
"""Rows of the first batch on an accelerator, which measures the memory per row."""
SHARE = 0.7
"""Fraction of the free memory that a batch may use: other processes use the device, and memory is fragmented."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Options for running a torch model."""

    device: str = "auto"
    """"auto": cuda, else mps, else cpu. Or a device as torch names it: "cpu", "mps", "cuda", "cuda:1"."""
    precision: Precision = "auto"
    """"auto": products in bf16 or fp16 on a GPU, float32 on a CPU. "int8": linear layers of
    8 bits by torchao; their vectors are a space of their own."""
    compile: bool = False
    """Compile the towers (torch.compile): minutes at the start, faster on long runs on an accelerator."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"The precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}.")


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto": the fastest available. Raises InputError for an unavailable device."""
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
    """Number format of products; None: float32."""
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
    return None  # many CPUs emulate bf16, so it is used on request only


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Context in which products use `dtype`; weights, norms and softmax stay float32."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def quantise(module: Any) -> None:
    """Quantise linear layers to 8-bit weights and activations, in place (torchao).

    Activations are scaled per row, so an embedding does not depend on its batch.
    Raises ModelError where torchao is missing.
    """
    import warnings

    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # torchao logs every kernel that it lacks
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
    """Free memory of an accelerator, bytes; None where it is unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # reserved memory of torch is available to it
        return int(free) + int(torch.cuda.memory_reserved(device)) - int(torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    return None


class Gauge(Protocol):
    """Measures the memory of a run."""

    def start(self) -> None: ...
    def peak(self) -> int | None:
        """Highest memory use since `start`, bytes; None where it is unknown."""
        ...


class CudaGauge:
    """Memory use as counted by torch."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._before = device, 0

    def start(self) -> None:
        torch.cuda.reset_peak_memory_stats(self._device)
        self._before = torch.cuda.memory_allocated(self._device)

    def peak(self) -> int | None:
        return int(torch.cuda.max_memory_allocated(self._device)) - self._before


class NoGauge:
    """For devices without such a count."""

    def start(self) -> None: ...

    def peak(self) -> int | None:
        return None


Rows = TypeVar("Rows", bound=Sized)


class Batches:
    """Runs a function over rows in batches that fit into memory.

    On a CPU, batches have CPU_BATCH rows. On an accelerator, the first batch measures the memory per row and the free
    memory sets the size; when memory runs out, the size is halved.
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
        """Rows of the next batch."""
        self._settled = not accelerated

    @property
    def preferred(self) -> int:
        """Rows to collect before a run."""
        return self.size if self._settled else min(self._largest, 4 * CPU_BATCH)

    def run(self, function: Callable[[Any], Tensor], rows: Any) -> Iterator[Tensor]:
        """function(rows[a:b]) -> Tensor, batch by batch, in order. Raises ModelError where one row does not fit."""
        at = 0
        while at < len(rows):
            part = rows[at : at + self.size]
            try:
                result = self._measured(function, part)
            except RuntimeError as error:  # torch.OutOfMemoryError is one; MPS and the CPU raise plain ones
                if not is_out_of_memory(error):
                    raise
                result = None
            # Outside of the handler: the traceback of the error keeps the memory of the run allocated.
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
            return result  # a single query is no measure for a video
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
    """Number of rows that fit into `free` bytes when `rows` rows need `peak`: a power of two, from 1 to `largest`.

    Where one of the two is unknown: 4 x CPU_BATCH.
    """
    if free is None or not peak or peak <= 0:
        return min(largest, 4 * CPU_BATCH)
    fits = int(SHARE * free * rows / peak)
    return max(1, min(largest, 1 << max(0, fits.bit_length() - 1)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error of torch means that memory ran out."""
    if isinstance(error, getattr(torch, "OutOfMemoryError", ())):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text or "cannot allocate memory" in text
