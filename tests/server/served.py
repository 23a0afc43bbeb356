"""A server over a library of one generated video and a few of numbers, in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.media import Shot, make_video
from vsearch.clips import ClipCache
from vsearch.indexer import IndexPlan, run_index
from vsearch.indexer.clip import encode_clip
from vsearch.indexer.events import Event
from vsearch.library import SqliteStore
from vsearch.models.fake import FakeModel
from vsearch.search.engine import SearchEngine
from vsearch.server.app import make_app
from vsearch.server.jobs import Runner
from vsearch.server.limits import Limits
from vsearch.server.service import Access, Service, Tools

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
    open_things: list[tuple[Service, SqliteStore]] = []

    def make(
        *,
        library: Path | None = None,
        runner: Runner | None = None,
        roots: Sequence[Path] = (),
        access: Access | None = None,
        encode: Callable[[Path], object] | None = None,
        **limits: float,
    ) -> TestClient:
        model = FakeModel()
        opened = SqliteStore.open(library or indexed)

        def index(paths: Sequence[Path]) -> Generator[Event, None, None]:
            return run_index(opened, IndexPlan(model), paths)

        service = Service(
            opened,
            SearchEngine(opened, model),
            ClipCache(tmp_path / "clips", 2**26),
            Tools(runner or index, encode or (lambda path: encode_clip(path, [model]))),  # type: ignore[arg-type]
            tuple(roots),
            access or Access(),
            Limits(**limits),  # type: ignore[arg-type]
        )
        open_things.append((service, opened))
        return TestClient(make_app(service), base_url="http://localhost:8765")

    yield make
    for service, opened in open_things:
        assert service.close(), "a thread is still busy"
        opened.close()


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve()
