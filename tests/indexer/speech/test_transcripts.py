"""Transcripts from sound: which tracks are transcribed, when again, and what damaged sound costs."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition

from tests.indexer.doubles import MeanColour
from tests.indexer.speech.conftest import Index, of, said, source
from tests.meanings import Thesaurus
from tests.media import Shot, make_video
from tests.sounds import BeepReader, beeps, write_sound
from vsearch.errors import MediaError, ModelError
from vsearch.indexer import IndexPlan, run_index
from vsearch.indexer.events import (
    Finished,
    Indexed,
    Moved,
    Skipped,
    Transcribed,
    Unchanged,
    Untranscribed,
)
from vsearch.indexer.options import SpeechOptions
from vsearch.indexer.speech import sound_scenes
from vsearch.library import SqliteStore
from vsearch.media import Segment
from vsearch.models.fake import FakeModel
from vsearch.models.protocols import AudioBlock, TranscribedPart
from vsearch.search import Query, SearchEngine

SRT = "1\n00:00:00,500 --> 00:00:01,500\nthe written word\n"


def test_what_is_said_is_written_down_beside_the_pictures(index: Index, library: SqliteStore, talk: Path) -> None:
    events, summary = index(talk.parent)
    assert [(e.path, e.segments > 0, e.source) for e in of(Transcribed, events)] == [(talk, True, "whisper")]
    assert events.index(of(Indexed, events)[0]) < events.index(of(Transcribed, events)[0])
    assert (summary.indexed, summary.transcribed) == (1, 1)
    assert set(said(library, talk)) == {"beep"}
    hit = library.search_text("beep", 1)[0]
    assert library.scenes([hit.scene_id])[hit.scene_id].path == talk


def test_a_second_run_listens_to_nothing(index: Index, reader: BeepReader, talk: Path) -> None:
    index(talk)
    heard = reader.heard
    events, summary = index(talk)
    assert reader.heard == heard
    assert [type(event) for event in events] == [Unchanged, Finished]
    assert summary.transcribed == 0


def test_words_may_come_later_without_decoding_a_picture(
    library: SqliteStore, reader: BeepReader, index: Index, talk: Path
) -> None:
    encoder = MeanColour()
    list(run_index(library, IndexPlan(encoder), [talk]))
    assert source(library, talk) is None
    before = encoder.encoded
    _, summary = index(talk.parent, only=True)
    assert (summary.transcribed, summary.indexed, encoder.encoded) == (1, 0, before)
    assert "beep" in said(library, talk)
    assert [type(event) for event in index(talk.parent, only=True)[0]] == [Unchanged, Finished]


def test_only_words_of_a_video_that_is_not_there_is_said(index: Index, talk: Path) -> None:
    events, summary = index(talk, only=True)
    assert "without --only" in of(Skipped, events)[0].cause
    assert not summary.useful


def test_another_model_listens_again(index: Index, library: SqliteStore, talk: Path) -> None:
    index(talk)
    index(talk, transcriber=BeepReader("boop", "boops 1"))
    assert set(said(library, talk)) == {"boop"}
    # without a model, what was heard stays
    index(talk, transcriber=None)
    assert set(said(library, talk)) == {"boop"}


def test_two_paths_of_one_video_share_their_words(
    index: Index, library: SqliteStore, reader: BeepReader, talk: Path
) -> None:
    (talk.parent / "copy").mkdir()
    copy = Path(shutil.copy(talk, talk.parent / "copy" / "other.mkv"))
    copy.with_suffix(".srt").write_text(SRT)
    index(talk.parent)
    assert said(library, talk) == said(library, copy) == ["the written word"]
    assert of(Transcribed, index(talk.parent)[0]) == [] and reader.heard == 0


def test_a_silent_track_beside_one_with_speech(index: Index, library: SqliteStore, tmp_path: Path) -> None:
    silence, speech = beeps(2.0), beeps(2.0, (0.5, 1.0))
    for count, at in ((2, 1), (4, 2)):
        tracks = [speech if number == at else silence for number in range(count)]
        path = write_sound(tmp_path / f"{count}.mka", tracks, codec="flac")
        index(path)
        assert said(library, path) == ["beep"]


def test_commentaries_and_descriptions_come_last(index: Index, library: SqliteStore, tmp_path: Path) -> None:
    twice, once = beeps(3.0, (0.5, 1.0), (1.5, 2.0)), beeps(3.0, (0.5, 1.0))
    for number, kind in enumerate((Disposition.comment, Disposition.visual_impaired)):
        path = write_sound(
            tmp_path / f"{number}.mka", [twice, once], codec="flac", dispositions=[kind | Disposition.default]
        )
        index(path)
        assert said(library, path) == ["beep"]
        index(path, audio_track=1)
        assert said(library, path) == ["beep", "beep"]


def test_channels_in_antiphase_are_heard(index: Index, library: SqliteStore, tmp_path: Path) -> None:
    tone = beeps(3.0, (0.5, 1.0), rate=48000)
    path = write_sound(
        tmp_path / "a.wav", [np.stack([tone, -tone], axis=1)], codec="pcm_s16le", rate=48000, layout="stereo"
    )
    index(path)
    assert said(library, path) == ["beep"]


def test_a_silent_film_is_looked_at_once(
    index: Index, library: SqliteStore, reader: BeepReader, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "silent.mp4", [Shot("blue", 1.0)]).path
    _, summary = index(path)
    assert (summary.transcribed, summary.untranscribed, source(library, path)) == (0, (), "none")
    assert of(Transcribed, index(path)[0]) == []


# -- sound without pictures


KINDS = [("a.wav", "pcm_s16le"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.mp4", "aac")]


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_sound_without_a_picture_is_a_video_of_words(
    index: Index, library: SqliteStore, reader: BeepReader, tmp_path: Path, name: str, codec: str
) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    path = write_sound(folder / name, [beeps(40.0, (35.0, 36.0))], codec=codec)
    events, summary = index(folder)
    assert summary.skipped == () and (summary.indexed, summary.transcribed) == (1, 1)
    hit = library.search_text("beep", 1)[0]
    scene = library.scenes([hit.scene_id])[hit.scene_id]
    assert (scene.path, scene.start <= 35 < scene.end) == (path, True)
    assert hit.start == pytest.approx(35.0, abs=0.25)
    heard = reader.heard
    events, _ = index(folder)
    assert ([type(event) for event in events], reader.heard) == ([Unchanged, Finished], heard)
    moved = path.rename(folder / f"moved{path.suffix}")
    assert [(event.path, event.previous) for event in of(Moved, index(folder, only=True)[0])] == [(moved, path)]
    moved.unlink()
    (folder / "keep.srt").touch()
    index(folder, prune=True)
    assert library.search_text("beep", 1) == [] and library.status().videos == 0


def test_moved_sound_is_not_heard_again_even_where_what_is_gone_is_forgotten(
    index: Index, library: SqliteStore, reader: BeepReader, tmp_path: Path
) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    path = write_sound(folder / "a.wav", [beeps(2.0, (0.5, 1.0))], codec="pcm_s16le")
    index(folder)
    heard = reader.heard
    moved = path.rename(folder / "b.wav")
    _, summary = index(folder, prune=True)
    assert (reader.heard, summary.moved, summary.transcribed) == (heard, 1, 0)
    assert said(library, moved) == ["beep"] and library.status().files == 1
    write_sound(moved, [beeps(3.0, (0.5, 1.0))], codec="pcm_s16le")
    index(folder, only=True)
    assert library.status().videos == 1 and library.verify().clean


def test_sound_is_passed_over_where_nobody_listens(index: Index, library: SqliteStore, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [beeps(1.0)], codec="pcm_s16le")
    events, summary = index(path, transcriber=None, unavailable="no ears")
    assert summary.note == "no speech transcript of 1 file: no ears"
    assert [skipped.cause for skipped in of(Skipped, events)] == ["it has sound, but no frames: no ears"]
    assert library.status().videos == 0 and library.status().failures == ()
    assert index(tmp_path, transcriber=None, unavailable="no ears")[1].skipped == ()
    # but its subtitles are words
    path.with_suffix(".srt").write_text(SRT)
    index(path, transcriber=None)
    assert said(library, path) == ["the written word"]


def test_equal_scenes_of_sound() -> None:
    assert [(scene.start, scene.end) for scene in sound_scenes(75.0)] == [(0.0, 25.0), (25.0, 50.0), (50.0, 75.0)]
    assert len(sound_scenes(30.0)) == 1 and len(sound_scenes(0.1)) == 1


# -- what goes wrong


def test_which_track_is_listened_to(index: Index, library: SqliteStore, tmp_path: Path) -> None:
    path = write_sound(
        tmp_path / "two.mka", [beeps(2.0), beeps(2.0, (0.5, 1.0))], codec="flac", languages=["eng", "ger"]
    )
    index(path, audio_track=1)
    assert said(library, path) == []
    index(path, audio_track=2)
    assert said(library, path) == ["beep"]
    _, summary = index(path, audio_track=3, retry_failed=True)
    assert [u.cause for u in summary.untranscribed] == ["it has 2 sound tracks: there is no track 3"]
    other = Path(shutil.copy(path, tmp_path / "other.mka"))
    with other.open("ab") as file:
        file.write(bytes(10))
    index(other, language="de")
    assert said(library, other) == ["beep"]


def test_broken_sound_costs_the_words_alone(index: Index, library: SqliteStore, reader: BeepReader, talk: Path) -> None:
    import av

    broken = talk.with_name("broken.mkv")
    with av.open(str(talk)) as first, av.open(str(broken), "w") as container:
        copies = {stream.index: container.add_stream_from_template(stream) for stream in first.streams}
        for packet in first.demux():
            if not packet.size:
                continue
            stream = copies[packet.stream.index]
            if packet.stream.type == "audio":
                noise = av.Packet(b"\x01" + random.Random(packet.pts).randbytes(packet.size))
                noise.pts, noise.dts, noise.time_base = packet.pts, packet.dts, packet.time_base
                noise.duration, packet = packet.duration, noise
            packet.stream = stream
            container.mux(packet)
    _, summary = index(broken)
    assert summary.indexed == 1 and summary.useful
    assert [(u.path, u.cause) for u in summary.untranscribed] == [(broken, "its sound cannot be decoded")]
    row = library.find_file(broken)
    assert row is not None
    known = library.find_transcript(row.video_id)
    assert known is not None and known.cause == "its sound cannot be decoded"
    # remembered: not tried again, unless asked
    assert index(broken)[1].untranscribed == ()
    assert len(index(broken, retry_failed=True)[1].untranscribed) == 1


def test_a_sound_file_that_is_none_is_skipped_and_remembered(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"ID3" + bytes(2000))
    _, summary = index(path)
    assert len(summary.skipped) == 1 and not summary.useful
    (again,) = index(path)[1].skipped
    assert again.remembered


class Failing(BeepReader):
    """A model that cannot be loaded."""

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        next(iter(blocks))
        raise ModelError("the weights are gone")
        yield


def test_a_model_that_fails_is_said_once_and_the_pictures_stay(index: Index, library: SqliteStore, talk: Path) -> None:
    second = make_video(talk.with_name("second.mkv"), [Shot("blue", 1.0)], audio=True).path
    _, summary = index(talk.parent, transcriber=Failing())
    assert [u.cause for u in summary.untranscribed] == ["the weights are gone"]
    assert summary.note == "no speech transcript of 1 file: the weights are gone"
    assert (summary.indexed, source(library, second), source(library, talk)) == (2, None, None)
    assert index(talk.parent)[1].transcribed == 2


class Killer(BeepReader):
    """The decoding process dies, or is silent, after its first block."""

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        for block in blocks:
            yield TranscribedPart((Segment(block.start, block.end, "before"),), "en", block.end)


def test_words_are_found_by_their_meaning_and_older_ones_get_vectors_without_listening(
    library: SqliteStore, talk: Path
) -> None:
    reader = BeepReader("my old automobile broke down")
    plain = SpeechOptions(reader)
    for _ in run_index(library, IndexPlan(FakeModel(), speech=plain), [talk]):
        pass
    heard, sentences = reader.heard, Thesaurus()
    assert library.without_passages(sentences.space("speech")) != []
    for _ in run_index(library, IndexPlan(speech=SpeechOptions(reader), sentences=sentences, only="speech"), [talk]):
        pass
    assert (library.without_passages(sentences.space("speech")), reader.heard) == ([], heard)
    texts = sentences.texts
    for _ in run_index(library, IndexPlan(FakeModel(), speech=SpeechOptions(reader), sentences=sentences), [talk]):
        pass
    assert sentences.texts == texts, "what has vectors is left alone"
    engine = SearchEngine(library, FakeModel(), sentences=sentences)
    assert engine.search(Query("a car", channel="speech"))[0].video == talk


def test_sound_that_breaks_off_counts_as_far_as_it_goes(
    index: Index, library: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vsearch.child_messages import Message, Request
    from vsearch.child_process import Child

    path = write_sound(tmp_path / "a.wav", [beeps(20.0, (0.0, 20.0))], codec="pcm_s16le")
    replies = Child.replies

    def breaking(decoder: Child, request: Request) -> Iterator[Message]:
        for count, message in enumerate(replies(decoder, request)):
            if count == 2:
                assert decoder.pid is not None
                os.kill(decoder.pid, 9)
                raise MediaError("the decoder crashed (signal 9)")
            yield message

    monkeypatch.setattr(Child, "replies", breaking)
    events, _ = index(path, transcriber=Killer())
    (done,) = of(Transcribed, events)
    assert done.warning == "only the first 8 s of sound can be decoded: the decoder crashed (signal 9)"
    row = library.find_file(path)
    assert row is not None
    known = library.find_transcript(row.video_id)
    assert known is not None and known.cause == done.warning, "remembered, and tried again with --retry"
    assert said(library, path) == ["before", "before"]


def test_a_track_that_is_not_there_takes_no_words_away(index: Index, library: SqliteStore, talk: Path) -> None:
    index(talk)
    words = said(library, talk)
    assert words
    events, _ = index(talk, audio_track=2)
    assert [event.cause for event in of(Untranscribed, events)] == ["it has 1 sound track: there is no track 2"]
    assert said(library, talk) == words


def test_options_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        SpeechOptions().language = "en"  # type: ignore[misc]
