"""Subtitle files as people and programs write them, and as they get broken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.sidecars import Sidecar, match, ranked
from indexer.subtitles import read_subtitles
from vsearch.errors import MediaError

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


PIECES = ["1\n", "00:00:01,0", " --> ", "{\\p1}", "[Events]\n", "Dialogue:", ",", "<", "\n\n", "9:"]


@settings(max_examples=80, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)))
def test_nothing_else_is_ever_raised(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        lines = read(tmp_path_factory.mktemp("s"), text.encode("utf-8", "surrogatepass"))
    except MediaError:
        return
    assert all(0 <= start < end and said for start, end, said in lines)


VIDEO = Path("/v/talk.mp4")


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
    found = find_sidecar(VIDEO, names, language)
    assert found == (None if expected is None else VIDEO.with_name(expected))


def test_language_by_name() -> None:
    assert sidecar_language(Path("/v/talk.pt_BR.srt"), VIDEO) == "pt-br"
    assert sidecar_language(Path("/v/talk.srt"), VIDEO) is None
