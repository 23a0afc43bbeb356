"""How a run of the indexer goes about it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from vsearch.indexer.decode import DEFAULT_DECODERS
from vsearch.indexer.scenes import LONGEST_SCENE


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """All have defaults that suit a laptop."""

    workers: int = 1
    """Videos decoded at once, each in a process of its own. More than one pays where one decoder cannot keep up with
    the encoder: many cores, or an accelerator."""
    prune: bool = False
    """Forget files that are gone from the folders given."""
    dry_run: bool = False
    """Say what would be done; write nothing."""
    retry_failed: bool = False
    """Try files again that failed before and have not changed since."""
    frame_interval: float = 1.0
    """Seconds between encoded frames."""
    batch_size: int = 16
    """Frames that go through the encoder at once."""
    threads: int | None = None
    """Decoding threads of each worker; None: the cores shared out among the workers, at most 4 each."""
    hang_seconds: float = 30.0
    """A decoder that gives no sign of life for so long is killed."""
    decoders: tuple[str, ...] = DEFAULT_DECODERS
    """Backends, asked in this order: the next one where the one before fails, hangs or crashes."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.batch_size < 1 or (self.threads is not None and self.threads < 1):
            raise ValueError(
                "workers, batch_size and threads are at least 1: "
                f"{self.workers = }, {self.batch_size = }, {self.threads = }"
            )
        if not 0 < self.frame_interval <= LONGEST_SCENE / 2:
            raise ValueError(f"frame_interval must be in (0, {LONGEST_SCENE / 2}] seconds: {self.frame_interval = }")
        if not self.decoders:
            raise ValueError("at least one decoder is needed")

    @property
    def decoding_threads(self) -> int:
        return self.threads or max(1, min(4, available_cores() // self.workers))


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
