"""A library, a transcriber of beeps and a video, for tests of transcripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.indexer.doubles import MeanColour
from tests.media import Shot, make_video
from tests.sounds import BeepReader
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import (
    Event,
    Finished,
    Summary,
)
from vsearch.indexer.options import SpeechOptions
from vsearch.library import SqliteStore

E = TypeVar("E")


@pytest.fixture
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path_factory.mktemp("lib") / "library", create=True) as opened:
        yield opened


@pytest.fixture
def reader() -> BeepReader:
    return BeepReader()


Index = Callable[..., tuple[list[Event], Summary]]


@pytest.fixture
def index(library: SqliteStore, reader: BeepReader) -> Index:
    """index(path, ..., only=False, **speech options) -> (events, summary)."""

    def go(
        *paths: Path, only: bool = False, prune: bool = False, retry_failed: bool = False, **words: object
    ) -> tuple[list[Event], Summary]:
        options = IndexOptions(prune=prune, retry_failed=retry_failed)
        speech = SpeechOptions(**{"transcriber": reader, **words})  # type: ignore[arg-type]
        plan = IndexPlan(MeanColour(), options, speech=speech, only="speech" if only else None)
        events = list(run_index(library, plan, paths))
        assert isinstance(events[-1], Finished)
        return events, events[-1].summary

    return go


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Two seconds of red with a tone from end to end."""
    (tmp_path / "v").mkdir()
    return make_video(tmp_path / "v" / "talk.mkv", [Shot("red", 2.0)], audio=True).path


def said(library: SqliteStore, path: Path) -> list[str]:
    row = library.find_file(path)
    assert row is not None
    return [line.text for line in library.transcript(row.video_id)]


def source(library: SqliteStore, path: Path) -> str | None:
    row = library.find_file(path)
    assert row is not None
    known = library.find_transcript(row.video_id)
    return None if known is None else known.source


def of(kind: type[E], events: Iterable[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]
