"""Transcripts from subtitle files and embedded subtitles."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.indexer.speech.conftest import Index, of, said, source
from tests.sounds import BeepReader, beeps, with_subtitles, write_sound
from vsearch.indexer.events import (
    Transcribed,
    Untranscribed,
)
from vsearch.library import SqliteStore

SRT = "1\n00:00:00,500 --> 00:00:01,500\nthe written word\n"


def test_subtitle_file_replaces_transcribing_and_is_read_again_when_it_changes(
    index: Index, library: SqliteStore, reader: BeepReader, talk: Path
) -> None:
    sidecar = talk.with_suffix(".en.srt")
    sidecar.write_text(SRT)
    events, _ = index(talk.parent)
    assert (said(library, talk), source(library, talk), reader.heard) == (["the written word"], "sidecar", 0)
    assert of(Transcribed, events)[0].language == "en"
    assert of(Transcribed, index(talk.parent)[0]) == []
    sidecar.write_text(SRT.replace("written", "changed"))
    os.utime(sidecar, ns=(1, 1))
    index(talk.parent)
    assert said(library, talk) == ["the changed word"]
    sidecar.unlink()
    index(talk.parent)
    assert source(library, talk) == "whisper" and "beep" in said(library, talk)
    sidecar.write_text(SRT)
    index(talk.parent, only=True)
    assert said(library, talk) == ["the written word"]


def test_a_malformed_subtitle_file_is_reported_and_passed_over(index: Index, library: SqliteStore, talk: Path) -> None:
    sidecar = talk.with_suffix(".srt")
    sidecar.write_bytes(b"\x00\x01")
    events, summary = index(talk.parent)
    assert [(event.path, "\n" in event.cause) for event in of(Untranscribed, events)] == [(sidecar, False)]
    assert "beep" in said(library, talk) and summary.useful
    events, _ = index(talk.parent)
    assert of(Transcribed, events) == [] and len(of(Untranscribed, events)) == 1


def test_the_next_subtitle_file_is_read_where_the_first_is_malformed(
    index: Index, library: SqliteStore, reader: BeepReader, talk: Path
) -> None:
    bad, good = talk.with_suffix(".srt"), talk.with_suffix(".en.srt")
    bad.write_bytes(b"\x00\x01")
    good.write_text(SRT)
    for _ in range(2):
        _, summary = index(talk.parent)
        assert [event.path for event in summary.untranscribed] == [bad]
        assert (said(library, talk), reader.heard) == (["the written word"], 0)
    assert summary.transcribed == 0, "what was read once is not read again"
    bad.write_text(SRT.replace("written", "repaired"))
    assert index(talk.parent)[1].untranscribed == ()
    assert said(library, talk) == ["the repaired word"]


def test_forced_subtitle_file_is_no_transcript(
    index: Index, library: SqliteStore, reader: BeepReader, talk: Path
) -> None:
    forced, full = talk.parent / "Subs" / "talk" / "2_English (Forced).srt", talk.with_suffix(".fr.srt")
    forced.parent.mkdir(parents=True)
    forced.write_text(SRT.replace("the written word", "[alien sign]"))
    _, summary = index(talk.parent)
    assert [event.path for event in summary.untranscribed] == [forced]
    assert summary.as_json()["untranscribed"][0]["cause"].startswith("it is marked as forced")
    assert (source(library, talk), set(said(library, talk))) == ("whisper", {"beep"})
    heard = reader.heard
    _, summary = index(talk.parent)
    assert (summary.untranscribed, reader.heard) == ((), heard), "told once"
    full.write_text(SRT)
    assert index(talk.parent)[1].untranscribed == ()
    assert said(library, talk) == ["the written word"]


def test_forced_track_is_no_transcript(index: Index, library: SqliteStore, talk: Path) -> None:
    pairs = []
    for number, (forced, title) in enumerate([(True, ""), (False, "Signs & Songs"), (False, "English (Forced)")]):
        alone, both = talk.with_name(f"{number}.mkv"), talk.with_name(f"{number}-full.mkv")
        with_subtitles(talk, alone, [(0.5, 1.0, f"[sign {number}]")], forced=forced, title=title)
        with_subtitles(alone, both, [(0.5, 1.5, f"all that is said {number}")])
        pairs.append((alone, both))
    index(talk.parent)
    for number, (alone, both) in enumerate(pairs):
        assert (source(library, alone), set(said(library, alone))) == ("whisper", {"beep"})
        assert (source(library, both), said(library, both)) == ("embedded", [f"all that is said {number}"])


def test_subtitles_in_another_encoding_are_read_or_refused(index: Index, library: SqliteStore, talk: Path) -> None:
    sidecar = talk.with_suffix(".ru.srt")
    sidecar.write_bytes(SRT.replace("the written word", "Поезд в Москву").encode("cp1251"))
    index(talk)
    assert said(library, talk) == ["Поезд в Москву"]
    sidecar.write_bytes(SRT.encode() + bytes(random.Random(1).choices(range(128, 256), k=900)))
    _, summary = index(talk)
    assert [event.path for event in summary.untranscribed] == [sidecar]
    assert "save it as UTF-8" in summary.untranscribed[0].cause
    assert source(library, talk) == "whisper"


def test_segments_end_with_their_video(index: Index, library: SqliteStore, talk: Path) -> None:
    cues = ["01,000 --> 00:00:01,500", "01,600 --> 99:00:00,000", "50,000 --> 00:00:51,000"]
    text = "".join(f"{n}\n00:00:{times}\nword {n}\n\n" for n, times in enumerate(cues, 1))
    talk.with_suffix(".srt").write_text(text)
    events, _ = index(talk)
    assert [event.warning for event in of(Transcribed, events)] == [
        "1 subtitle of talk.srt begins after the end of the video"
    ]
    row = library.find_file(talk)
    assert row is not None
    lines = library.transcript(row.video_id)
    assert [(line.start, line.text) for line in lines] == [(1.0, "word 1"), (1.6, "word 2")]
    assert 2.0 <= lines[1].end <= 2.1, "its sound is a little longer than its pictures"
    talk.with_suffix(".srt").write_text("1\n00:01:00,000 --> 00:01:01,000\nof another film\n")
    _, summary = index(talk)
    assert "after the end" in summary.untranscribed[0].cause and source(library, talk) == "whisper"


def test_embedded_subtitles_end_with_their_video(index: Index, library: SqliteStore, talk: Path) -> None:
    path = with_subtitles(talk, talk.with_name("endless.mkv"), [(0.5, 1.0, "one"), (1.5, 90_000.0, "two")])
    index(path)
    row = library.find_file(path)
    assert row is not None
    lines = library.transcript(row.video_id)
    assert [line.text for line in lines] == ["one", "two"] and lines[-1].end <= 2.2


def test_endless_subtitle_does_not_extend_a_sound_file(index: Index, library: SqliteStore, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [beeps(3.0)], codec="pcm_s16le")
    path.with_suffix(".srt").write_text("1\n00:00:01,000 --> 99:00:00,000\nendless\n")
    _, summary = index(path)
    assert (summary.scenes, library.status().seconds) == (1, pytest.approx(3.0, abs=0.01))


def test_embedded_subtitles_are_read(index: Index, library: SqliteStore, reader: BeepReader, talk: Path) -> None:
    path = with_subtitles(talk, talk.with_name("sub.mkv"), [(0.5, 1.5, "burnt in")], "ger")
    events, _ = index(path)
    assert (said(library, path), source(library, path), reader.heard) == (["burnt in"], "embedded", 0)
    assert of(Transcribed, events)[0].language == "de"
    assert of(Transcribed, index(path)[0]) == []


def test_embedded_subtitles_are_read_again_when_the_file_changes_or_another_language_is_asked_for(
    index: Index, library: SqliteStore, talk: Path
) -> None:
    path = with_subtitles(talk, talk.with_name("titled.mkv"), [(0.5, 1.5, "the written word")])
    index(path)
    assert len(of(Transcribed, index(path)[0])) == 0
    os.utime(path, ns=(1, 1))
    assert [event.source for event in of(Transcribed, index(path)[0])] == ["embedded"]
    assert len(of(Transcribed, index(path)[0])) == 0
    assert len(of(Transcribed, index(path, language="de")[0])) == 1
    assert said(library, path) == ["the written word"]
