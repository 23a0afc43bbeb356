"""Text in pictures through the commands: read, printed, found, and what is said where nothing can read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commands import Vsearch, one_line, vsearch
from tests.media import Shot, make_video
from tests.signs import Sign, put_up

__all__ = ["vsearch"]  # the fixture


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two scenes; a sign in the second."""
    (tmp_path / "films").mkdir()
    signs = [Sign("platform nine", start=2.0)]
    shots = [Shot("red", 2.0), Shot("texture", 2.0, 3)]
    return make_video(tmp_path / "films" / "a.mp4", shots, size=(320, 180), fps=10, paint=put_up(signs)).path


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsearch.indexer.run.DEFAULT_READER", "tests.signs:SignReader")


@pytest.mark.usefixtures("reader")
def test_what_is_written_is_read_printed_and_found(vsearch: Vsearch, film: Path) -> None:
    ran = vsearch("index", film.parent, "--ocr")
    assert ran.code == 0 and "Text in frames of 1 video recognised (1 segment)" in ran.out
    assert vsearch("transcript", film, "--channel", "ocr").out == "platform nine\n"
    (line,) = vsearch("transcript", film, "--channel", "ocr", "--format", "json").json["segments"]
    assert line["confidence"] == 0.9 and line["box"]["left"] == pytest.approx(0.1, abs=0.01)
    assert (line["start"], line["end"]) == (pytest.approx(2.0, abs=0.11), pytest.approx(4.0, abs=0.11))
    (hit,) = vsearch("query", "platform nine", "--channel", "ocr", "--json").json
    assert (hit["channels"], hit["start"]) == ({"ocr": 1.0}, pytest.approx(2.0, abs=0.11))
    assert "platform nine" in vsearch("query", "platform nine", "-k", "1").out
    status = vsearch("status")
    assert "OCR" in status.out and "1 segments of 1 videos" in status.out
    assert vsearch("status", "--json").json["ocr_videos"] == 1
    assert vsearch("verify").code == 0


@pytest.mark.usefixtures("reader")
def test_text_is_left_out_unless_asked_for_and_may_come_later(vsearch: Vsearch, film: Path) -> None:
    assert vsearch("index", film.parent, "--json").json["ocr_videos"] == 0
    assert "--only ocr" in one_line(vsearch("transcript", film, "--channel", "ocr").err)
    assert vsearch("index", film.parent, "--only", "ocr", "--json").json["ocr_videos"] == 1
    assert vsearch("transcript", film, "--channel", "ocr").out == "platform nine\n"
    assert "1 unchanged" in vsearch("index", film.parent, "--only", "ocr").out


def test_without_a_reader_it_is_said_in_one_line(vsearch: Vsearch, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsearch.indexer.run.DEFAULT_READER", "tests.signs:missing")
    ran = vsearch("index", film.parent, "--ocr")
    assert ran.code == 0 and "no ocr transcript of 1 file: reading text in pictures needs spectacles" in ran.out
    ran = vsearch("index", film.parent, "--only", "ocr")
    assert ran.code == 1 and "needs spectacles" in one_line(ran.err)


@pytest.mark.skipif(find_spec("rapidocr") is not None, reason="rapidocr is installed")
def test_the_line_names_the_extra(vsearch: Vsearch, film: Path) -> None:
    vsearch("index", film.parent)
    ran = vsearch("index", film.parent, "--only", "ocr")
    assert ran.code == 1 and "vsearch[ocr]" in one_line(ran.err)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("index", ".", "--only", "ocr", "--prune"), "--only ocr goes without"),
        (("index", ".", "--only", "speech", "--ocr"), "--only speech goes without"),
        (("transcript", "a.mp4", "--channel", "smell"), "--channel takes speech or ocr"),
        (("query", "a", "--channel", "smell"), "use all, visual, speech, ocr"),
    ],
)
def test_what_makes_no_sense(vsearch: Vsearch, arguments: tuple[str, ...], says: str) -> None:
    ran = vsearch(*arguments)
    assert ran.code == 1 and says in one_line(ran.err)
