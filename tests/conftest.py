"""Fixtures of all tests. Tests see no VSEARCH_ variable and write nothing into the user's data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.children import TEMPLATE, ForkingPopen

# Wall-clock time says nothing on a busy machine.
settings.register_profile("vsearch", deadline=None)
settings.load_profile("vsearch")

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # the workers are as many as the cores
    os.environ.setdefault(threads, "1")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real footage, outside the repository; tests that use it are skipped without it."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith("VSEARCH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="session", autouse=True)
def forked_children() -> Iterator[None]:
    """Children of the product are forks of a process that has imported what they need: see tests/children.py."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            patch.setattr(subprocess, "Popen", ForkingPopen)
        yield
    TEMPLATE.close()


@pytest.fixture(autouse=True)
def fresh_where_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("fresh_processes"):
        monkeypatch.setattr(ForkingPopen, "forks", False)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch on tensors of a few numbers: more threads only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("no real footage in ../shared/data")
    return SHARED
