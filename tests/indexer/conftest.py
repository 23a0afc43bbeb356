"""Videos that many tests look at, made once a session; a way to run the indexer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.indexer.doubles import DictLibrary, MeanColour
from tests.media import Made, Shot, make_video
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import Event, Finished, Summary

Run = Callable[..., tuple[list[Event], Summary]]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three shots: red, blocks, panning blocks. 4 seconds."""
    shots = [Shot("red", 1.0), Shot("texture", 1.5, 1), Shot("moving", 1.5, 7)]
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", shots)


@pytest.fixture
def library() -> DictLibrary:
    return DictLibrary()


@pytest.fixture
def run(library: DictLibrary) -> Run:
    """run(path, ..., **options) -> (events, summary), with the mean-colour encoder or the one given."""

    def go(*paths: Path, encoder: Any = None, **options: Any) -> tuple[list[Event], Summary]:
        events = list(run_index(library, IndexPlan(encoder or MeanColour(), IndexOptions(**options)), paths))
        last = events[-1]
        assert isinstance(last, Finished)
        return events, last.summary

    return go
