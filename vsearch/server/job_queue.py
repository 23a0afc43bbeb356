"""Index runs that clients request: one at a time, with a bounded queue; the last REMEMBERED jobs can be looked up."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsearch.errors import VsearchError
from vsearch.indexer.events import Event
from vsearch.indexer.state import RunState

log = logging.getLogger(__name__)

REMEMBERED = 100


Runner = Callable[[Sequence[Path]], Generator[Event, None, None]]
"""Starts an index run of paths, as events; closing the generator ends the run."""


class JobsFull(Exception):
    """Too many jobs are waiting."""


@dataclass(slots=True)
class _Job:
    id: str
    paths: list[Path]
    state: str = "queued"
    run: RunState = field(default_factory=RunState)
    error: str | None = None


class JobQueue:
    """A queue of index runs and the thread that runs them."""

    def __init__(self, runner: Runner, waiting: int) -> None:
        self._runner = runner
        self._queue: queue.Queue[_Job | None] = queue.Queue(waiting)
        self._jobs: dict[str, _Job] = {}
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="vsearch-jobs", daemon=True)
        self._thread.start()

    def add(self, paths: list[Path]) -> dict[str, Any]:
        """A new job, as JSON. Raises JobsFull."""
        job = _Job(secrets.token_hex(8), paths)
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise JobsFull from None
        with self._guard:
            self._jobs[job.id] = job
            over = [key for key, old in self._jobs.items() if old.state not in ("queued", "running")]
            for key in over[: max(0, len(self._jobs) - REMEMBERED)]:
                del self._jobs[key]
        return _as_json(job)

    def find(self, job_id: str) -> dict[str, Any] | None:
        """A job, as JSON."""
        with self._guard:
            job = self._jobs.get(job_id)
        return None if job is None else _as_json(job)

    def counts(self) -> dict[str, int]:
        """The number of jobs in each state, among those that can be looked up."""
        counts = dict.fromkeys(("queued", "running", "done", "failed", "stopped"), 0)
        with self._guard:
            for job in self._jobs.values():
                counts[job.state] += 1
        return counts

    def close(self, seconds: float) -> bool:
        """End the current run; indexed videos stay. Returns whether it ended within this time."""
        self._stopping.set()
        while True:
            try:
                self._queue.put_nowait(None)
                break
            except queue.Full:
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    continue
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None and not self._stopping.is_set():
            job.state = "running"
            try:
                job.state = self._run(job)
            except VsearchError as error:
                job.error, job.state = str(error), "failed"
            except Exception:
                log.exception("an index run ended")
                job.error, job.state = "The run ended early: see the server's log.", "failed"

    def _run(self, job: _Job) -> str:
        run = self._runner(job.paths)
        try:
            for event in run:
                job.run.add(event)
                if self._stopping.is_set():
                    return "stopped"
        finally:
            run.close()
        return "done"


def _as_json(job: _Job) -> dict[str, Any]:
    run = job.run
    return {
        "id": job.id,
        "state": job.state,
        "file": None if run.path is None or run.summary is not None else str(run.path),
        "done_seconds": round(run.done, 3),
        "total_seconds": round(run.total, 3),
        "indexed": run.indexed,
        "skipped": len(run.skipped),
        "error": job.error,
        "summary": None if run.summary is None else run.summary.as_json(),
    }
