"""The indexer with the library that people have."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.indexer.doubles import MeanColour
from tests.media import Made, Shot, make_video
from vsearch.errors import LibraryError, LibraryLocked
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import Finished, Indexed, Moved, Summary
from vsearch.library import SqliteStore

FOOTAGE = Path(__file__).parents[3] / "shared" / "data" / "videos"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "library", create=True) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, clip: Made) -> Path:
    (tmp_path / "videos").mkdir()
    shutil.copy(clip.path, tmp_path / "videos" / "clip.mp4")
    make_video(tmp_path / "videos" / "long.mkv", [Shot("green", 12.0), Shot("blue", 1.0)], fps=10)
    return tmp_path / "videos"


def index(library: SqliteStore, *paths: Path, encoder: MeanColour | None = None, **options: object) -> Summary:
    *_, last = run_index(library, IndexPlan(encoder or MeanColour(), IndexOptions(**options)), paths)  # type: ignore[arg-type]
    assert isinstance(last, Finished)
    return last.summary


def test_what_is_indexed_is_there(library: SqliteStore, folder: Path) -> None:
    encoder = MeanColour()
    summary = index(library, folder, encoder=encoder)
    status = library.status()
    assert (status.videos, status.scenes) == (summary.indexed, summary.scenes) == (2, 6)
    assert status.seconds == pytest.approx(summary.footage, abs=0.01)
    green = encoder.encode_frames(encoder_input((30, 180, 40)))
    _, ids = library.search_scenes(encoder.space, green, 2)
    found = library.scenes(ids[0].tolist())
    assert [found[int(i)].path.name for i in ids[0]] == ["long.mkv", "long.mkv"]
    assert library.verify().clean


def encoder_input(colour: tuple[int, int, int]) -> object:
    import numpy as np

    return np.full((1, 48, 64, 3), colour, np.uint8)


def test_again_moved_changed_gone(library: SqliteStore, folder: Path) -> None:
    index(library, folder)
    assert index(library, folder).unchanged == 2
    (folder / "clip.mp4").rename(folder / "moved.mp4")
    make_video(folder / "long.mkv", [Shot("red", 2.0)], fps=10)
    summary = index(library, folder, prune=True)
    assert (summary.moved, summary.replaced, summary.pruned) == (1, 1, 0)
    (folder / "moved.mp4").unlink()
    assert index(library, folder, prune=True).pruned == 1
    assert library.status().videos == 1 and library.verify().clean


@pytest.mark.parametrize("swap", [False, True])
def test_names_that_are_handed_on(library: SqliteStore, tmp_path: Path, swap: bool) -> None:
    for number in (1, 2):
        make_video(tmp_path / f"{number}.mp4", [Shot("texture", 0.4 + 0.2 * number, number)])
    index(library, tmp_path)
    index(library, tmp_path, encoder=MeanColour("other"))
    names = [("2", "t"), ("1", "2"), ("t", "1")] if swap else [("2", "3"), ("1", "2")]
    for old, new in names:
        (tmp_path / f"{old}.mp4").rename(tmp_path / f"{new}.mp4")
    summary = index(library, tmp_path)
    assert (summary.indexed, summary.moved) == (0, 2)
    assert index(library, tmp_path, encoder=MeanColour("other")).unchanged == 2
    assert library.status().videos == 2 and library.verify().clean


def test_a_name_handed_on_while_a_run_was_killed(library: SqliteStore, tmp_path: Path) -> None:
    for number in (1, 2):
        make_video(tmp_path / f"{number}.mp4", [Shot("texture", 0.4 + 0.2 * number, number)])
    index(library, tmp_path)
    (tmp_path / "2.mp4").rename(tmp_path / "3.mp4")
    (tmp_path / "1.mp4").rename(tmp_path / "2.mp4")
    events = run_index(library, IndexPlan(MeanColour()), [tmp_path])
    assert isinstance(next(events), Moved)
    events.close()  # type: ignore[attr-defined]
    assert library.status().videos == 1
    summary = index(library, tmp_path)
    assert (summary.indexed, summary.moved, summary.unchanged) == (0, 1, 1)


def test_a_name_that_other_content_took(library: SqliteStore, tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [Shot("texture", 0.6, 1)])
    index(library, tmp_path)
    (tmp_path / "a.mp4").rename(tmp_path / "z.mp4")
    (tmp_path / "a.mp4").write_text("no video")
    summary = index(library, tmp_path)
    assert (summary.indexed, summary.moved, len(summary.skipped)) == (0, 1, 1)
    make_video(tmp_path / "z.mp4", [Shot("texture", 0.8, 2)])
    assert index(library, tmp_path).replaced == 1
    assert library.status().videos == library.spaces()[0].videos == 1
    assert library.spaces()[0].vectors == library.status().scenes


def test_two_spaces(library: SqliteStore, folder: Path) -> None:
    index(library, folder)
    index(library, folder, encoder=MeanColour("other", size=(96, 96)))
    assert [row.videos for row in library.spaces()] == [2, 2]
    assert index(library, folder).unchanged == 2


def test_failures_are_kept_and_go_with_their_file(library: SqliteStore, folder: Path) -> None:
    (folder / "bad.mp4").write_text("text")
    index(library, folder)
    assert [failure.stamp.path.name for failure in library.status().failures] == ["bad.mp4"]
    (folder / "bad.mp4").unlink()
    index(library, folder, prune=True)
    assert library.status().failures == ()


def test_one_writer_at_a_time(library: SqliteStore, folder: Path) -> None:
    events = run_index(library, IndexPlan(MeanColour()), [folder])
    while not isinstance(next(events), Indexed):
        pass
    with SqliteStore.open(library.path) as second, pytest.raises(LibraryLocked):
        index(second, folder)
    with SqliteStore.open(library.path) as reader:
        assert reader.status().videos == 1
        assert index(reader, folder, dry_run=True).unchanged == 1  # looks only
    rest = list(events)
    assert isinstance(rest[-1], Finished) and rest[-1].summary.indexed == 2


def test_a_library_that_cannot_be_written_to(
    library: SqliteStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(library, folder / "clip.mp4")

    def refuse(*_: object) -> int:
        raise LibraryError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(library, "add_video", refuse)
        with pytest.raises(LibraryError, match="full"):
            index(library, folder)
    assert library.status().videos == 1 and library.verify().clean
    assert index(library, folder).indexed == 1


@pytest.mark.skipif(not FOOTAGE.is_dir(), reason="no real footage at hand")
def test_real_footage(library: SqliteStore) -> None:
    summary = index(library, FOOTAGE / "msvd", FOOTAGE / "misc" / "test.avi", FOOTAGE / "misc" / "nasa_13013.mp4")
    assert summary.indexed == 7 and not summary.skipped
    assert library.verify().clean
