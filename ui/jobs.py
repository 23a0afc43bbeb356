"""Indexing a folder from the page: a thread that the page may watch and stop. Files are decoded in processes of their
own, a video is written in one transaction: whenever it stops, the library holds whole videos."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vsearch.errors import VsearchError
from vsearch.indexer.events import (
    Event,
    Finished,
    Indexed,
    Listening,
    Progress,
    Skipped,
    Started,
    Summary,
    Transcribed,
    Untranscribed,
)

log = logging.getLogger(__name__)

TROUBLES = 20
"""Files that could not be used, as many as are shown while it runs; the summary holds all."""


@dataclass(frozen=True, slots=True)
class JobState:
    """What is known of a run at one moment."""

    paths: tuple[Path, ...]
    doing: str = "looking for videos"
    done: float = 0.0
    """Seconds of footage."""
    total: float = 0.0
    whole: bool = False
    """The total will not grow any more."""
    elapsed: float = 0.0
    """Seconds since it began."""
    indexed: int = 0
    heard: int = 0
    """Files whose words are in the library."""
    troubles: tuple[tuple[Path, str], ...] = ()
    summary: Summary | None = None
    error: str | None = None
    """Why it ended early: one line."""
    stopped: bool = False
    """Somebody stopped it."""
    over: bool = False

    @property
    def share(self) -> float:
        """[0, 1]"""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    @property
    def speed(self) -> float:
        """Seconds of footage a second."""
        return self.done / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that it will still take, once that can be told."""
        if self.over or not self.whole or self.elapsed < 3 or self.done <= 0:
            return None
        return max(0.0, (self.total - self.done) / self.speed)


class IndexJob:
    """One run. events: called in the job's thread; draws the run's events, and closing it ends the run."""

    def __init__(self, paths: tuple[Path, ...], events: Callable[[], Iterator[Event]]) -> None:
        self._events = events
        self._guard = threading.Lock()
        self._state = JobState(paths)
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    @property
    def state(self) -> JobState:
        with self._guard:
            state = self._state
        return state if state.over else replace(state, elapsed=time.monotonic() - self._began)

    def stop(self, wait: float = 0.0) -> None:
        """Ask it to end; what was indexed is kept. wait: seconds to wait for that, at most."""
        self._stop.set()
        self._thread.join(wait)

    def wait(self, seconds: float) -> None:
        """Until it is over, but not longer than that."""
        self._thread.join(seconds)

    def _run(self) -> None:
        error: str | None = None
        try:
            events = self._events()
            try:
                for event in events:
                    self._set(_after(self._state, event))
                    if self._stop.is_set():
                        break
            finally:
                if isinstance(events, Generator):
                    events.close()
        except VsearchError as known:
            error = str(known)
        except OSError as system:
            error = f"The system says: {system.strerror or system}"
        except Exception:  # the page must learn that it ended; the log says why
            log.exception("indexing ended")
            error = "Indexing ended because of an error in the program. The terminal says more."
        self._set(
            replace(
                self._state,
                error=error,
                stopped=self._stop.is_set() and self._state.summary is None,
                over=True,
                elapsed=time.monotonic() - self._began,
            )
        )

    def _set(self, state: JobState) -> None:
        with self._guard:
            self._state = state


def _after(state: JobState, event: Event) -> JobState:
    match event:
        case Started(path=path):
            return replace(state, doing=path.name)
        case Progress():
            return replace(
                state,
                done=event.run_done,
                total=max(event.run_total, event.run_done),
                whole=event.all_discovered,
                doing=event.path.name,
            )
        case Indexed():
            return replace(state, indexed=state.indexed + 1)
        case Listening(path=path):
            return replace(state, doing=f"listening to {path.name}")
        case Transcribed():
            return replace(state, heard=state.heard + 1)
        case Skipped(path=path, cause=cause) | Untranscribed(path=path, cause=cause):
            return replace(state, troubles=(*state.troubles, (path, cause))[-TROUBLES:])
        case Finished(summary=summary):
            return replace(state, summary=summary)
    return state
