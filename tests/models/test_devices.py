"""Devices and batches: what is decided of them, with made-up memory and exhaustion. No accelerator is needed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vsearch.errors import InputError, ModelError  # noqa: E402
from vsearch.models.devices import (  # noqa: E402
    CPU_BATCH,
    LARGEST_BATCH,
    PROBE,
    Batches,
    Compute,
    autocast_dtype,
    choose_device,
    fitting_batch,
    is_out_of_memory,
)

GB = 1 << 30


class Memory:
    """A device of which each row takes `row` bytes, and no more than `there` are to be had."""

    def __init__(self, row: int, there: int, *, says: bool = True) -> None:
        self.row, self.there, self.says = row, there, says
        self.runs: list[int] = []

    def start(self) -> None: ...

    def peak(self) -> int | None:
        return self.runs[-1] * self.row if self.says else None

    def free(self, device: torch.device) -> int | None:
        return self.there if self.says else None

    def double(self, rows: np.ndarray) -> torch.Tensor:
        self.runs.append(len(rows))
        if len(rows) * self.row > self.there:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return torch.from_numpy(rows) * 2

    def batches(self, device: str = "meta") -> Batches:
        return Batches(torch.device(device), free=self.free, gauge=self)


def run(batches: Batches, memory: Memory, count: int) -> list[int]:
    rows = np.arange(count)
    parts = list(batches.run(memory.double, rows))
    np.testing.assert_array_equal(torch.cat(parts).numpy(), rows * 2)
    return memory.runs


def test_batches_grow_to_what_the_memory_holds() -> None:
    memory = Memory(row=GB // 100, there=GB)
    assert run(memory.batches(), memory, 200) == [PROBE, 64, 64, 64, 4]  # 70 rows fit into 70 % of it
    plenty = Memory(row=1, there=GB)
    assert run(plenty.batches(), plenty, 600) == [PROBE, LARGEST_BATCH, LARGEST_BATCH, 600 - PROBE - 2 * LARGEST_BATCH]


def test_a_batch_that_was_too_large_is_run_again_in_halves_and_stays_small() -> None:
    memory = Memory(row=GB // 20, there=GB, says=False)
    batches = memory.batches()
    assert run(batches, memory, 100) == [PROBE, 64, 32, 16, 16, 16, 16, 16, 16]
    memory.there = GB // 2
    memory.runs.clear()
    assert run(batches, memory, 20) == [16, 8, 8, 4]


def test_where_not_even_one_row_fits_it_says_so() -> None:
    memory = Memory(row=GB, there=GB - 1)
    with pytest.raises(ModelError, match="--device cpu"):
        list(memory.batches().run(memory.double, np.arange(3)))
    assert memory.runs == [3, 1]


def test_another_error_is_not_taken_for_want_of_memory() -> None:
    def fail(rows: object) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(Batches(torch.device("cpu")).run(fail, np.arange(3)))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))


def test_a_query_does_not_decide_for_the_videos() -> None:
    memory = Memory(row=GB // 100, there=GB)
    batches = memory.batches()
    assert run(batches, memory, 1) == [1]
    assert batches.preferred == 4 * CPU_BATCH
    run(batches, memory, 8)
    assert batches.preferred == 64


def test_a_cpu_runs_batches_of_one_size() -> None:
    memory = Memory(row=1, there=GB)
    assert run(memory.batches("cpu"), memory, 40) == [CPU_BATCH, CPU_BATCH, 8]


@pytest.mark.parametrize(
    ("free", "peak", "rows", "fits"),
    [(GB, GB, 4, 2), (GB, 10 * GB, 4, 1), (None, GB, 4, 64), (GB, None, 4, 64), (GB, 0, 4, 64), (0, GB, 4, 1)],
)
def test_how_many_rows_fit(free: int | None, peak: int | None, rows: int, fits: int) -> None:
    assert fitting_batch(free, peak, rows, LARGEST_BATCH) == fits


def test_the_fastest_device_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, chosen in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert choose_device("auto").type == chosen


@pytest.mark.parametrize("name", ["cuda", "cuda:7", "mps", "tpu", "", "meta"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError) as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_products_are_short_where_the_hardware_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, mps = torch.device("cuda"), torch.device("mps")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert autocast_dtype(cuda, "auto") is torch.bfloat16
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert autocast_dtype(cuda, "auto") is torch.float16
    assert autocast_dtype(mps, "auto") is torch.float16
    assert autocast_dtype(cuda, "fp32") is None
    assert autocast_dtype(torch.device("cpu"), "auto") is None
    assert autocast_dtype(torch.device("cpu"), "bf16") is torch.bfloat16
    with pytest.raises(InputError, match="int8"):
        Compute(precision="int4")  # type: ignore[arg-type]
