"""Names of subtitle files, as programs write them, and which video they belong to."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from vsearch.indexer.sidecars import Sidecar, Sidecars, match, ranked

VIDEO = "talk.mp4"


def of(names: Iterable[str] | Mapping[str, int], *others: str, video: str = VIDEO) -> list[Sidecar]:
    files = names if isinstance(names, Mapping) else dict.fromkeys(names, 100)
    return ranked(match({video, *others}, files)[video])


def names(found: Iterable[Sidecar]) -> list[str]:
    return [sidecar.name for sidecar in found]


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("talk.srt", None),
        ("talk.mp4.srt", None),
        # yt-dlp
        ("talk.en.vtt", "en"),
        ("talk.en-US.vtt", "en-us"),
        ("talk.en-orig.vtt", "en"),
        ("talk.zh-Hans.vtt", "zh-hans"),
        ("talk.es-419.vtt", "es-419"),
        ("talk.en-nP7-2PuUl7o.vtt", "en"),
        # Subtitle Edit
        ("talk.eng.srt", "en"),
        ("talk.ger.srt", "de"),
        ("talk.English.srt", "en"),
        ("talk.Brazilian Portuguese.srt", "pt-br"),
        ("talk.Chinese (Simplified).srt", "zh-hans"),
        ("talk.Русский.srt", "ru"),
        # Jellyfin, Plex, Bazarr
        ("talk.en.sdh.srt", "en"),
        ("talk.en.cc.srt", "en"),
        ("talk.en.hi.srt", "en"),
        ("talk.hi.srt", "hi"),
        ("talk.default.en.srt", "en"),
        ("talk.title.en.srt", "en"),
        ("talk.A longer title.fre.ass", "fr"),
        ("talk.pt_BR.SRT", "pt-br"),
        ("talk.chs.ass", "zh-hans"),
        # folders
        ("Subs/talk.en.srt", "en"),
        ("Subs/talk/2_English.srt", "en"),
        ("subs/talk/3_fre.srt", "fr"),
        ("Subs/talk/German.srt", "de"),
        ("Subtitles/2_English.srt", "en"),
        ("Subs/4_eng,English [CC].srt", "en"),
        ("Subs/Spanish (Latin America).srt", "es-419"),
        ("Subs/pt-BR.srt", "pt-br"),
    ],
)
def test_names_that_programs_write(name: str, language: str | None) -> None:
    (found,) = of([name])
    assert (found.name, found.language, found.partial) == (name, language, False)


@pytest.mark.parametrize(
    "name",
    [
        "talk.en.forced.srt",
        "talk.default.en.forced.srt",
        "talk.forced.srt",
        "talk.en.foreign.srt",
        "talk.Signs & Songs.en.ass",
        "talk.en.commentary.srt",
        "Subs/talk/2_English (Forced).srt",
        "Subs/3_Forced.srt",
    ],
)
def test_names_of_what_is_not_all_that_is_said(name: str) -> None:
    (found,) = of([name])
    assert found.partial
    assert names(of([name, "talk.fr.srt"])) == ["talk.fr.srt", name]


@pytest.mark.parametrize(
    "name", ["talk.2.srt", "talker.srt", "talk.txt", "talk.srt.bak", "other.srt", "talk.part2.en.srt"]
)
def test_names_of_other_things(name: str) -> None:
    assert of([name]) == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_and_case_are_compared_as_they_are_meant(form: str) -> None:
    video = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "Café Zoë.MP4")
    for name in ("café zoë.en.srt", "CAFÉ ZOË.English.SRT", "Subs/Café Zoë/2_English.srt", "café zoë.mp4.en.srt"):
        written = unicodedata.normalize(form, name)
        assert [(one.name, one.language) for one in of([written], "b.mp4", video=video)] == [(written, "en")]


def test_a_file_belongs_to_the_video_with_the_longest_name() -> None:
    files = ["talk.srt", "talk.extended.srt", "talk.extended.en.srt", "talk.part2.en.srt"]
    videos = {"talk.mp4", "talk.extended.mp4", "talk.part2.mkv"}
    found = match(videos, dict.fromkeys(files, 1))
    assert {video: names(ranked(found[video])) for video in videos} == {
        "talk.mp4": ["talk.srt"],
        "talk.extended.mp4": ["talk.extended.srt", "talk.extended.en.srt"],
        "talk.part2.mkv": ["talk.part2.en.srt"],
    }


def test_names_that_differ_in_case_alone_keep_their_own() -> None:
    found = match({"Talk.mp4", "talk.mp4"}, {"Talk.srt": 1, "talk.srt": 1, "TALK.en.srt": 1})
    assert names(found["Talk.mp4"]) == ["Talk.srt", "TALK.en.srt"]
    assert names(found["talk.mp4"]) == ["talk.srt", "TALK.en.srt"]


def test_a_folder_of_subtitles_without_the_name_is_that_of_a_single_video() -> None:
    files = ["Subs/2_English.srt", "Subs/b/2_English.srt"]
    assert names(of(files)) == ["Subs/2_English.srt"]
    assert names(of(files, "sample.mp4", "cover.m4a")) == ["Subs/2_English.srt"]
    assert of(files, "b.mp4") == []
    assert names(of(files, VIDEO, video="b.mp4")) == ["Subs/b/2_English.srt"]


def test_order_of_several() -> None:
    files = ["Subs/talk/2_English.srt", "talk.en.sdh.srt", "talk.en.vtt", "talk.en.srt", "talk.title.en.srt"]
    assert names(of(files)) == ["talk.en.srt", "talk.en.vtt", "Subs/talk/2_English.srt", "talk.title.en.srt", files[1]]
    assert names(of(["talk.en.srt", "talk.en.default.vtt"]))[0] == "talk.en.default.vtt"


def test_a_small_file_beside_a_full_one_of_its_language_may_be_forced() -> None:
    assert names(of({"Subs/2_English.srt": 900, "Subs/3_English.srt": 50_000}))[0] == "Subs/3_English.srt"
    assert names(of({"Subs/2_English.srt": 40_000, "Subs/3_English.srt": 50_000}))[0] == "Subs/2_English.srt"


def test_folders_are_looked_at(tmp_path: Path) -> None:
    for name in (
        "a.mp4",
        "a.en.srt",
        ".a.srt",
        "b.mkv",
        "Subs/b/2_English.srt",
        "Subs/a.fr.srt",
        "Subs/x.txt",
        "more/b.srt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    sidecars = Sidecars()
    assert names(sidecars.of(tmp_path / "a.mp4")) == ["a.en.srt", "Subs/a.fr.srt"]
    assert names(sidecars.of(tmp_path / "a.mp4", "fr")) == ["Subs/a.fr.srt", "a.en.srt"]
    assert names(sidecars.of(tmp_path / "b.mkv")) == ["Subs/b/2_English.srt"]
    assert names(sidecars.of(tmp_path / "gone" / "b.mkv")) == []
