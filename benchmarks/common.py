"""Parsers, timers and memory readings that the benchmarks share."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vsearch.errors import MediaError
from vsearch.indexer.probe import Probed, probe_video

Value = TypeVar("Value")


def new_parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m module` with its docstring as help, and --json."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=doc, formatter_class=formatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def timed(call: Callable[[], Value]) -> tuple[float, Value]:
    """Seconds that a call takes, and its result."""
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value


def wall_and_cpu(call: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds and CPU seconds of a call, ended child processes included."""
    cpu = _cpu_seconds()
    wall, _ = timed(call)
    return wall, _cpu_seconds() - cpu


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def resident(pid: int) -> int:
    """Resident memory of a process and its child processes in bytes, 0 where it has ended. Linux only."""
    try:
        fields = Path(f"/proc/{pid}/status").read_text()
        own = next((int(line.split()[1]) * 1024 for line in fields.splitlines() if line.startswith("VmRSS")), 0)
        children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    except OSError:
        return 0
    return own + sum(resident(child) for child in children)


def probed_video(path: Path) -> Probed:
    """What probing a video reports. Raises MediaError where it cannot be decoded."""
    probed = probe_video(path)
    if not isinstance(probed, Probed):
        raise MediaError(f"{path}: {probed.cause}")
    return probed
