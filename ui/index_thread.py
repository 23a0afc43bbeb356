"""An index run that the page starts: a thread that the page watches and stops. A video is written in one transaction,
so the library holds whole videos whenever the run stops."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vsearch.errors import VsearchError
from vsearch.indexer.events import Event
from vsearch.indexer.state import RunState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ThreadState:
    """The state of an index run at one moment."""

    run: RunState
    elapsed: float = 0.0
    """Seconds since it began."""
    error: str | None = None
    """Why it ended early: one line."""
    stopped: bool = False
    """The user stopped it."""
    over: bool = False

    @property
    def doing(self) -> str:
        """What it is working on."""
        return f"{self.run.activity} {self.run.path.name if self.run.path else ''}".strip()

    @property
    def problems(self) -> list[tuple[Path, str]]:
        """Paths that could not be used, with the cause."""
        return [(problem.path, problem.cause) for problem in self.run.problems]

    @property
    def share(self) -> float:
        """[0, 1]"""
        return min(1.0, self.run.done / self.run.total) if self.run.total > 0 else 0.0

    @property
    def speed(self) -> float:
        """Seconds of footage a second."""
        return self.run.done / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Estimated seconds to the end; None while the total may grow."""
        if self.over or not self.run.total_final or self.elapsed < 3 or self.run.done <= 0:
            return None
        return max(0.0, (self.run.total - self.run.done) / self.speed)


class IndexThread:
    """One index run in a thread. events: called in that thread; closing what it returns ends the run."""

    def __init__(self, events: Callable[[], Iterator[Event]]) -> None:
        self._events = events
        self._state = ThreadState(RunState())
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    @property
    def state(self) -> ThreadState:
        state = self._state
        return state if state.over else replace(state, elapsed=time.monotonic() - self._began)

    def stop(self, wait: float = 0.0) -> None:
        """Stop the run; what was indexed is kept. wait: seconds to wait for its end, at most."""
        self._stop.set()
        self._thread.join(wait)

    def wait(self, seconds: float) -> None:
        """Wait for the end, at most so many seconds."""
        self._thread.join(seconds)

    def _run(self) -> None:
        error: str | None = None
        run = self._state.run
        try:
            events = self._events()
            try:
                for event in events:
                    run.add(event)
                    if self._stop.is_set():
                        break
            finally:
                if isinstance(events, Generator):
                    events.close()
        except VsearchError as known:
            error = str(known)
        except OSError as system:
            error = f"The system says: {system.strerror or system}"
        except Exception:  # the page shows that it ended, the log says why
            log.exception("indexing ended")
            error = "Indexing ended because of an error in the program. The terminal says more."
        stopped, elapsed = self._stop.is_set() and run.summary is None, time.monotonic() - self._began
        self._state = ThreadState(run, elapsed, error, stopped, over=True)
