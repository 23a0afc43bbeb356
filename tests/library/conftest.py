from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vsearch.library import SqliteStore, Store

OpenStore = Callable[[], Store]


def sqlite_store(folder: Path) -> Store:
    return SqliteStore.open(folder / "library", create=True)


@pytest.fixture(params=[sqlite_store])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens the store of a test, of every implementation of `Store`; each call is another reader and writer of it."""
    return lambda: request.param(tmp_path)  # type: ignore[no-any-return]


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[Store]:
    opened = open_store()
    yield opened
    opened.close()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        yield opened
