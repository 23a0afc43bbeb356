"""`vsearch query --image, --clip, --like` and the filters as the user calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands import Ran, Vsearch, index_once, one_line, vsearch
from tests.media import COLOURS, Shot, make_video

__all__ = ["vsearch"]  # the fixture

SRT = "1\n00:00:00,500 --> 00:00:01,250\nHallo\n"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    make_video(folder / "flags.mp4", [Shot("red", 2), Shot("blue", 2)])
    (folder / "sea").mkdir()
    make_video(folder / "sea" / "me@sea.mkv", [Shot("blue", 3)])
    (folder / "sea" / "me@sea.de.srt").write_text(SRT)
    return folder


@pytest.fixture
def indexed(vsearch: Vsearch, films: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_once(vsearch, films, tmp_path, tmp_path_factory)


def found(ran: Ran) -> list[tuple[str, float]]:
    assert ran.code == 0, ran.err
    return [(Path(hit["video"]).name, round(hit["start"])) for hit in ran.json]


def test_a_picture_a_clip_and_a_scene_may_be_asked_with(vsearch: Vsearch, indexed: Path, tmp_path: Path) -> None:
    picture = tmp_path / "blue.png"
    Image.fromarray(np.full((20, 30, 3), COLOURS["blue"], np.uint8)).save(picture)
    assert set(found(vsearch("query", "--image", picture, "-k", 2, "--json"))) == {("me@sea.mkv", 0), ("flags.mp4", 2)}
    assert found(vsearch("query", "red", "--image", picture, "-k", 3, "--json"))[0] in {
        ("me@sea.mkv", 0),
        ("flags.mp4", 0),
        ("flags.mp4", 2),
    }
    clip = make_video(tmp_path / "clip.mp4", [Shot("red", 1.0)]).path
    assert found(vsearch("query", "--clip", clip, "-k", 1, "--json")) == [("flags.mp4", 0)]
    like = f"{indexed}/sea/me@sea.mkv@0:01.5"
    assert found(vsearch("query", "--like", like, "-k", 1, "--json")) == [("flags.mp4", 2)]
    assert ("flags.mp4", 2) not in found(vsearch("query", "--like", f"{indexed}/flags.mp4@3", "--json"))


def test_filters(vsearch: Vsearch, indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(indexed)
    assert found(vsearch("query", "blue", "--folder", "./sea", "--json")) == [("me@sea.mkv", 0)]
    assert found(vsearch("query", "blue", "--language", "ger", "--json")) == [("me@sea.mkv", 0)]
    assert found(vsearch("query", "blue", "--has-speech", "--json")) == [("me@sea.mkv", 0)]
    assert set(found(vsearch("query", "blue", "--no-speech", "--json"))) == {("flags.mp4", 0), ("flags.mp4", 2)}
    assert len(found(vsearch("query", "blue", "--max-duration", "2.5", "--json"))) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--image", "none.png"), "none.png cannot be read: no such file"),
        (("--image", "."), "cannot be read: is a directory"),
        (("--image", "text.png"), "not one of JPEG"),
        (("--clip", "none.mp4"), "none.mp4 cannot be read: no such file"),
        (("--clip", "text.png"), "cannot be used as a clip"),
        (("--image", "text.png", "--like", "a@1"), "--image and --like exclude each other"),
        (("--like", "flags.mp4"), "--like takes a file and a time"),
        (("--like", "flags.mp4@-1"), "--like takes a file and a time"),
        (("--like", "flags.mp4@nan"), "--like takes a file and a time"),
        (("--like", "flags.mp4@1:2:3:4"), "--like takes a file and a time"),
        (("--like", "flags.mp4@99"), "no scene at 99 s: it lasts from 0 to 4 s"),
        (("--like", "none.mp4@1"), "is not in the library"),
        (("--like", "flags.mp4@1", "--moments"), "omit --moments"),
        (("--like", "flags.mp4@1", "--rerank", "itm"), "needs text"),
        ((), "The query is empty"),
        (("red", "--folder", ""), "paths is empty"),
        (("red", "--language", ""), "no language"),
        (("red", "--min-duration", "3", "--max-duration", "2"), "No scene lasts"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    vsearch: Vsearch, indexed: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(indexed)
    (indexed / "text.png").write_text("no picture")
    ran = vsearch("query", *options)
    assert ran.code == 1 and says in one_line(ran.err), ran.err
