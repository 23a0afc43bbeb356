"""Words through the commands: subtitles without any model, what was heard as text, what is said where there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.commands import Vsearch, one_line, vsearch
from tests.media import Shot, make_video
from tests.sounds import BeepReader, beeps, write_sound
from vsearch.errors import InputError
from vsearch.media import Segment
from vsearch.transcripts import FORMATS, render

__all__ = ["vsearch"]  # the fixture

SRT = "1\n00:00:00,500 --> 00:00:01,250\nAsk not what\n\n2\n00:00:01,500 --> 00:00:02,000\nyour country <b>can</b> do\n"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    path = make_video(tmp_path / "films" / "a.mkv", [Shot("red", 2.0)], audio=True).path
    path.with_suffix(".en.srt").write_text(SRT)
    return path


def test_subtitles_need_no_speech_model(vsearch: Vsearch, film: Path) -> None:
    ran = vsearch("index", film.parent)
    assert ran.code == 0 and "Speech of 1 file transcribed (2 segments)" in ran.out
    assert "no speech transcript" not in ran.out
    assert vsearch("transcript", film).out == "Ask not what\nyour country can do\n"
    srt = vsearch("transcript", film, "--format", "srt").out
    assert srt == SRT.replace("<b>can</b>", "can") + "\n"
    assert vsearch("transcript", film, "-f", "vtt").out.startswith(
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nAsk not what"
    )
    value = vsearch("transcript", film, "-f", "json").json
    assert (value["source"], value["language"], len(value["segments"])) == ("sidecar", "en", 2)


def test_words_that_are_not_all_are_printed_with_what_is_missing(vsearch: Vsearch, film: Path) -> None:
    film.with_suffix(".en.srt").write_text(SRT + "\n3\n00:10:00,000 --> 00:10:01,000\nlate\n\n4\nxx --> yy\nz\n")
    assert "a.mkv: 1 subtitle of a.en.srt cannot be read" in one_line(vsearch("index", film.parent).err)
    ran = vsearch("transcript", film)
    assert (ran.code, ran.out) == (0, "Ask not what\nyour country can do\n")
    assert "1 subtitle of a.en.srt begins after the end of the video" in one_line(ran.err)


def test_what_nobody_listened_to_is_said_in_one_line(vsearch: Vsearch, film: Path) -> None:
    film.with_suffix(".en.srt").unlink()
    ran = vsearch("index", film.parent)
    assert ran.code == 0 and "Indexed 1 video" in ran.out
    # Which of the two is missing depends on what is installed beside the tests: the library, or the weights.
    assert re.search(
        r"no speech transcript of 1 file: (there is no folder \./nowhere|speech needs faster-whisper)", ran.out
    )
    assert "--only speech" in one_line(vsearch("transcript", film).err)
    assert "not in the library" in one_line(vsearch("transcript", film.with_name("b.mkv")).err)


def test_speech_may_be_left_out_and_added_later(
    vsearch: Vsearch, film: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    film.with_suffix(".en.srt").unlink()
    assert "no speech transcript" not in vsearch("index", film.parent, "--no-speech").out
    monkeypatch.setattr("vsearch.models.whisper_transcriber.load_transcriber", lambda name, **options: BeepReader())
    ran = vsearch("index", film.parent, "--only", "speech", "--json")
    assert (ran.json["indexed"], ran.json["transcribed"], ran.json["note"]) == (0, 1, None)
    assert set(vsearch("transcript", film).out.split()) == {"beep"}
    write_sound(film.with_name("b.wav"), [beeps(2.0, (0.5, 1.0))], codec="pcm_s16le")
    assert "1 unchanged" in vsearch("index", film.parent).out
    assert vsearch("transcript", film.with_name("b.wav"), "-f", "srt").out.startswith(
        "1\n00:00:00,500 --> 00:00:01,000"
    )
    assert vsearch("verify").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("index", ".", "--only", "text"), "--only takes speech or ocr"),
        (("index", ".", "--only", "speech", "--dry-run"), "--only speech goes without"),
        (("index", ".", "--only", "speech", "--library", "nowhere"), "no library"),
    ],
)
def test_what_makes_no_sense(vsearch: Vsearch, arguments: tuple[str, ...], says: str) -> None:
    ran = vsearch(*arguments)
    assert ran.code == 1 and says in one_line(ran.err)


LINES = [
    Segment(0.0, 1.0, "one --> two\nthree \x1b[31m"),
    Segment(3661.5, 3662.0, "<script> & co"),
]


def test_no_word_breaks_a_format() -> None:
    assert render(LINES, "txt") == "one -> two three [31m\n<script> & co\n"
    srt = render(LINES, "srt")
    assert srt.count("-->") == 2 and "01:01:01,500 --> 01:01:02,000" in srt and srt.endswith("\n\n")
    assert "&lt;script&gt; &amp; co" in render(LINES, "vtt")
    assert json.loads(render(LINES, "json"))["segments"][0]["text"] == LINES[0].text
    assert render([], "txt") == ""
    with pytest.raises(InputError, match="txt, srt, vtt, json, not 'doc'"):
        render(LINES, "doc")
    assert FORMATS == ("txt", "srt", "vtt", "json")


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_what_is_written_can_be_read(form: str, tmp_path: Path) -> None:
    from vsearch.indexer.subtitles import read_subtitles

    lines = [Segment(0.5, 1.25, "Ask not what"), Segment(3661.5, 3662.0, "a < b & c")]
    path = tmp_path / f"a.{form}"
    path.write_text(render(lines, form), encoding="utf-8")
    assert list(read_subtitles(path).lines) == lines
