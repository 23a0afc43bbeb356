"""EDL, FCPXML and OTIO, read back by others' readers; what hostile names do to them; material of generated files."""

from __future__ import annotations

import csv
import io
import struct
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.clips.numbered import draw_number, make_numbered
from vsearch.clips import Material, material_of
from vsearch.errors import InputError
from vsearch.export.edl import edl
from vsearch.export.fcpxml import fcpxml
from vsearch.export.table import csv_table
from vsearch.export.timecode import EDITING_RATES, parse_rate, to_frame
from vsearch.export.timeline_plan import FALLBACK_RATE, Timeline, common_rate, plan
from vsearch.media import Hit, Segment

FILM = Fraction(24_000, 1001)
NTSC = Fraction(30_000, 1001)
NASTY = Path('/v/=1+1 \n002  AX V C\x1b <&"\udcff.mp4')


def material(rate: Fraction | None = Fraction(25), **changed: object) -> Material:
    fields = {
        "rate": rate,
        "steady": rate is not None,
        "first": 0.0,
        "duration": 7200.0,
        "width": 640,
        "height": 360,
        "channels": 2,
        "sample_rate": 48_000,
        "time_code": "",
    }
    return Material(**{**fields, **changed})  # type: ignore[arg-type]


def hit(video: str | Path, start: float, end: float, rank: int = 1) -> Hit:
    return Hit(rank, 0.5, Path(video), start, end, {"visual": 0.5}, (start + end) / 2)


def one(source: Material, start: float, end: float, rate: Fraction | None = None) -> Timeline:
    return plan("cut", [hit("/v/a.mp4", start, end)], {Path("/v/a.mp4"): source}, rate)


def times(text: str) -> list[list[str]]:
    return [line.split()[-4:] for line in text.splitlines() if line[:3].isdigit()]


def test_edl_of_25() -> None:
    first, second = hit("/v/a.mp4", 4.0, 8.0), hit("/v/a.mp4", 0.52, 1.0, 2)
    text = edl(plan("cut", [first, second], {Path("/v/a.mp4"): material()}))
    assert text.startswith("TITLE: cut\nFCM: NON-DROP FRAME\n")
    assert times(text) == [
        ["00:00:04:00", "00:00:08:00", "01:00:00:00", "01:00:04:00"],
        ["00:00:00:13", "00:00:01:00", "01:00:04:00", "01:00:04:12"],
    ]


def test_edl_of_29_97_drops_and_of_23_976_does_not() -> None:
    # The first frame after a minute of labels; times of the library are rounded to milliseconds.
    start, end = round(1800 / float(NTSC), 3), round(1830 / float(NTSC), 3)
    text = edl(one(material(NTSC), start, end))
    assert "FCM: DROP FRAME" in text
    assert times(text) == [["00:01:00;02", "00:01:01;02", "01:00:00;00", "01:00:01;00"]]
    text = edl(one(material(FILM), 1001 / 24, 1001 / 12))
    assert times(text) == [["00:00:41:16", "00:01:23:08", "01:00:00:00", "01:00:41:16"]]


def test_the_camera_s_own_time_code_counts() -> None:
    (event,) = times(edl(one(material(time_code="10:11:12:13"), 1.0, 2.0)))
    assert event[:2] == ["10:11:13:13", "10:11:14:13"]
    text = edl(one(material(NTSC, time_code="01:00:00:00"), 0.0, 1001 / 1000))
    assert "NON-DROP" in text and times(text)[0][:2] == ["01:00:00:00", "01:00:01:00"]
    assert times(edl(one(material(time_code="garbage"), 1.0, 2.0)))[0][0] == "00:00:01:00"


def test_files_of_other_rates_are_fitted_by_the_clock() -> None:
    text = edl(one(material(Fraction(50)), 2.0, 3.0, Fraction(25)))
    assert times(text)[0][:2] == ["00:00:02:00", "00:00:03:00"] and "* SOURCE RATE: 50.000" in text
    variable = material(Fraction(2987, 100), steady=False)
    made = one(variable, 1.0, 2.0)
    assert made.rate == 30 and made.events[0].source_rate is None
    assert "* SOURCE RATE: VARIABLE" in edl(made)
    assert one(material(None, width=0, height=0), 1.0, 2.0).rate == FALLBACK_RATE
    assert one(material(Fraction(120)), 1.0, 2.0).rate == 60


@pytest.mark.parametrize(
    ("pictures", "code", "code_rate", "timeline", "labels"),
    [
        (50, "10:00:00:12", 25, 50, ("10:00:01:24", "10:00:02:24")),
        (50, "10:00:00:12", 25, 25, ("10:00:01:12", "10:00:02:12")),
        (25, "10:00:00:24", 50, 25, ("10:00:01:12", "10:00:02:12")),
        (60, "01:00:00:15", 30, 60, ("01:00:01:30", "01:00:02:30")),
        (2 * NTSC, "00:00:59;29", NTSC, 2 * NTSC, ("00:01:00;02", "00:01:01;02")),
        (2 * NTSC, "00:00:59:29", NTSC, 2 * NTSC, ("00:01:00:58", "00:01:01:58")),
        (120, "10:00:00:30", None, 60, ("10:00:01:30", "10:00:02:30")),
    ],
)
def test_a_time_code_of_another_rate_than_the_pictures(
    pictures: Fraction, code: str, code_rate: Fraction | None, timeline: Fraction, labels: tuple[str, str]
) -> None:
    own = None if code_rate is None else Fraction(code_rate)
    source = material(Fraction(pictures), time_code=code, time_code_rate=own)
    timeline = Fraction(timeline)
    length = 1.0 if timeline.denominator == 1 else 1.001
    if labels[0] == "00:01:00;02":  # 59.94 frames of a second after the last label of a minute, four are left out
        labels = ("00:01:01;02", "00:01:02;02")
    assert times(edl(one(source, length, 2 * length, timeline)))[0][:2] == list(labels)
    made = plan("c", [hit("/v/a.mp4", 1.0, 2.0)], {Path("/v/a.mp4"): source})
    root = ET.fromstring(fcpxml(made))
    first = to_frame(code, own or Fraction(60)) / (own or Fraction(60))
    assert seconds(next(root.iter("asset")).get("start", "")) == first == made.events[0].first


def test_an_edl_says_which_sources_drop_and_which_do_not() -> None:
    codes = {"a": "01:00:00;00", "b": "02:00:00:00", "c": "", "d": "03:00:00:00", "e": "04:00:00:00"}
    materials = {Path(f"/v/{name}.mp4"): material(NTSC, time_code=code) for name, code in codes.items()}
    hits = [hit(path, 0.0, 1.001, rank) for rank, path in enumerate(materials, start=1)]
    lines = edl(plan("cut", hits, materials)).splitlines()
    modes = [(line, lines[place + 1][:3]) for place, line in enumerate(lines) if line.startswith("FCM")]
    assert modes == [
        ("FCM: DROP FRAME", ""),  # of the record times, and of what comes first
        ("FCM: NON-DROP FRAME", "002"),
        ("FCM: DROP FRAME", "003"),
        ("FCM: NON-DROP FRAME", "004"),
    ]
    events = times("\n".join(lines))
    assert [event[0] for event in events] == ["01:00:00;00", "02:00:00:00", "00:00:00;00", "03:00:00:00", "04:00:00:00"]
    assert all(";" in event[2] and ";" in event[3] for event in events), "one mode of the record times"


def test_reference_parser_reads_mixed_drop_modes() -> None:
    opentimelineio = pytest.importorskip("opentimelineio")
    pytest.importorskip("otio_cmx3600_adapter")
    materials = {
        Path("/v/a.mp4"): material(NTSC, time_code="01:00:00;00"),
        Path("/v/b.mp4"): material(NTSC, time_code="02:00:00:00"),
    }
    made = plan("cut", [hit(path, 0.0, 10.01, rank) for rank, path in enumerate(materials, start=1)], materials)
    read = opentimelineio.adapters.read_from_string(edl(made), "cmx_3600", rate=float(NTSC))
    clips = list(read.tracks[0].find_clips())
    assert [clip.source_range.start_time.value for clip in clips] == [107_892, 216_000]
    assert [clip.source_range.duration.value for clip in clips] == [300, 300]


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        ("1/2", "24"), ("1", "24"), ("5", "25"), ("10", "30"), ("12", "24"), ("12.5", "25"), ("15", "30"), ("20", "60"),
        ("11.988", "24000/1001"), ("15000/1001", "30000/1001"), ("16", "48"), ("18", "24"), ("90", "48"), ("100", "50"),
    ],
)  # fmt: skip
def test_a_timeline_has_a_rate_that_editors_have(slow: str, expected: str) -> None:
    rate = Fraction(12_000, 1001) if slow == "11.988" else Fraction(slow)
    assert common_rate([material(rate)]) == Fraction(expected)
    assert common_rate([material(rate, steady=False)]) in EDITING_RATES
    made = one(material(rate), 6.0, 8.0)
    assert times(edl(made))[0][0] == "00:00:06:00" or rate.denominator != 1


def test_timelines_of_a_slow_file_in_other_formats() -> None:
    made = one(material(Fraction(1, 2)), 6.0, 10.0)
    assert times(edl(made))[0][:2] == ["00:00:06:00", "00:00:10:00"]
    root = ET.fromstring(fcpxml(made))
    assert {form.get("frameDuration") for form in root.iter("format")} == {"1/24s", None}
    clip = next(root.iter("asset-clip"))
    assert (clip.get("start"), clip.get("duration")) == ("6s", "4s") and clip.find("conform-rate") is None
    opentimelineio = pytest.importorskip("opentimelineio")
    from vsearch.export.otio import otio

    read = opentimelineio.adapters.read_from_string(otio(made), "otio_json")
    assert read.tracks[0][0].source_range.start_time == opentimelineio.opentime.RationalTime(144, 24)


@pytest.mark.parametrize(
    ("text", "rate"), [("25", "25"), ("23.98", "24000/1001"), ("23.976", "24000/1001"), ("30000/1001", "30000/1001")]
)
def test_a_rate_that_is_asked_for(text: str, rate: str) -> None:
    assert parse_rate(text) == Fraction(rate)


@pytest.mark.parametrize("text", ["10", "0.5", "26", "1/0", "x", "", "inf", "nan", "1e999"])
def test_a_rate_that_editors_do_not_have_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"23\.976, 24, 25, 29\.97"):
        parse_rate(text)


def test_an_edl_ends_at_999() -> None:
    hits = [hit("/v/a.mp4", 1.0, 2.0)] * 1000
    with pytest.raises(InputError, match="999"):
        edl(plan("cut", hits, {Path("/v/a.mp4"): material()}))


def test_reference_parser_reads_the_edl() -> None:
    opentimelineio = pytest.importorskip("opentimelineio")
    pytest.importorskip("otio_cmx3600_adapter")
    hits = [hit("/v/a.mp4", 100.0, 160.0), hit(NASTY, 1.0, 2.0, 2)]
    materials = {Path("/v/a.mp4"): material(NTSC), NASTY: material(NTSC)}
    made = plan("cut", hits, materials)
    read = opentimelineio.adapters.read_from_string(edl(made), "cmx_3600", rate=float(NTSC))
    clips = list(read.tracks[0].find_clips())
    assert [clip.source_range.duration.value for clip in clips] == [event.frames for event in made.events]
    assert clips[0].source_range.start_time.value == to_frame("00:01:39;29", NTSC) == 2997
    assert clips[0].name == "a.mp4" and "002  AX" in clips[1].name


def seconds(text: str) -> Fraction:
    assert text.endswith("s")
    return Fraction(text[:-1])


@pytest.mark.parametrize("rate", [FILM, Fraction(25), NTSC, Fraction(60)])
def test_fcpxml_times_are_whole_frames(rate: Fraction) -> None:
    hits = [hit("/v/a.mp4", 3.0, 5.5), hit(NASTY, 60.0, 61.25, 2), hit("/v/a.mp4", 10.0, 11.0, 3)]
    made = plan("cut", hits, {Path("/v/a.mp4"): material(rate), NASTY: material(rate, time_code="01:00:00;00")})
    root = ET.fromstring(fcpxml(made))
    assets = {asset.get("id"): asset for asset in root.iter("asset")}
    assert len(assets) == 2
    clips = list(root.iter("asset-clip"))
    expected = Fraction(0)
    for clip, event in zip(clips, made.events, strict=True):
        offset, start, duration = (seconds(clip.get(name, "")) for name in ("offset", "start", "duration"))
        assert offset == expected and (duration * rate).denominator == (start * rate).denominator == 1
        asset = assets[clip.get("ref")]
        first, length = seconds(asset.get("start", "")), seconds(asset.get("duration", ""))
        assert first <= start and start + duration <= first + length
        assert start - first == event.start
        expected += duration
    assert seconds(next(root.iter("sequence")).get("duration", "")) == expected
    assert next(root.iter("sequence")).get("tcFormat") == ("DF" if rate == NTSC else "NDF")
    # The clips of a.mp4 have no time code; 01:00:00;00 is one with drop frame where the rate has it.
    assert [clip.get("tcFormat") for clip in clips] == ["NDF", "DF" if rate == NTSC else "NDF", "NDF"]
    assert seconds(next(root.iter("format")).get("frameDuration", "")) == 1 / rate


def test_fcpxml_of_a_variable_rate_and_of_sound() -> None:
    sound = Path("/v/b.mp3")
    hits = [hit("/v/a.mp4", 1.0005, 2.5), hit(sound, 3.0, 4.0, 2)]
    made = plan("c", hits, {Path("/v/a.mp4"): material(steady=False), sound: material(None, width=0, height=0)})
    root = ET.fromstring(fcpxml(made))
    video, audio = root.iter("asset")
    assert video.get("hasVideo") == "1" and audio.get("hasVideo") is None and audio.get("hasAudio") == "1"
    formats = {one.get("id"): one for one in root.iter("format")}
    assert formats[video.get("format")].get("name") == "FFVideoFormatRateUndefined"


@pytest.mark.parametrize(
    ("own", "timeline", "written"),
    [
        (Fraction(24), Fraction(25), "24"),
        (FILM, Fraction(24), "23.98"),
        (NTSC, Fraction(30), "29.97"),
        (Fraction(50), Fraction(25), "50"),
        (Fraction(120), Fraction(60), None),
    ],
)
def test_fcpxml_keeps_the_speed_of_other_rates(own: Fraction, timeline: Fraction, written: str | None) -> None:
    root = ET.fromstring(fcpxml(one(material(own), 1.0, 3.0, timeline)))
    clip = next(root.iter("asset-clip"))
    conform = clip[0]  # the format's rules: before any marker
    assert conform.tag == "conform-rate" and conform.get("scaleEnabled") == "0"
    assert conform.get("srcFrameRate") == written
    same = ET.fromstring(fcpxml(one(material(own), 1.0, 3.0, own if own <= 60 else None)))
    assert (next(same.iter("conform-rate"), None) is None) == (own <= 60)


def test_fcpxml_tells_the_shape_of_pixels() -> None:
    wide, plain = Path("/v/dv.avi"), Path("/v/a.mp4")
    materials = {wide: material(width=720, height=576, pixel_aspect=Fraction(64, 45)), plain: material()}
    made = plan("c", [hit(wide, 1.0, 2.0), hit(plain, 1.0, 2.0, 2)], materials)
    root = ET.fromstring(fcpxml(made))
    formats = {form.get("id"): (form.get("paspH"), form.get("paspV")) for form in root.iter("format")}
    assert [formats[asset.get("format")] for asset in root.iter("asset")] == [("64", "45"), (None, None)]
    assert formats[next(root.iter("sequence")).get("format")] == ("64", "45")


def test_otio_is_read_back() -> None:
    opentimelineio = pytest.importorskip("opentimelineio")
    from vsearch.export.otio import otio

    sound = Path("/v/b.mp3")
    hits = [hit("/v/a.mp4", 1001 / 240, 1001 / 120), hit(sound, 3.0, 4.0, 2), hit(NASTY, 1.5, 2.0, 3)]
    materials = {Path("/v/a.mp4"): material(FILM), sound: material(None, width=0, height=0)}
    materials[NASTY] = material(steady=False, channels=0)
    read = opentimelineio.adapters.read_from_string(otio(plan("cut", hits, materials)), "otio_json")
    pictures, sounds = read.tracks
    assert (pictures.kind, sounds.kind) == ("Video", "Audio")
    clip = pictures[0]
    assert clip.source_range.start_time == opentimelineio.opentime.RationalTime(100, 24_000 / 1001)
    assert clip.source_range.duration.value == 100 and clip.media_reference.target_url == "file:///v/a.mp4"
    assert clip.metadata["vsearch"]["rank"] == 1
    assert [type(item).__name__ for item in pictures] == ["Clip", "Gap", "Clip"]
    assert [type(item).__name__ for item in sounds] == ["Clip", "Clip", "Gap"]
    assert pictures[2].source_range.start_time == opentimelineio.opentime.RationalTime(1500, 1000)
    assert abs(pictures.duration().to_seconds() - sounds.duration().to_seconds()) < 1e-6


def test_a_spreadsheet_runs_nothing() -> None:
    words = (Segment(1, 2, '=HYPERLINK("http://x")'), Segment(2, 3, "line\nbreak"))
    bad = Hit(1, 0.25, Path("=1+1"), 1.0, 2.0, {"visual": 0.25}, 1.5, words)
    (head, row) = csv.reader(io.StringIO(csv_table([bad])))
    assert head[:4] == ["rank", "score", "file", "start"] and len(row) == len(head)
    assert row[2] == "'=1+1" and row[-1].startswith("'=HYPERLINK") and "\n" not in row[-1]
    assert (row[3], row[4]) == ("1.000", "2.000")


@pytest.mark.parametrize("rate", [FILM, Fraction(25), NTSC])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_rates_are_found_exactly(tmp_path: Path, rate: Fraction, ending: str) -> None:
    made = make_numbered(tmp_path / f"a.{ending}", 2.0, rate=rate, audio="aac")
    found = material_of(made.path)
    assert (found.rate, found.steady, found.width, found.height) == (rate, True, 160, 96)
    assert found.channels == 2 and found.sample_rate == 48_000
    assert found.first == pytest.approx(made.times[0], abs=0.002)
    assert found.duration == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("shape", ["1", "16/15", "8/9"])
def test_the_shape_of_pixels_is_found(tmp_path: Path, shape: str) -> None:
    made = make_numbered(tmp_path / "a.mp4", 0.2, options={"aspect": shape})
    assert material_of(made.path).pixel_aspect == Fraction(shape)


@pytest.mark.parametrize("ending", ["mov", "mp4"])
@pytest.mark.parametrize("slower", [1, 2])
def test_the_rate_of_a_time_code_track_is_found(tmp_path: Path, slower: int, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w") as container:
        container.metadata["timecode"] = "10:00:00:12"
        stream = container.add_stream("libx264", rate=50)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(draw_number(number, (160, 96)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 50)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if slower == 2:
        # The label stays; the track counts 25 instead of 50.
        data = bytearray(path.read_bytes())
        at = data.rindex(b"tmcd")
        scale, length, frames = struct.unpack(">IIB", data[at + 20 : at + 29])
        assert scale / length == frames == 50
        data[at + 20 : at + 29] = struct.pack(">IIB", scale, length * 2, 25)
        number = struct.pack(">I", 36_000 * 50 + 12)
        assert data.count(number) == 1
        path.write_bytes(data.replace(number, struct.pack(">I", 36_000 * 25 + 12)))
    found = material_of(path)
    assert (found.rate, found.time_code, found.time_code_rate) == (50, "10:00:00:12", 50 // slower)


def test_a_variable_rate_is_one(tmp_path: Path) -> None:
    ticks = [n * 40 + (n % 3) * 7 for n in range(50)]
    made = make_numbered(tmp_path / "a.mp4", ticks=ticks, time_base=Fraction(1, 1000))
    assert not material_of(made.path).steady


def test_no_video_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be opened"):
        material_of(tmp_path / "a.mp4")
