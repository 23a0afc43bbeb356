"""Sound of files: times, tracks, damage, and memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media import Shot, make_video, truncate
from tests.sounds import beeps, with_subtitles, write_sound
from vsearch.errors import MediaError
from vsearch.indexer.audio import inspect, read_blocks, read_subtitle_track
from vsearch.languages import short_language
from vsearch.models.protocols import SAMPLE_RATE

CODECS = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "m4a": "aac", "ogg": "libopus", "mka": "libopus"}


def samples(path: Path, track: int = 0) -> tuple[float, np.ndarray]:  # type: ignore[type-arg]
    """(start of the first block, all samples) of a track; blocks must join."""
    found = list(read_blocks(path, inspect(path).audio[track].index))
    for before, after in pairwise(found):
        assert after.start == pytest.approx(before.end, abs=1e-6)
    return found[0].start, np.concatenate([block.samples for block in found])


def onset(sound: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(np.flatnonzero(np.abs(sound) > 0.1)[0]) / SAMPLE_RATE


@pytest.mark.parametrize("ending", CODECS)
def test_every_kind_becomes_16_khz_mono_at_the_right_time(tmp_path: Path, ending: str) -> None:
    rate = 48000 if CODECS[ending] == "libopus" else 44100
    layout = "stereo" if ending in ("ogg", "mp3", "wav") else "mono"
    path = write_sound(
        tmp_path / f"a.{ending}", [beeps(9.0, (3.0, 4.0), rate=rate)], codec=CODECS[ending], rate=rate, layout=layout
    )
    start, sound = samples(path)
    assert start + onset(sound) == pytest.approx(3.0, abs=0.06)
    assert start + len(sound) / SAMPLE_RATE == pytest.approx(9.0, abs=0.1)
    assert 0.1 < np.abs(sound).max() < 0.6


def test_a_track_that_begins_late_and_a_file_that_does(tmp_path: Path) -> None:
    tracks = [beeps(5.0), beeps(3.0, (1.0, 2.0))]
    late = write_sound(tmp_path / "late.mkv", tracks, codec="pcm_s16le", offset=1.5, languages=["eng", "ger"])
    start, sound = samples(late, 1)
    assert start + onset(sound) == pytest.approx(2.5, abs=0.02)
    assert [track.language for track in inspect(late).audio] == ["en", "de"]
    shifted = make_video(tmp_path / "v.ts", [Shot("red", 2.0)], audio=True, offset=7.0)
    assert samples(shifted.path)[0] == pytest.approx(0.0, abs=0.1)


def test_what_a_file_holds_is_told_before_anything_is_decoded(tmp_path: Path) -> None:
    silent = make_video(tmp_path / "silent.mp4", [Shot("red", 1.0)])
    found = inspect(silent.path)
    assert (found.audio, found.subtitles, found.pictures) == ((), (), True)
    sound = inspect(write_sound(tmp_path / "a.mp3", [beeps(1.0)], codec="libmp3lame"))
    assert (len(sound.audio), sound.pictures) == (1, False)
    assert sound.duration == pytest.approx(1.0, abs=0.1)
    assert type(sound).from_json(sound.as_json()) == sound


def test_damage_costs_what_is_damaged(tmp_path: Path) -> None:
    whole = write_sound(tmp_path / "a.mp3", [beeps(20.0, (0.0, 20.0))], codec="libmp3lame")
    data = bytearray(whole.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 400] = bytes(400)
    (tmp_path / "b.mp3").write_bytes(data)
    found = list(read_blocks(tmp_path / "b.mp3", 0))
    assert found[-1].end == pytest.approx(20.0, abs=1.5)
    cut = truncate(whole, tmp_path / "c.mp3", 0.5)
    assert list(read_blocks(cut, 0))[-1].end == pytest.approx(10.0, abs=1.0)


def test_what_cannot_be_decoded_is_said_in_one_line(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mka", [beeps(3.0)], codec="flac")
    data = path.read_bytes()
    at = data.index(b"fLaC")
    (tmp_path / "b.mka").write_bytes(data[: at + 60] + bytes(len(data) - at - 60))
    with pytest.raises(MediaError) as raised:
        list(read_blocks(tmp_path / "b.mka", 0))
    assert "\n" not in str(raised.value)
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(MediaError, match="cannot be opened"):
        inspect(tmp_path / "text.wav")
    with pytest.raises(FileNotFoundError):
        inspect(tmp_path / "nowhere.wav")


def test_blocks_are_small_however_long_the_sound(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.flac", [beeps(120.0)], codec="flac")
    sizes = [len(block.samples) for block in read_blocks(path, 0)]
    assert max(sizes) < 6 * SAMPLE_RATE and sum(sizes) == pytest.approx(120 * SAMPLE_RATE, abs=SAMPLE_RATE // 10)


def test_embedded_subtitles(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mkv", [Shot("red", 4.0)], audio=True)
    lines = [(0.5, 1.5, "<i>Good</i> morning"), (2.0, 3.0, "{\\an8}and good night")]
    path = with_subtitles(video.path, tmp_path / "s.mkv", lines, "fre")
    (track,) = inspect(path).subtitles
    assert track.language == "fr"
    found = read_subtitle_track(path, track.index)
    assert [(line.start, line.end, line.text) for line in found] == [
        (0.5, 1.5, "Good morning"),
        (2.0, 3.0, "and good night"),
    ]


@pytest.mark.parametrize("layout", ["stereo", "5.1", "4 channels", "16 channels"])
def test_one_voice_is_heard_whatever_the_other_channels_hold(tmp_path: Path, layout: str) -> None:
    count = av.AudioLayout(layout).nb_channels
    tone = beeps(3.0, (1.0, 2.0), rate=48000)
    for number in range(min(count, 3)):
        channels = np.zeros((len(tone), count), np.int16)
        channels[:, number] = tone
        path = write_sound(tmp_path / f"{number}.mov", [channels], codec="pcm_s16le", rate=48000, layout=layout)
        _, sound = samples(path)
        assert np.abs(sound[SAMPLE_RATE : 2 * SAMPLE_RATE]).max() > 0.15
        assert onset(sound) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("other", [-1.0, -0.8, 0.0, 0.5, 1.0])
def test_loudness_whatever_the_phase(tmp_path: Path, other: float) -> None:
    """Half of it in one way, half in another: each stretch is mixed for itself, without a seam."""
    tone = beeps(8.0, (0.0, 8.0), rate=SAMPLE_RATE).astype(np.float64)
    second = tone * np.where(np.arange(len(tone)) < len(tone) // 2, other, 1.0)
    path = write_sound(
        tmp_path / "a.wav", [np.stack([tone, second], axis=1).astype(np.int16)], codec="pcm_s16le", layout="stereo"
    )
    _, sound = samples(path)
    loud = np.sqrt(np.square(sound[: len(sound) // 16 * 16].reshape(16, -1)).mean(axis=1))
    assert loud.min() > 0.5 * np.sqrt(np.square(tone / 32768).mean())


@pytest.mark.parametrize(("code", "short"), [("eng", "en"), ("ger", "de"), ("und", None), (None, None), ("tlh", "tlh")])
def test_languages_of_containers(code: str | None, short: str | None) -> None:
    assert short_language(code) == short
