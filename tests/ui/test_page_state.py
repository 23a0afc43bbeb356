"""The state of the page: search, index runs, earlier queries, playback."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest

from tests.media import Shot, make_video
from vsearch.errors import InputError, LibraryMissing, PathError, QueryError
from vsearch.library.rows import SceneRow
from vsearch.settings import Settings
from vsearch.ui.ask import Ask
from vsearch.ui.history import FILE, KEPT, History
from vsearch.ui.page_state import PageState, checked_path
from vsearch.ui.playback import Span, how_to_play, made_clip, media_type
from vsearch.ui.uploads import PICTURE_LIMIT, from_page, from_upload

PATIENCE = 120.0


@pytest.fixture
def service(tmp_path: Path) -> PageState:
    """The state for a missing library; `films` has two videos."""
    films = tmp_path / "films"
    films.mkdir()
    make_video(films / "flags.mp4", [Shot("red", 2.0), Shot("green", 2.0), Shot("blue", 2.0)])
    make_video(films / "old.avi", [Shot("yellow", 2.0)], codec="mpeg4")
    return PageState(Settings(library=tmp_path / "library", model="fake", cache=tmp_path / "cache"))


@pytest.fixture
def full(service: PageState, tmp_path: Path) -> PageState:
    job = service.start_job(str(tmp_path / "films"), speech=False)
    job.wait(PATIENCE)
    assert job.state.run.summary is not None and job.state.run.summary.indexed == 2, job.state
    return service


def png(colour: tuple[int, int, int]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 36), colour).save(file, "PNG")
    return file.getvalue()


def test_missing_library_is_an_error_only_for_search(service: PageState) -> None:
    assert service.status() is None and service.recent(5) == [] and service.folders() == []
    with pytest.raises(LibraryMissing):
        service.search(Ask(q="red"))


def test_a_folder_is_indexed_and_searched_page_by_page(full: PageState, tmp_path: Path) -> None:
    status = full.status()
    assert status is not None and (status.videos, status.scenes) == (2, 4)
    first, second = full.search(Ask(q="red"), size=3), full.search(Ask(q="red", page=2), size=3)
    assert [len(first.hits), len(second.hits)] == [3, 1] and first.more and not second.more
    assert first.hits[0].video.name == "flags.mp4" and first.hits[0].start == 0.0
    assert first.best["visual"] == pytest.approx(1.0, abs=0.01) == second.best["visual"]
    assert {hit.scene_id for hit in (*first.hits, *second.hits)} == {1, 2, 3, 4}
    assert {hit.video.name for hit in full.recent(5)} == {"flags.mp4", "old.avi"}
    assert full.folders() == [str(tmp_path / "films")]
    full.close()


def test_filters_reach_the_engine(full: PageState, tmp_path: Path) -> None:
    assert not full.search(Ask(q="red", max_duration=1.0)).hits
    assert not full.search(Ask(q="red", has_speech=True)).hits
    assert len(full.search(Ask(q="red", folder=str(tmp_path / "films"))).hits) == 4
    assert not full.search(Ask(q="red", folder=str(tmp_path / "other"))).hits
    with pytest.raises(QueryError):
        full.search(Ask(q="red" * 5000))
    full.close()


def test_labels_are_listed(full: PageState, service: PageState) -> None:
    from vsearch.library import SceneLabel, SqliteStore
    from vsearch.models.fake import FakeModel

    assert full.labels() == []
    with SqliteStore.open(full.settings.library) as library:
        tags = [SceneLabel(1, "Flag", 9.0), SceneLabel(2, "Flag", 9.0), SceneLabel(2, "lawn", 9.0)]
        library.set_labels(FakeModel().space, ["flag", "lawn", "sea"], tags)
    fresh = PageState(full.settings)  # counts may be a few seconds old
    assert fresh.labels() == ["flag", "lawn"]
    assert {hit.scene_id for hit in fresh.search(Ask(q="red", label=("flag",))).hits} == {1, 2}
    assert [hit.scene_id for hit in fresh.search(Ask(label=("flag", "lawn"))).hits] == [2]
    fresh.close()
    full.close()


def test_an_example_replaces_text(full: PageState, tmp_path: Path) -> None:
    green = full.search(Ask(), from_upload("lawn.png", png((0, 200, 0))))
    assert green.hits[0].start == 2.0
    make_video(tmp_path / "clip.mp4", [Shot("yellow", 1.0)])
    clip = from_upload("clip.mp4", (tmp_path / "clip.mp4").read_bytes())
    assert full.search(Ask(), clip).hits[0].video.name == "old.avi"
    like = full.search(Ask(like=green.hits[0].scene_id))
    assert green.hits[0].scene_id not in {hit.scene_id for hit in like.hits}
    with pytest.raises(InputError, match=r"bad\.mp4"):
        full.search(Ask(), from_upload("bad.mp4", b"nothing"))
    with pytest.raises(QueryError):
        full.search(Ask(like=999))
    full.close()


def test_second_run_is_refused_during_the_first(
    full: PageState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = full.job
    assert running is not None
    monkeypatch.setattr(type(running), "state", property(lambda _: type("Going", (), {"over": False})()))
    with pytest.raises(InputError, match="already"):
        full.start_job(str(tmp_path / "films"))


@pytest.mark.parametrize("text", ["", "  ", "films", "a\0b", "/no/such/folder"])
def test_a_folder_that_cannot_be(text: str) -> None:
    with pytest.raises(PathError):
        checked_path(text)


def test_a_path_may_be_quoted_and_begin_with_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checked_path(f' "{tmp_path}" ') == tmp_path == checked_path("~")


@pytest.mark.parametrize("sent", [None, "x", {}, {"data": 7}, {"data": "***"}, {"data": ""}])
def test_what_is_no_picture(sent: object) -> None:
    with pytest.raises(InputError):
        from_page(sent)


def test_pictures_have_a_limit() -> None:
    with pytest.raises(InputError, match="20 MB"):
        from_page({"data": "A" * (PICTURE_LIMIT * 4 // 3 + 8)})
    with pytest.raises(InputError, match="20 MB"):
        from_upload("x.png", bytes(PICTURE_LIMIT + 1))
    pasted = from_page({"name": "n", "data": base64.b64encode(b"abc").decode()})
    assert (pasted.kind, pasted.name, pasted.data) == ("picture", "n", b"abc")


def test_history_keeps_the_last_queries_once_each(tmp_path: Path) -> None:
    history = History(tmp_path)
    for query in ("a dog", "a  cat ", "a dog", ""):
        history.add(query)
    assert history.queries() == ["a dog", "a cat"] == History(tmp_path).queries()
    for number in range(2 * KEPT):
        history.add(f"query {number}")
    assert len(history.queries()) == KEPT and len(history.queries(3)) == 3
    history.clear()
    assert History(tmp_path).queries() == []


@pytest.mark.parametrize("text", ["", "{", "{}", "[1, null]", '["", " "]'])
def test_damaged_history_is_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert History(tmp_path).queries() == []


def test_history_without_a_folder_is_kept_in_memory(tmp_path: Path) -> None:
    history = History(tmp_path / "none")
    history.add("a dog")
    assert history.queries() == ["a dog"] and not (tmp_path / "none").exists()


def test_a_browser_gets_the_file_or_a_clip_of_the_scene(full: PageState, tmp_path: Path) -> None:
    film = Span.of(SceneRow(1, 1, tmp_path / "films" / "flags.mp4", 2.0, 4.0))
    plan = how_to_play(film, tmp_path / "cache")
    assert (plan.kind, plan.offset) == ("original", 0.0) and media_type(film.path) == "video/mp4"
    assert how_to_play(film, tmp_path / "cache", clip=True).kind == "clip"
    old = Span.of(SceneRow(2, 2, tmp_path / "films" / "old.avi", 0.5, 1.5))
    plan = how_to_play(old, tmp_path / "cache")
    assert (plan.kind, plan.offset) == ("clip", 0.5)
    assert media_type(made_clip(old, tmp_path / "cache")) == "video/mp4"
    full.close()


def test_span_is_limited(tmp_path: Path) -> None:
    file = tmp_path / "a.html"
    file.write_bytes(b"<html>")
    row = SceneRow(1, 1, file, 2.0, 4.0)
    assert Span.of(row, 3.0, 9.0) == Span(file, 3.0, 9.0)
    assert Span.of(row, 3.0, 1e9).end == 123.0
    assert Span.of(row, 3.0, 1.0) == Span(file, 3.0, 4.0)
    assert Span.of(row, 5.0, None) == Span(file, 5.0, 5.1)
    assert media_type(file) == "application/octet-stream", "never a document"
    with pytest.raises(PathError, match="no longer in the library"):
        Span.of(None)
    with pytest.raises(PathError, match="does not exist any more"):
        Span.of(SceneRow(1, 1, tmp_path / "gone.mp4", 0.0, 1.0))
