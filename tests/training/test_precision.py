"""Precision: float32 on a CPU, scaled losses in float16, overflowing steps skipped."""

import platform
import subprocess
import sys
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from vsearch.errors import InputError  # noqa: E402
from vsearch.training.precision import PLAIN, Precision, Stepper, choose_precision  # noqa: E402


def test_cpu_uses_float32() -> None:
    assert choose_precision("cpu") == PLAIN and PLAIN.dtype is None
    with PLAIN.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("has_bf16", "dtype", "scaled"), [(True, "bfloat16", False), (False, "float16", True)])
def test_gpu_uses_mixed_precision(monkeypatch: pytest.MonkeyPatch, has_bf16: bool, dtype: str, scaled: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bf16)
    for name in (None, "cuda", "cuda:1"):
        found = choose_precision(name)
        assert found == Precision(name or "cuda", getattr(torch, dtype)) and found.scaled == scaled


def test_unavailable_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="Device 'cuda' is not available"):
        choose_precision("cuda")


def stepper(precision: Precision) -> tuple[Any, Stepper]:
    weight = torch.nn.Parameter(torch.ones(3))
    return weight, Stepper(torch.optim.SGD([weight], lr=1.0), [weight], precision)


def test_gradients_are_clipped_and_unscaled() -> None:
    for precision in (PLAIN, Precision("cpu", torch.float16)):
        weight, step = stepper(precision)
        step.step((weight * torch.tensor([3.0, 4.0, 0.0])).sum())
        assert torch.allclose(weight.detach(), torch.tensor([0.4, 0.2, 1.0]), atol=1e-5)


def test_overflowing_step_is_skipped() -> None:
    weight, step = stepper(Precision("cpu", torch.float16))
    before = step.state_dict()["scaler"]["scale"]
    step.step((weight * float("inf")).sum())
    assert torch.equal(weight.detach(), torch.ones(3)) and step.state_dict()["scaler"]["scale"] < before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs mallopt of glibc")
def test_freed_memory_is_kept() -> None:
    """In child processes, because the setting holds for a whole process."""
    code = (
        "import sys, torch; from vsearch.training.precision import keep_memory\n"
        "if sys.argv[1] == 'kept': keep_memory()\n"
        "made = [torch.ones(25_000_000) for _ in range(3)]; del made\n"  # 100 MB each
        "print(int(open('/proc/self/statm').read().split()[1]) * 4096 // 1_000_000)"
    )
    kept, plain = (
        int(subprocess.run([sys.executable, "-c", code, way], capture_output=True, check=True, text=True).stdout)
        for way in ("kept", "plain")
    )
    assert kept > plain + 250
