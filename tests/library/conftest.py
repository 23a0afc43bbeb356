from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vsearch.library import SqliteStore


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        yield opened
