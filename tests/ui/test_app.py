"""The page without a browser: its states, by Streamlit's own AppTest. What the results' script does is in
test_browser.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("streamlit", reason="needs the extra ui: make test-ui")

from streamlit.testing.v1 import AppTest

from tests.ui.conftest import PATIENCE, ROOT, make_films, make_library
from vsearch.library.sqlite_store import CATALOG
from vsearch.settings import read_settings
from vsearch.ui.page_state import close_states, shared_state

if TYPE_CHECKING:
    Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("colours")
    return make_library(place / "library", make_films(place / "films"))


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Open]:
    """The page of a library, with this address."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(library: Path, **address: str) -> AppTest:
        monkeypatch.setenv("VSEARCH_LIBRARY", str(library))
        monkeypatch.setenv("VSEARCH_MODEL", "fake")
        app = AppTest.from_file(str(ROOT / "ui" / "app.py"), default_timeout=PATIENCE)
        app.query_params.update(address)
        app.run()
        assert not app.exception, app.exception
        return app

    yield run
    close_states()


def hits(app: AppTest) -> list[dict[str, Any]]:
    """What the results' script was given."""
    (component,) = app.get("bidi_component")
    found: list[dict[str, Any]] = json.loads(component.proto.json)["hits"]
    return found


def texts(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def test_page_without_library_shows_the_index_form(show: Open, tmp_path: Path) -> None:
    app = show(tmp_path / "library")
    assert "There is no library yet" in texts(app) and "~/library" in texts(app)
    app.button[-1].click().run()
    assert app.error[0].value == r"Type the path of a folder with videos\."
    assert not (tmp_path / "library").exists()


def test_page_without_query_shows_the_newest_videos(show: Open, colours: Path) -> None:
    app = show(colours)
    assert "2 videos · 5 scenes" in texts(app)
    assert {hit["name"] for hit in hits(app)} == {"flags.mp4", "old.avi"}


def test_address_holds_the_search(show: Open, colours: Path) -> None:
    app = show(colours, q="blue", min_duration="1")
    assert app.text_input(key="q").value == "blue" and app.number_input(key="min_duration").value == 1.0
    best = hits(app)[0]
    assert (best["name"], best["start"]) == ("flags.mp4", 4.0)
    app.text_input(key="q").set_value("yellow").run()
    assert app.query_params == {"q": "yellow", "min_duration": "1"}
    assert hits(app)[0]["name"] == "old.avi"
    app.button(key="drop_min_duration").click().run()
    assert app.query_params == {"q": "yellow"}


def test_label_filter_is_shown_where_the_library_has_labels(show: Open, colours: Path, tmp_path: Path) -> None:
    from vsearch.library import SceneLabel, SqliteStore
    from vsearch.models.fake import FakeModel

    assert not show(colours, q="red").multiselect
    labelled = make_library(tmp_path / "library", make_films(tmp_path / "films"))
    with SqliteStore.open(labelled) as library:
        library.set_labels(
            FakeModel().space, ["flag", "lawn"], [SceneLabel(1, "flag", 9.0), SceneLabel(2, "lawn", 9.0)]
        )
    app = show(labelled, q="red", label="Flag\nunheard of")
    assert app.multiselect(key="label").options == ["flag", "lawn", "unheard of"] and hits(app) == []
    app.multiselect(key="label").set_value(["flag"]).run()
    assert app.query_params == {"q": "red", "label": "flag"} and [hit["id"] for hit in hits(app)] == [1]
    app.text_input(key="q").set_value("").run()
    assert [hit["id"] for hit in hits(app)] == [1]
    app.button(key="drop_label").click().run()
    assert app.query_params == {}


def test_widgets_follow_a_changed_address(show: Open, colours: Path) -> None:
    app = show(colours, q="blue", channel="visual")
    app.query_params.clear()
    app.query_params["q"] = "red"
    app.run()
    assert app.text_input(key="q").value == "red" and hits(app)[0]["start"] == 0.0


def test_like_searches_similar_scenes(show: Open, colours: Path) -> None:
    like = hits(show(colours, q="yellow"))[0]["id"]
    app = show(colours, like=str(like))
    assert like not in {hit["id"] for hit in hits(app)} and len(hits(app)) == 4
    app.button(key="drop_like").click().run()
    assert app.query_params == {}


def test_earlier_queries_can_be_repeated_and_cleared(show: Open, colours: Path) -> None:
    show(colours, q="green *stars*")
    app = show(colours, q="green")
    assert app.button(key="earlier1").label == r"green \*stars\*"
    app.button(key="earlier1").click().run()
    assert app.query_params == {"q": "green *stars*"}
    app.button(key="forget").click().run()
    assert shared_state(read_settings()).history.queries() == []


def test_page_without_hits_gives_a_hint(show: Open, colours: Path) -> None:
    assert "Remove a filter" in texts(show(colours, q="red", max_duration="0.5"))
    assert "Words in quotes" in texts(show(colours, q='"never said"'))


def test_invalid_query_shows_its_error(show: Open, colours: Path) -> None:
    app = show(colours, q="x" * 20_000)
    assert "20000 characters" in app.warning[0].value
    app = show(colours, like="999")
    assert "999" in app.warning[0].value


def test_page_number_beyond_the_last(show: Open, colours: Path) -> None:
    app = show(colours, q="red", page="7")
    assert "No scene matches" in texts(app)
    better = next(button for button in app.button if button.label == "← Better")
    better.click().run()
    assert app.query_params["page"] == "6"


def test_damaged_library_shows_one_line(show: Open, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / CATALOG).write_bytes(b"no catalog" * 1000)
    app = show(library)
    assert len(app.error) == 1 and "Traceback" not in app.error[0].value
    assert hits(app) == []


def test_unknown_model_shows_its_error(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSEARCH_LIBRARY", str(colours))
    monkeypatch.setenv("VSEARCH_MODEL", "nobody")
    app = AppTest.from_file(str(ROOT / "ui" / "app.py"), default_timeout=PATIENCE).run()
    assert not app.exception and "no model" in app.error[0].value


def test_folder_is_indexed_from_the_page(show: Open, tmp_path: Path) -> None:
    films = make_films(tmp_path / "films")
    (films / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(2000))
    library = tmp_path / "library"
    app = show(library)
    app.text_input(key="first_folder").set_value(str(films))
    app.checkbox(key="first_speech").uncheck()
    app.button[-1].click().run()
    job = shared_state(read_settings()).job
    assert job is not None
    job.wait(PATIENCE)
    app.run()
    assert "2 videos indexed: 5 scenes" in app.success[0].value and "1 could not be used" in app.success[0].value
    assert any("broken" in caption.value for caption in app.caption)
    assert len(hits(app)) == 2
    app.button(key="read_job").click().run()
    assert not app.success
