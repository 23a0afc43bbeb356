"""Several models in one library, on the command line: index, query, `vsearch models default` and `remove`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.commands import Vsearch, index_once, one_line, vsearch
from tests.media import Shot, make_video
from tests.models.tiny import write_tiny
from vsearch.library import SqliteStore

__all__ = ["vsearch"]  # the fixture

SRT = "1\n00:00:00,500 --> 00:00:01,250\nto the lighthouse\n"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    make_video(folder / "flags.mp4", [Shot("red", 2), Shot("blue", 2)])
    make_video(folder / "sea.mp4", [Shot("blue", 2)])
    (folder / "sea.srt").write_text(SRT)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def indexed(
    vsearch: Vsearch,
    films: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """With the fake model, which then is the library's own: no variable names one any more."""
    index_once(vsearch, films, tmp_path, tmp_path_factory)
    monkeypatch.delenv("VSEARCH_MODEL")
    return films


def spaces(tmp_path: Path) -> list[tuple[str, int]]:
    with SqliteStore.open(tmp_path / "library") as library:
        assert library.verify().clean and library.status().speech_segments == 1
        with library.transaction() as connection:
            assert connection.execute("SELECT COUNT(*) FROM thumbnails").fetchone() == (3,)
        return [(row.space.model, row.videos) for row in library.spaces() if row.space.channel == "visual"]


def test_a_library_goes_on_with_the_model_that_it_began_with(
    vsearch: Vsearch, indexed: Path, tiny: Path, tmp_path: Path
) -> None:
    assert vsearch("models", "default", "--json").json == {"model": "fake", "missing": []}
    assert vsearch("query", "red", "-k", 1, "--json").json[0]["channels"].keys() == {"visual"}
    assert vsearch("index", indexed, "--json").json["unchanged"] == 2
    assert vsearch("index", indexed, "--model", tiny, "--json").json["indexed"] == 2
    assert spaces(tmp_path) == [("fake", 2), ("tiny", 2)]
    assert vsearch("models", "default", "--json").json["model"] == "fake"
    assert vsearch("status", "--json").json["default_model"] == "fake"
    assert "fake answers" in vsearch("status").out
    assert vsearch("query", '"lighthouse"', "--json").json[0]["segments"]


@pytest.mark.parametrize("asked", [["-m", "fake+{tiny}"], ["-m", "fake", "-m", "{tiny}"]])
def test_two_models_are_asked_together(vsearch: Vsearch, indexed: Path, tiny: Path, asked: list[str]) -> None:
    assert vsearch("index", indexed, "--model", tiny, "--quiet").code == 0
    ran = vsearch("query", "red", "-k", 1, "--json", *[text.format(tiny=tiny) for text in asked])
    (hit,) = ran.json
    assert (Path(hit["video"]).name, hit["start"]) == ("flags.mp4", 0)
    assert hit["channels"].keys() == {"visual:fake", "visual:tiny"} and hit["score"] == pytest.approx(1)


def test_a_folder_with_a_plus_in_its_name_is_one_model(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "a+b")
    assert vsearch("index", indexed, "--model", folder, "--quiet").code == 0
    assert vsearch("query", "red", "--model", folder, "-k", 1, "--json").json[0]["channels"].keys() == {"visual"}


def test_another_default_says_what_is_missing(vsearch: Vsearch, indexed: Path, tiny: Path, tmp_path: Path) -> None:
    assert vsearch("index", indexed / "sea.mp4", "--model", tiny, "--quiet").code == 0
    ran = vsearch("models", "default", tiny)
    assert ran.code == 0 and "1 of 2 videos are not encoded with it yet" in ran.out
    assert "--encode" in one_line(ran.err)
    assert spaces(tmp_path) == [("fake", 2), ("tiny", 1)]
    ran = vsearch("models", "default", tiny, "--encode", "--json")
    assert ran.json == {"model": str(tiny), "missing": []}
    assert spaces(tmp_path) == [("fake", 2), ("tiny", 2)]
    assert vsearch("query", "red", "-k", 1, "--json").json[0]["score"] == pytest.approx(1, abs=0.05)
    assert vsearch("models", "default").out == f"The model is {tiny}.\n"


@pytest.mark.parametrize(("answer", "videos"), [("y\n", 2), ("n\n", 0)])
def test_on_a_terminal_it_asks(
    vsearch: Vsearch,
    indexed: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    videos: int,
) -> None:
    monkeypatch.setattr("vsearch.cli.models._is_terminal", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    ran = vsearch("models", "default", tiny)
    assert ran.code == 0 and "Encode them now?" in ran.out
    assert dict(spaces(tmp_path)).get("tiny", 0) == videos


def test_remove(vsearch: Vsearch, indexed: Path, tiny: Path, tmp_path: Path) -> None:
    assert vsearch("index", indexed, "--model", tiny, "--quiet").code == 0
    refused = vsearch("models", "remove", "fake")
    assert refused.code == 1 and "choose another model first" in one_line(refused.err)
    ran = vsearch("models", "remove", tiny)
    assert ran.code == 0 and "3 embeddings of 2 videos" in ran.out and "freed" in ran.out
    assert spaces(tmp_path) == [("fake", 2)]
    assert vsearch("query", "red", "-k", 1, "--json").json[0]["video"].endswith("flags.mp4")


def test_a_default_that_is_gone_from_the_disk_can_be_replaced_and_removed(
    vsearch: Vsearch, indexed: Path, tmp_path: Path
) -> None:
    folder = write_tiny(tmp_path / "gone")
    assert vsearch("models", "default", folder, "--encode").code == 0
    (folder / "config.json").unlink()
    assert vsearch("query", "red").code == 1
    assert vsearch("models", "default", "fake").code == 0
    held = [row for row in vsearch("status", "--json").json["spaces"] if row["channel"] == "visual"]
    fingerprint = held[1]["fingerprint"]
    assert vsearch("models", "remove", fingerprint[:8], "--json").json["vectors"] == 3
    assert spaces(tmp_path) == [("fake", 2)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("models", "remove", "nothing"), "no embeddings of a model 'nothing', only of: fake"),
        (("models", "default", "fakee"), "did you mean fake"),
        (("query", "red", "--model", "fake+fakee"), "did you mean fake"),
        (("query", "red", "--model", "fake+mini"), "no embeddings of the model 'mini'"),
        (("index", ".", "--model", "fake+mini"), "one model at a time"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    vsearch: Vsearch, indexed: Path, arguments: tuple[str, ...], says: str
) -> None:
    ran = vsearch(*arguments)
    assert ran.code == 1 and says in one_line(ran.err), ran.err


def test_a_video_that_no_other_model_knows_is_kept(vsearch: Vsearch, indexed: Path, tiny: Path, tmp_path: Path) -> None:
    assert vsearch("models", "default", tiny, "--no-encode").code == 0
    ran = vsearch("models", "remove", "fake")
    assert ran.code == 1 and "2 videos are encoded with this model alone" in one_line(ran.err)
    assert spaces(tmp_path) == [("fake", 2)]
