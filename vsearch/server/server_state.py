"""The state of the HTTP server, shared by its routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request

from vsearch.api import Library
from vsearch.clips import ClipCache
from vsearch.server.job_queue import JobQueue, Runner
from vsearch.server.limits import Limits
from vsearch.server.pool import Pool
from vsearch.server.request_metrics import RequestMetrics


@dataclass(frozen=True, slots=True)
class Access:
    """Which requests are answered."""

    token: str = ""
    """The bearer token that clients must send; empty: none."""
    hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]"})
    """Allowed names in the Host header, without the port; empty: any."""


@dataclass(frozen=True, slots=True, eq=False)
class ServerState:
    """A library that is served."""

    library: Library
    clips: ClipCache
    index: Runner
    roots: tuple[Path, ...] = ()
    """Absolute folders; requests may index any file below them."""
    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    metrics: RequestMetrics = field(default_factory=RequestMetrics)
    quick: Pool = field(init=False)
    slow: Pool = field(init=False)
    jobs: JobQueue = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        object.__setattr__(self, "quick", Pool("quick", limits.quick_threads, limits.quick_waiting))
        object.__setattr__(self, "slow", Pool("slow", limits.slow_threads, limits.slow_waiting))
        object.__setattr__(self, "jobs", JobQueue(self.index, limits.jobs_waiting))

    def close(self, seconds: float = 3.0) -> bool:
        """Stop all threads. False if one of them is still busy after that time."""
        ended = [self.jobs.close(seconds), self.quick.close(seconds), self.slow.close(0.5)]
        return all(ended)


def state_of(request: Request) -> ServerState:
    state: ServerState = request.app.state.server
    return state
