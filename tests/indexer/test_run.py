"""What a run is put together from: settings, and what is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.media import Shot, make_video
from vsearch.errors import UnknownModel
from vsearch.indexer import IndexOptions
from vsearch.indexer.run import prepare_run
from vsearch.library import SqliteStore
from vsearch.models.fake import FakeModel
from vsearch.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(library=tmp_path / "library", cache=tmp_path / "cache", speech_model=str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("asked", "encodes", "listens", "reads"),
    [
        ({}, True, True, False),
        ({"speech": False}, True, False, False),
        ({"ocr": True}, True, True, True),
        ({"only": "speech"}, False, True, False),
        ({"only": "ocr"}, False, False, True),
    ],
)
def test_a_run_has_what_it_is_asked_for(
    settings: Settings, asked: dict[str, Any], encodes: bool, listens: bool, reads: bool
) -> None:
    plan = prepare_run(settings, "fake", IndexOptions(retry_failed=True), language="en", audio_track=2, **asked).plan
    speech = plan.speech
    assert speech is not None
    # There is no such speech model: a run that wants one has the reason.
    assert (plan.encoder is not None, speech.unavailable is not None, plan.ocr is not None) == (encodes, listens, reads)
    assert (speech.language, speech.audio_track, plan.options.retry_failed) == ("en", 2, True)


def test_batches_are_what_suits_the_model(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare_run(settings, "fake", IndexOptions(batch_size=5)).plan.options.batch_size == 5
    monkeypatch.setattr(FakeModel, "batch_size", 64, raising=False)
    run = prepare_run(settings, "fake", IndexOptions(batch_size=5, workers=2))
    assert (run.plan.options.batch_size, run.plan.options.workers) == (64, 2)


def test_a_library_goes_on_with_the_model_of_its_first_run(settings: Settings, tmp_path: Path) -> None:
    film = make_video(tmp_path / "a.mp4", [Shot("red", 1.0)]).path
    with SqliteStore.open(settings.library, create=True) as library:
        list(prepare_run(settings, "fake", IndexOptions(dry_run=True)).events(library, [film]))
        assert library.default_model() is None
        stopped = prepare_run(settings, "fake", speech=False).events(library, [film])
        next(stopped)
        stopped.close()
        assert library.default_model() is None and library.files() == []
        list(prepare_run(settings, "fake", speech=False).events(library, [film]))
        assert library.default_model() == "fake" and [row.path for row in library.files()] == [film]


def test_a_model_that_nobody_knows_leaves_nothing_behind(settings: Settings) -> None:
    with pytest.raises(UnknownModel):
        prepare_run(settings, "nobody")
    assert not settings.library.exists()
