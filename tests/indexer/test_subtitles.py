"""Subtitle files as people and programs write them, and as they get broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsearch.errors import MediaError
from vsearch.indexer.sidecars import match, ranked
from vsearch.indexer.subtitles import LONGEST_TEXT, read_subtitles, within
from vsearch.media import Segment, Word

SRT = """1
00:00:01,000 --> 00:00:02,500
Hello, <i>world</i>!

2
00:00:03,000 --> 00:00:04,000
- Two lines
- of <font color="#fff">talk</font>
"""
VTT = """WEBVTT - a title

STYLE
::cue { color: red }

NOTE 00:01 is no time

intro
00:01.000 --> 00:02.500 align:start position:0%
<v Anna>Hello, <c.loud>world</c>!

1:00:03.000 --> 1:00:04.000
R&amp;D &lt;3
"""
ASS = r"""[Script Info]
Title: x
[V4+ Styles]
Format: Name, Fontname
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,second, with a comma
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not shown
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\an8}Hello,\N{\i1}world{\i0}!
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\p1}m 0 0 l 100 0{\p0}
"""


def read(tmp_path: Path, data: str | bytes, name: str = "a.srt") -> list[tuple[float, float, str]]:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return [(line.start, line.end, line.text) for line in read_subtitles(path).lines]


def test_subrip(tmp_path: Path) -> None:
    assert read(tmp_path, SRT) == [(1.0, 2.5, "Hello, world!"), (3.0, 4.0, "- Two lines - of talk")]


def test_webvtt(tmp_path: Path) -> None:
    assert read(tmp_path, VTT, "a.vtt") == [(1.0, 2.5, "Hello, world!"), (3603.0, 3604.0, "R&D <3")]


def test_substation(tmp_path: Path) -> None:
    assert read(tmp_path, ASS, "a.ass") == [(1.0, 2.5, "Hello, world!"), (3.0, 4.0, "second, with a comma")]


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_and_marks(tmp_path: Path, ending: str) -> None:
    expected = read(tmp_path, SRT)
    text = SRT.replace("\n", ending)
    assert read(tmp_path, b"\xef\xbb\xbf" + text.encode()) == expected
    assert read(tmp_path, text.encode("utf-16")) == expected


def test_old_encodings(tmp_path: Path) -> None:
    assert read(tmp_path, "1\n00:00:01,000 --> 00:00:02,000\ncafé\n".encode("cp1252")) == [(1.0, 2.0, "café")]


def test_broken_cues_are_left_out_and_counted(tmp_path: Path) -> None:
    text = SRT + "\n3\n00:00:09,000 --> 00:00:05,000\nbackwards\n\n4\n00:00:xx --> 1\nno time\n\n5\n"
    path = tmp_path / "a.srt"
    path.write_text(text)
    found = read_subtitles(path)
    assert (len(found.lines), found.unreadable) == (2, 2)


def test_missing_empty_lines(tmp_path: Path) -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\none\n2\n00:00:03,000 --> 00:00:04,000\ntwo\n"
    assert [line[2] for line in read(tmp_path, text)] == ["one", "two"]


def test_rolling_captions_are_read_once(tmp_path: Path) -> None:
    cues = ["we begin", "we begin\nwith a cake", "we begin\nwith a cake", "with a cake\nand cream", "no", "no way"]
    text = "WEBVTT\n\n" + "".join(f"00:0{i}.000 --> 00:0{i + 1}.000\n{cue}\n\n" for i, cue in enumerate(cues))
    assert [line[2] for line in read(tmp_path, text)] == ["we begin", "with a cake", "and cream", "no", "way"]


@pytest.mark.parametrize(
    "data",
    [
        b"just a letter",
        b"\x00\x01\x02\x03" * 10,
        b"1\n00:00:05,000 --> 00:00:01,000\nx\n",
        b"[Events]\nDialogue: 1,2\n",
    ],
    ids=["prose", "bytes", "backwards", "short"],
)
def test_what_is_no_subtitle_file_is_said_in_one_line(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(MediaError) as raised:
        read(tmp_path, data)
    assert "a.srt" in str(raised.value) and "\n" not in str(raised.value)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, b"") == []


def srt(*cues: str) -> str:
    return "".join(f"{n}\n{times}\nword {n}\n\n" for n, times in enumerate(cues, 1))


def test_cues_that_nobody_ended_end_where_others_follow(tmp_path: Path) -> None:
    text = srt(
        "00:00:01,000 --> 99:00:00,000",
        "00:00:02,000 --> 00:00:04,000",
        "00:00:10,000 --> 00:20:00,000",
        "00:00:40,000 --> 00:00:41,000",
        "00:01:00,000 --> 00:01:59,000",
        "00:01:30,000 --> 00:01:31,000",
        "00:02:00,000 --> 00:09:00,000",
    )
    assert [line[:2] for line in read(tmp_path, text)] == [
        (1.0, 6.0), (2.0, 4.0), (10.0, 40.0), (40.0, 41.0), (60.0, 119.0), (90.0, 91.0), (120.0, 540.0)
    ]  # fmt: skip


def test_times_that_are_negative_or_lack_a_fraction(tmp_path: Path) -> None:
    text = srt("-00:00:01,000 --> 00:00:00,500", "-00:00:09,000 --> -00:00:08,000", "00:00:03 --> 0:0:4,5")
    path = tmp_path / "a.srt"
    path.write_text(text)
    found = read_subtitles(path)
    assert [(line.start, line.end) for line in found.lines] == [(0.0, 0.5), (3.0, 4.5)]
    assert found.unreadable == 1


@pytest.mark.parametrize("clock", ["inf", "nan", "1e5", "1_0", "-1", "9" * 400 + ":00:00", "0:" * 500 + "1"])
def test_clocks_that_are_none(tmp_path: Path, clock: str) -> None:
    for text in (ASS + f"Dialogue: 0,0:00:05.00,{clock},,,0,0,0,,x\n", SRT + f"\n3\n00:00:05,000 --> {clock}\nx\n"):
        path = tmp_path / "a.srt"
        path.write_text(text)
        found = read_subtitles(path)
        assert (len(found.lines), found.unreadable) == (2, 1)


def test_no_line_ends_after_its_video() -> None:
    words = (Word(7.0, 7.5, "a"), Word(7.5, 9.0, "b"), Word(9.0, 9.5, "c"))
    lines = [
        Segment(1.0, 2.0, "in"),
        Segment(7.0, 9.5, "a b c", words=words),
        Segment(8.0, 9.0, "x"),
    ]
    inside = within(lines, 8.0)
    assert inside[0] is lines[0]
    assert [(line.start, line.end) for line in inside] == [(1.0, 2.0), (7.0, 8.0)]
    assert inside[1].words == (Word(7.0, 7.5, "a"), Word(7.5, 8.0, "b"))
    assert within([Segment(1.0, 4e5, "x")], 0.0)[0].end == 61.0  # of a video whose length nobody knows


def test_characters_that_are_not_seen(tmp_path: Path) -> None:
    said = (
        "\u202eright\u202c \u200fto\u200e left, Donau\u00addampf, می\u200cروم, \x1b[31mred\x07 "
        "\u2066iso\u2069\ufeff &#x202e;x&#0;"
    )
    ((_, _, text),) = read(tmp_path, f"1\n00:00:01,000 --> 00:00:02,000\n{said}\n")
    assert text == "right to left, Donaudampf, می\u200cروم, [31mred iso x\ufffd"


@pytest.mark.parametrize("piece", ["<a", "{", "{x", "</b", "&", "<", "0:", " ", "9"])
def test_endless_lines_take_linear_time(tmp_path: Path, piece: str) -> None:
    """What is quadratic here takes minutes."""
    endless = piece * (600_000 // len(piece))
    ((_, _, text),) = read(tmp_path, f"1\n00:00:01,000 --> 00:00:02,000\nx {endless}\n{endless}-->\n")
    assert text.startswith("x") and len(text) <= LONGEST_TEXT
    found = read(tmp_path, f"[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,,,0,0,0,,x {endless}\n{endless}\n")
    assert len(found) == 1


def test_more_cues_than_anybody_writes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsearch.indexer.subtitles.MOST_CUES", 3)
    with pytest.raises(MediaError, match="more than 3"):
        read(tmp_path, srt(*["00:00:01,000 --> 00:00:02,000"] * 4))


PIECES = ["1\n", "00:00:01,0", " --> ", "{\\p1}", "[Events]\n", "Dialogue:", ",", "<", "\n\n", "9:"]


@settings(max_examples=40, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)))
def test_nothing_else_is_ever_raised(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        lines = read(tmp_path_factory.mktemp("s"), text.encode("utf-8", "surrogatepass"))
    except MediaError:
        return
    assert all(0 <= start < end and said for start, end, said in lines)


VIDEO = "talk.mp4"


@pytest.mark.parametrize(
    ("names", "language", "expected"),
    [
        (["talk.srt"], None, "talk.srt"),
        (["talk.mp4.vtt"], None, "talk.mp4.vtt"),
        (["talk.de.srt", "talk.en.srt"], None, "talk.en.srt"),
        (["talk.de.srt", "talk.en.srt"], "de", "talk.de.srt"),
        (["talk.de.srt", "talk.srt"], None, "talk.srt"),
        (["talk.pt-BR.SRT"], None, "talk.pt-BR.SRT"),
        (["talk.en.forced.srt", "talk.fr.srt"], None, "talk.fr.srt"),
        (["talk.en.sdh.ass", "talk.en.srt"], None, "talk.en.srt"),
        (["talk.2.srt", "talker.srt", "talk.txt", "talk.srt.bak", "other.srt", "talk.part2.en.srt"], None, None),
        ([], "en", None),
    ],
)
def test_which_file_belongs_to_a_video(names: list[str], language: str | None, expected: str | None) -> None:
    found = ranked(match({VIDEO}, dict.fromkeys(names, 100))[VIDEO], language)
    assert next((one.name for one in found if not one.partial), None) == expected


@pytest.mark.parametrize(("name", "language"), [("talk.pt_BR.srt", "pt-br"), ("talk.srt", None)])
def test_language_by_name(name: str, language: str | None) -> None:
    (found,) = match({VIDEO}, {name: 100})[VIDEO]
    assert found.language == language
