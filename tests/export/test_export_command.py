"""`vsearch export` as the user calls it: from a query and from its JSON; clips that decode; what is in the way."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from tests.clips.edits import set_edits
from tests.clips.numbered import Numbered, make_numbered, read_numbers
from tests.commands import Vsearch, one_line, vsearch
from tests.media import Shot, make_video
from vsearch.export.clip_names import clip_name, name_key, unused_name
from vsearch.media import Hit

__all__ = ["vsearch"]  # the fixture


@pytest.fixture
def film(tmp_path: Path) -> Numbered:
    return make_numbered(tmp_path / "film.mp4", 4.0, gop=25, b_frames=0)


def hits_file(folder: Path, *spans: tuple[Path, float, float]) -> Path:
    path = folder / "hits.json"
    path.write_text(json.dumps([{"video": str(video), "start": start, "end": end} for video, start, end in spans]))
    return path


def test_from_a_query(vsearch: Vsearch, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    make_video(tmp_path / "films" / "a.mp4", [Shot("red", 2.0), Shot("blue", 2.0)])
    assert vsearch("index", tmp_path / "films").code == 0
    ran = vsearch("export", "red", "-k", "1", "--edl", tmp_path / "a.edl", "--csv", tmp_path / "a.csv")
    assert ran.code == 0, ran.err
    event = next(line for line in (tmp_path / "a.edl").read_text().splitlines() if line.startswith("001"))
    assert event.split() == ["001", "AX", "V", "C", "00:00:00:00", "00:00:02:00", "01:00:00:00", "01:00:02:00"]
    assert (tmp_path / "a.csv").read_text("utf-8-sig").splitlines()[1].startswith("1,")


def test_exact_clips_are_the_frames_of_the_hit(vsearch: Vsearch, film: Numbered, tmp_path: Path) -> None:
    given = hits_file(tmp_path, (film.path, 1.2, 2.0), (tmp_path / "gone.mp4", 0.0, 1.0))
    ran = vsearch("export", "--from", given, "--clips", tmp_path / "clips", "--exact", "--json")
    assert ran.code == 0, ran.err
    first, second = ran.json["hits"]
    numbers, _ = read_numbers(Path(first["clip"]["path"]))
    assert numbers == film.within(1.2, 2.0) and first["clip"]["copied"] is False
    assert second["clip"] is None and "gone.mp4" in ran.json["failed"][0]["video"]
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["01_film_0m01.2s.mp4"]


def test_copied_clips_begin_at_the_key_frame_before(vsearch: Vsearch, film: Numbered, tmp_path: Path) -> None:
    given = hits_file(tmp_path, (film.path, 1.2, 2.0))
    ran = vsearch("export", "--from", given, "--clips", tmp_path / "clips", "--handles", "0.1", "--json")
    clip = ran.json["hits"][0]["clip"]
    assert clip["copied"] and clip["start"] == pytest.approx(1.0, abs=0.05)
    numbers, _ = read_numbers(Path(clip["path"]))
    assert numbers[0] == 25 and numbers[-1] == 52


def test_lists_joined_from_several_queries_keep_all_their_clips(
    vsearch: Vsearch, film: Numbered, tmp_path: Path
) -> None:
    """Ranks begin anew in each list, and names differ that are one to macOS and Windows."""
    films = [film.path, tmp_path / "a" / "fi\u0301lm.mp4", tmp_path / "b" / "F\u00cdlm.mp4"]
    for path in films[1:]:
        path.parent.mkdir()
        path.write_bytes(film.path.read_bytes())
    spans = [(films[0], 1.0), (films[1], 1.0), (films[2], 1.04), (films[0], 1.04)]
    hits = [{"rank": 1, "video": str(video), "start": start, "end": start + 0.12} for video, start in spans]
    given = tmp_path / "joined.json"
    given.write_text(json.dumps(hits))
    ran = vsearch("export", "--from", given, "--clips", tmp_path / "clips", "--exact", "--overwrite", "--json")
    assert ran.code == 0 and not ran.json["failed"], ran.err
    clips = [Path(found["clip"]["path"]) for found in ran.json["hits"]]
    assert len({unicodedata.normalize("NFC", path.name).casefold() for path in clips}) == len(hits)
    assert [read_numbers(path)[0][0] for path in clips] == [25, 25, 26, 26], "each has its own pictures"


@pytest.mark.parametrize(
    "names", [["a", "A", "a"], ["e\u0301", "\u00e9", "\u00c9"], ["stra\u00dfe", "STRASSE"], ["a", "a_2", "A"]]
)
def test_no_name_is_used_twice(names: list[str]) -> None:
    used: set[str] = set()
    for name in names:
        made = unused_name(name, used)
        assert name_key(made) not in used and made.startswith(name)
        used.add(name_key(made))


def test_two_names_that_are_one_file_elsewhere(vsearch: Vsearch, film: Numbered, tmp_path: Path) -> None:
    given = hits_file(tmp_path, (film.path, 1.0, 2.0))
    ran = vsearch("export", "--from", given, "--edl", tmp_path / "Cut.x", "--csv", tmp_path / "cut.X")
    assert ran.code == 1 and "Two of the files" in one_line(ran.err)


def test_it_says_where_a_clip_could_not_be_copied(vsearch: Vsearch, film: Numbered, tmp_path: Path) -> None:
    given = hits_file(tmp_path, (film.path, 1.2, 2.0))
    assert "encoded" not in vsearch("export", "--from", given, "--clips", tmp_path / "a").out
    set_edits(film.path, [(2.8, 0.6)])
    ran = vsearch("export", "--from", given, "--clips", tmp_path / "b")
    assert "encoded" not in ran.out, "a key frame that is shown"
    given = hits_file(tmp_path, (film.path, 0.1, 0.4))
    assert "encoded anew" in vsearch("export", "--from", given, "--clips", tmp_path / "b").out
    assert "encoded" not in vsearch("export", "--from", given, "--clips", tmp_path / "c", "--exact").out


def test_nothing_is_overwritten_unasked_and_a_video_never(vsearch: Vsearch, film: Numbered, tmp_path: Path) -> None:
    given, edl, before = hits_file(tmp_path, (film.path, 1.0, 2.0)), tmp_path / "a.edl", film.path.read_bytes()
    edl.write_text("mine")
    assert "already there" in one_line(vsearch("export", "--from", given, "--edl", edl).err)
    assert edl.read_text() == "mine"
    assert vsearch("export", "--from", given, "--edl", edl, "--overwrite").code == 0
    assert edl.read_text().startswith("TITLE")
    ran = vsearch("export", "--from", given, "--edl", film.path, "--overwrite")
    assert ran.code == 1 and "one of the videos" in one_line(ran.err)
    assert film.path.read_bytes() == before
    assert not list(tmp_path.glob(".vsearch-*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("red",), "Choose what to write"),
        (("red", "--from", "h.json", "--csv", "a.csv"), "--from goes without a query"),
        (("--from", "nowhere.json", "--csv", "a.csv"), "cannot be read"),
        (("red", "--csv", "a", "--edl", "a"), "Two of the files"),
        (("red", "--edl", "a.edl", "--rate", "0"), "--rate takes"),
        (("red", "--edl", "a.edl", "--handles", "-1"), "--handles takes"),
    ],
)
def test_what_makes_no_sense_is_one_line(vsearch: Vsearch, arguments: tuple[str, ...], says: str) -> None:
    ran = vsearch("export", *arguments)
    assert ran.code == 1 and says in one_line(ran.err)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '[{"video": 3, "start": 0, "end": 1}]', '[{"video": "a", "start": 1, "end": 1}]',
     '[{"video": "a", "start": "nan", "end": 1}]', '[{"video": "a\\u0000", "start": 0, "end": 1}]', "[" * 9999],
)  # fmt: skip
def test_hits_that_are_none(vsearch: Vsearch, tmp_path: Path, text: str) -> None:
    (tmp_path / "h.json").write_text(text)
    ran = vsearch("export", "--from", tmp_path / "h.json", "--csv", tmp_path / "a.csv")
    assert ran.code == 1 and "vsearch query --json" in one_line(ran.err)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("stem", ["..", "-rf", "a/../b", "CON", "x" * 300, "\udcff", "a:b*?", "\n", "日本" * 60])
def test_names_of_clips_are_safe(stem: str) -> None:
    name = clip_name(Hit(1, 0.5, Path("/v") / f"{stem}.mp4", 62.5, 70.0, {}, 63.0), 62.5)
    assert name.startswith("01_") and name.endswith("_1m02.5s")
    assert len(name.encode()) < 120 and not set(name) & set('/\\:*?"<>|\n')
