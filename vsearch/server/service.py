"""What the routes work with: one object, made by whoever starts the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request

from vsearch.clips import ClipCache
from vsearch.library import SqliteStore
from vsearch.search.engine import SearchEngine
from vsearch.search.example import ClipExample
from vsearch.server.jobs import Jobs, Runner
from vsearch.server.limits import Limits
from vsearch.server.metrics import RequestMetrics
from vsearch.server.pool import Pool


@dataclass(frozen=True, slots=True)
class Tools:
    """What the server has others do; the indexer is no part of this package."""

    index: Runner
    encode_clip: Callable[[Path], ClipExample]
    """A file to what the engine looks for. PathError, MediaError."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who is answered."""

    token: str = ""
    """What a client must say, where it is not empty."""
    hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]"})
    """Names that a client may call the server by, without the port; empty: any."""


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A library that is served."""

    library: SqliteStore
    engine: SearchEngine
    clips: ClipCache
    tools: Tools
    roots: tuple[Path, ...] = ()
    """Folders below which requests may have anything indexed; absolute."""
    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    metrics: RequestMetrics = field(default_factory=RequestMetrics)
    quick: Pool = field(init=False)
    slow: Pool = field(init=False)
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        object.__setattr__(self, "quick", Pool("quick", limits.quick_threads, limits.quick_waiting))
        object.__setattr__(self, "slow", Pool("slow", limits.slow_threads, limits.slow_waiting))
        object.__setattr__(self, "jobs", Jobs(self.tools.index, limits.jobs_waiting))

    def close(self, seconds: float = 3.0) -> bool:
        """End all threads. False where one of them is still busy after that time."""
        ended = [self.jobs.close(seconds), self.quick.close(seconds), self.slow.close(0.5)]
        return all(ended)


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
