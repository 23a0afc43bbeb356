"""Text in pictures: read where it stands and when, once; and what goes wrong costs that text alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.indexer.doubles import MeanColour
from tests.meanings import Thesaurus
from tests.media import DECODERS, Shot, make_audio, make_video
from tests.signs import Sign, put_up
from vsearch.errors import ModelError
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import Event, Finished, Indexed, Skipped, Summary, Transcribed, Unchanged, Untranscribed
from vsearch.indexer.ocr import ocr_options
from vsearch.indexer.options import OcrOptions
from vsearch.indexer.spool import Spool
from vsearch.library import SqliteStore
from vsearch.media import Segment

E = TypeVar("E")

READER = "tests.signs:SignReader"
SIZE = (640, 360)
SHOTS = [Shot("red", 4.0), Shot("texture", 5.0, 1)]
SIGNS = [
    Sign("platform nine", 0.0, 4.0),
    Sign("fresh bread", 4.0, 7.0, (0.2, 0.6, 0.8, 0.8)),
]


@pytest.fixture
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path_factory.mktemp("lib") / "library", create=True) as opened:
        yield opened


Index = Callable[..., tuple[list[Event], Summary]]


@pytest.fixture
def index(library: SqliteStore) -> Index:
    """index(path, ..., only=False, ocr=True, reader=READER, **options of the run) -> (events, summary)"""

    def go(
        *paths: Path,
        only: bool = False,
        ocr: bool = True,
        reader: str = READER,
        unavailable: str | None = None,
        sentences: Thesaurus | None = None,
        **options: Any,
    ) -> tuple[list[Event], Summary]:
        plan = IndexPlan(
            MeanColour(),
            IndexOptions(**options),
            ocr=OcrOptions(reader, unavailable) if ocr else None,
            sentences=sentences,
            only="ocr" if only else None,
        )
        events = list(run_index(library, plan, paths))
        assert isinstance(events[-1], Finished)
        return events, events[-1].summary

    return go


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cut at 4 s; a sign before it, and one for three seconds after it."""
    path = tmp_path_factory.mktemp("signs") / "signs.mp4"
    return make_video(path, SHOTS, size=SIZE, fps=10, paint=put_up(SIGNS)).path


def shown(library: SqliteStore, path: Path) -> list[Segment]:
    row = library.find_file(path)
    assert row is not None
    return [line for line in library.transcript(row.video_id) if line.channel == "ocr"]


def of(kind: type[E], events: Iterable[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def check(lines: list[Segment]) -> None:
    assert [line.text for line in lines] == ["platform nine", "fresh bread"]
    for line, sign in zip(lines, SIGNS, strict=True):
        assert line.start == pytest.approx(sign.start, abs=0.11)
        assert sign.end - 0.11 <= line.end <= sign.end + 3.0
        assert line.box is not None and line.confidence == 0.9
        box = (line.box.left, line.box.top, line.box.right, line.box.bottom)
        assert box == pytest.approx(sign.place, abs=0.01)


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_is_written_is_found_with_its_time_and_place(
    index: Index, library: SqliteStore, film: Path, decoder: str
) -> None:
    events, summary = index(film, decoders=(decoder,))
    check(shown(library, film))
    assert [(event.path, event.segments, event.frames) for event in of(Transcribed, events)] == [(film, 2, 3)]
    assert events.index(of(Indexed, events)[0]) < events.index(of(Transcribed, events)[0])
    assert (summary.indexed, summary.ocr_videos, summary.ocr_segments, summary.ocr_failed) == (1, 1, 2, ())
    hit = library.search_text("bread", 1, channel="ocr")[0]
    assert (hit.channel, hit.start) == ("ocr", pytest.approx(4.0, abs=0.11))
    assert library.search_text("bread", 1, channel="speech") == []
    state = library.status()
    assert (state.ocr_videos, state.ocr_segments, state.transcribed, state.speech_segments) == (1, 2, 0, 0)


@pytest.mark.parametrize("decoder", DECODERS)
def test_text_may_come_later(index: Index, library: SqliteStore, film: Path, decoder: str) -> None:
    index(film, ocr=False)
    assert shown(library, film) == []
    change = library.spaces()
    events, summary = index(film.parent, only=True, decoders=(decoder,))
    check(shown(library, film))
    assert (summary.ocr_videos, summary.indexed, of(Transcribed, events)[0].path) == (1, 0, film)
    assert library.spaces() == change
    assert [type(event) for event in index(film.parent, only=True)[0]] == [Unchanged, Finished]


def test_pictures_are_decoded_once_and_read_once(
    index: Index, library: SqliteStore, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr("vsearch.indexer.ocr.OcrStage._decode", never)
        index(film)
        events, summary = index(film)
    assert [type(event) for event in events] == [Unchanged, Finished] and summary.ocr_videos == 0
    # a library that was indexed without is read by the next run that is to
    library.forget_files([film])
    index(film, ocr=False)
    assert index(film)[1].ocr_videos == 1


def test_the_eyes_of_another_model_see_it_anew(index: Index, library: SqliteStore, film: Path) -> None:
    index(film)
    index(film, only=True, reader="tests.indexer.test_ocr:other")
    row = library.find_file(film)
    assert row is not None
    known = library.find_transcript(row.video_id, "ocr")
    assert known is not None and "signs 2" in known.recipe and known.source == "ocr"


def other() -> object:
    from tests.signs import SignReader

    reader = SignReader()
    reader.recipe = "signs 2"
    return reader


def test_what_does_not_fit_into_the_spool_is_decoded_again(
    index: Index, library: SqliteStore, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool.__init__, "__defaults__", (1000,))
    index(film)
    check(shown(library, film))


def test_text_gets_vectors_with_its_lines_and_older_text_without_reading_again(
    index: Index, library: SqliteStore, film: Path
) -> None:
    sentences = Thesaurus()
    space = sentences.space("ocr")
    index(film)
    assert len(library.without_passages(space)) == 1
    events, _ = index(film, only=True, sentences=sentences)
    assert (of(Transcribed, events), library.without_passages(space)) == ([], [])
    encoded = sentences.texts
    index(film, only=True, sentences=sentences)
    assert sentences.texts == encoded, "what has vectors is left alone"
    with SqliteStore.open(library.path.with_name("fresh"), create=True) as fresh:
        plan = IndexPlan(MeanColour(), ocr=OcrOptions(READER), sentences=sentences)
        for _ in run_index(fresh, plan, [film]):
            assert fresh.without_passages(space) == [], "lines and vectors come in one transaction"
        assert [row.vectors for row in fresh.spaces() if row.space == space] == [1]


def test_sound_and_strangers_are_passed_over(index: Index, library: SqliteStore, film: Path, tmp_path: Path) -> None:
    make_audio(tmp_path / "sound.m4a")
    (tmp_path / "note.txt").write_text("hello")
    index(film)
    _, summary = index(tmp_path, only=True)
    assert (summary.ocr_videos, summary.skipped) == (0, ())
    stranger = make_video(tmp_path / "new.mp4", [Shot("red", 1.0)]).path
    (skipped,) = of(Skipped, index(tmp_path, only=True)[0])
    assert skipped.path == stranger and "without --only" in skipped.cause


# -- what goes wrong


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The first holds what the readers that go wrong cannot bear."""
    folder = tmp_path_factory.mktemp("two")
    bad = make_video(folder / "a.mp4", [Shot("red", 2.0)], size=SIZE, fps=10, paint=put_up([Sign("no parking")])).path
    good = make_video(folder / "b.mp4", [Shot("blue", 2.0)], size=SIZE, fps=10, paint=put_up([Sign("fresh bread")]))
    return bad, good.path


HANG = 5.0
"""Seconds: long enough that a busy machine never takes this long for a sound picture."""


@pytest.mark.parametrize("only", [False, True])
def test_a_reader_that_crashes_costs_the_text_of_one_video(
    index: Index, library: SqliteStore, two: tuple[Path, Path], only: bool
) -> None:
    if only:
        index(*two, ocr=False)
    reader, cause = "tests.signs:CrashingReader", "the text reader crashed (signal 11)"
    _, summary = index(*two, only=only, reader=reader)
    assert [(event.path, event.cause) for event in summary.ocr_failed] == [(two[0], cause)]
    assert (summary.indexed, summary.ocr_videos) == (0 if only else 2, 1) and summary.useful
    assert shown(library, two[0]) == [] and [line.text for line in shown(library, two[1])] == ["fresh bread"]
    assert library.verify().clean and library.status().ocr_videos == 1
    # remembered: not tried again, unless asked
    assert index(*two, only=True, reader=reader)[1].ocr_failed == ()
    assert len(index(*two, only=True, reader=reader, retry_failed=True)[1].ocr_failed) == 1


def test_a_reader_that_hangs_costs_the_text_of_one_video(
    index: Index, library: SqliteStore, two: tuple[Path, Path]
) -> None:
    _, summary = index(*two, reader="tests.signs:HangingReader", hang_seconds=HANG)
    said = "the text reader hung (no sign of life for 5 s)"
    assert [(event.path, event.cause) for event in summary.ocr_failed] == [(two[0], said)]
    assert (summary.indexed, summary.ocr_videos) == (2, 1)
    assert [line.text for line in shown(library, two[1])] == ["fresh bread"]


def test_an_exception_of_the_reader_is_one_line(index: Index, two: tuple[Path, Path]) -> None:
    _, summary = index(*two, reader="tests.signs:RaisingReader")
    assert {event.cause for event in summary.ocr_failed} == {"ZeroDivisionError: letters of nothing"}
    assert summary.indexed == 2


def test_weights_that_cannot_be_loaded_are_said_once(
    index: Index, library: SqliteStore, two: tuple[Path, Path]
) -> None:
    _, summary = index(*two, reader="tests.signs:DamagedReader")
    assert [event.cause for event in summary.ocr_failed] == ["the weights are gone"]
    assert summary.note == "no ocr transcript of 1 file: the weights are gone" and summary.indexed == 2
    assert index(*two)[1].ocr_videos == 2


def test_a_decoder_that_fails_gives_way_to_the_next(index: Index, library: SqliteStore, film: Path) -> None:
    index(film, ocr=False)
    _, summary = index(film, only=True, decoders=("tests.indexer.broken:crashes", "pyav"))
    assert summary.ocr_failed == ()
    check(shown(library, film))


def test_no_decoder_is_left(index: Index, library: SqliteStore, film: Path) -> None:
    index(film, ocr=False)
    _, summary = index(film, only=True, decoders=("tests.indexer.broken:refuses", "tests.indexer.broken:nothing"))
    assert [event.cause for event in summary.ocr_failed] == ["I will not"]


def test_without_a_reader_pictures_are_indexed_all_the_same(index: Index, library: SqliteStore, film: Path) -> None:
    options = ocr_options("tests.signs:missing")
    assert options.unavailable == "reading text in pictures needs spectacles"
    _, summary = index(film, reader=options.reader, unavailable=options.unavailable)
    assert (summary.indexed, summary.note) == (1, f"no ocr transcript of 1 file: {options.unavailable}")
    with pytest.raises(ModelError, match="spectacles"):
        index(film, only=True, unavailable=options.unavailable)
    assert ocr_options(READER).unavailable is None


def test_a_file_that_changed_keeps_its_place(index: Index, library: SqliteStore, film: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(film.read_bytes())
    index(path, ocr=False)
    with path.open("ab") as file:
        file.write(b"more")
    (skipped,) = of(Skipped, index(path, only=True)[0])
    assert "without --only" in skipped.cause and of(Untranscribed, index(path, only=True)[0]) == []
