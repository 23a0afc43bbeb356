"""An index run in a thread: its state, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vsearch.errors import LibraryLocked
from vsearch.indexer.events import Event, Finished, Indexed, Progress, Skipped, Started, Summary
from vsearch.indexer.state import RunState
from vsearch.ui.index_thread import IndexThread, ThreadState

FILM = Path("/films/a.mp4")
PATIENCE = 60.0
SUMMARY = Summary(1, 0, 0, 0, 0, (), scenes=3, footage=10.0, wall=1.0)


def ended(events: Iterator[Event]) -> ThreadState:
    job = IndexThread(lambda: events)
    job.wait(PATIENCE)
    state = job.state
    assert state.over
    return state


def test_state_follows_the_events() -> None:
    state = ended(
        iter(
            [
                Started(FILM),
                Progress(FILM, 5.0, 10.0, 5.0, 20.0, all_discovered=True),
                Indexed(FILM, 3, 10.0),
                Skipped(Path("/films/b.mp4"), "broken"),
                Finished(SUMMARY),
            ]
        )
    )
    assert (state.doing, state.share, state.run.indexed, state.run.summary) == ("a.mp4", 0.25, 1, SUMMARY)
    assert state.problems == [(Path("/films/b.mp4"), "broken")]
    assert not state.stopped and state.error is None


def test_error_of_vsearch_is_the_state_s_error() -> None:
    def locked() -> Iterator[Event]:
        raise LibraryLocked("another process is writing")
        yield

    assert ended(locked()).error == "another process is writing"


def test_unexpected_error_ends_the_run_without_details(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[Event]:
        yield Started(FILM)
        raise RuntimeError("secret")

    state = ended(broken())
    assert state.error is not None and "secret" not in state.error
    assert "secret" in caplog.text


def test_stop_closes_the_run() -> None:
    began, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def events() -> Iterator[Event]:
        try:
            yield Indexed(FILM, 3, 10.0)
            began.set()
            go_on.wait(PATIENCE)
            yield Started(FILM)
            raise AssertionError("it was stopped before")
        finally:
            closed.set()

    job = IndexThread(events)
    assert began.wait(PATIENCE) and not job.state.over
    job.stop()
    go_on.set()
    job.wait(PATIENCE)
    assert closed.is_set()
    state = job.state
    assert state.over and state.stopped and state.run.indexed == 1 and state.error is None


def test_remaining_time_needs_a_final_total() -> None:
    state = ThreadState(RunState(done=30.0, total=90.0, total_final=True), elapsed=10.0)
    assert state.speed == 3.0 and state.left == 20.0
    assert ThreadState(RunState(done=30.0, total=90.0), elapsed=10.0).left is None
    assert ThreadState(RunState(), elapsed=10.0).share == 0.0
