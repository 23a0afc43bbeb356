"""A server over a library of one generated video and a few of numbers, in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import vsearch
from tests.media import Shot, make_video
from vsearch.api import Library
from vsearch.clips import ClipCache
from vsearch.indexer import IndexPlan, run_index
from vsearch.indexer.events import Event
from vsearch.library import SqliteStore
from vsearch.models.fake import FakeModel
from vsearch.search.example import Example
from vsearch.server.http_app import make_app
from vsearch.server.job_queue import Runner
from vsearch.server.limits import Limits
from vsearch.server.server_state import Access, ServerState

Serve = Callable[..., TestClient]


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one video: two seconds of red, then two of blue."""
    folder = tmp_path_factory.mktemp("footage")
    make_video(folder / "colours.mp4", [Shot("red", 2.0), Shot("blue", 2.0)])
    return folder


@pytest.fixture(scope="session")
def indexed(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its library. Tests that write make their own."""
    path = tmp_path_factory.mktemp("served") / "library"
    with SqliteStore.open(path, create=True) as library:
        list(run_index(library, IndexPlan(FakeModel()), [footage]))
    return path


@pytest.fixture
def serve(indexed: Path, tmp_path: Path) -> Iterator[Serve]:
    """serve(library=..., runner=..., **fields of Limits or Access) -> a client."""
    opened: list[tuple[ServerState, Library]] = []

    def make(
        *,
        library: Path | None = None,
        runner: Runner | None = None,
        roots: Sequence[Path] = (),
        access: Access | None = None,
        resolve: Callable[[Example], Example] | None = None,
        **limits: float,
    ) -> TestClient:
        served = vsearch.open(library or indexed, model="fake")
        if resolve is not None:
            served.resolve = resolve  # type: ignore[method-assign]

        def index(paths: Sequence[Path]) -> Generator[Event, None, None]:
            return run_index(served.store, IndexPlan(FakeModel()), paths)

        state = ServerState(
            served,
            ClipCache(tmp_path / "clips", 2**26),
            runner or index,
            tuple(roots),
            access or Access(),
            Limits(**limits),  # type: ignore[arg-type]
        )
        opened.append((state, served))
        return TestClient(make_app(state), base_url="http://localhost:8765")

    yield make
    for state, served in opened:
        assert state.close(), "a thread is still busy"
        served.close()


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve()
