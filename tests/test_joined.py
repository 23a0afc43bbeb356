"""Recordings that were joined: what was seen and heard together has one time in pictures, sound, words and clips."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.indexer.conftest import Run, library, run  # noqa: F401 - fixtures
from tests.sounds import beeps, with_subtitles
from vsearch.clips.material import read_material
from vsearch.clips.write import write_clip
from vsearch.indexer.audio import inspect, read_blocks, read_subtitle_track
from vsearch.indexer.decode import DecodeRequest, find_decoder
from vsearch.indexer.events import Indexed
from vsearch.indexer.probe import Probed, probe_video
from vsearch.models.protocols import FrameSize
from vsearch.video import clock

FPS, RATE = 25, 48_000
WRAP = 2**33 / 90_000
"""Seconds at which the clock of MPEG begins anew."""


def make_part(path: Path, seconds: int, flash: float, begin: float = 0.0, *, sound: bool = True) -> Path:
    """A recording whose clock begins at `begin`: dark, but for a flash and a beep together, for a fifth of a second."""
    mpeg2 = path.suffix == ".mpg"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video" if mpeg2 else "libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 25, 2
        if not mpeg2:
            stream.options = {"preset": "ultrafast", "bf": "2", "sc_threshold": "0"}
        tone = container.add_stream("mp2" if mpeg2 else "aac", rate=RATE, layout="mono") if sound else None
        wave = beeps(seconds, (flash, flash + 0.2), rate=RATE)
        resampler = None if tone is None else av.AudioResampler(tone.codec_context.format.name, "mono", RATE)
        heard = 0
        for number in range(seconds * FPS):
            light = 235 if flash <= number / FPS < flash + 0.2 else 20
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), light, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(begin * FPS) + number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            while tone is not None and resampler is not None and heard < (number + 1) / FPS * RATE:
                block = av.AudioFrame.from_ndarray(wave[None, heard : heard + 1024], format="s16", layout="mono")
                block.rate, block.pts, block.time_base = RATE, round(begin * RATE) + heard, Fraction(1, RATE)
                for piece in resampler.resample(block):
                    container.mux(tone.encode(piece))
                heard += 1024
        for one in (stream, tone):
            if one is not None:
                container.mux(one.encode(None))
    return path


def join(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def flashes(path: Path) -> list[float]:
    """Seconds at which flashes appear in the pictures."""
    probed = probe_video(path)
    assert isinstance(probed, Probed)
    found, lit, last = [], False, -1.0
    for frame in find_decoder("pyav")(DecodeRequest(path, probed, FrameSize(16, 16))):
        assert frame.time > last
        last = frame.time
        bright = frame.small().mean() > 128
        if bright and not lit:
            found.append(frame.time)
        lit = bool(bright)
    return found


def sounds(path: Path) -> list[float]:
    """Seconds at which beeps are heard."""
    found: list[float] = []
    last = -1.0
    for block in read_blocks(path, inspect(path).audio[0].index):
        for place in range(0, len(block.samples) - 160, 160):
            if np.abs(block.samples[place : place + 160]).max() > 0.1:
                now = block.start + place / 16_000
                if now > last + 0.3:
                    found.append(now)
                last = now
    return found


CLOCKS: dict[str, list[float]] = {
    "the same clock again": [0.0, 0.0],
    "ahead": [0.0, 600.0],
    "an hour ahead": [0.0, 3600.0],
    "back": [3600.0, 0.0],
    "three": [3600.0, 600.0, 10.0],
    "around in the middle": [WRAP - 3.0],
    "around, and ahead": [WRAP - 3.0, 100.0],
    "an hour late": [3600.0],
}


@pytest.mark.parametrize("ending", ["ts", "mpg"])
@pytest.mark.parametrize("clocks", CLOCKS.values(), ids=CLOCKS)
def test_pictures_and_sound_stay_together(tmp_path: Path, clocks: list[float], ending: str) -> None:
    begins = [begin - 1.4 if begin > WRAP - 10 else begin for begin in clocks]  # what the muxer adds
    parts = [make_part(tmp_path / f"{n}.{ending}", 4, 1.0 + n, begin) for n, begin in enumerate(begins)]
    path = join(tmp_path / f"joined.{ending}", *parts)
    seen, heard = flashes(path), sounds(path)
    assert seen == pytest.approx([4.0 * n + 1.0 + n for n in range(len(parts))], abs=0.1)
    assert heard == pytest.approx(seen, abs=0.08)


def test_a_jump_is_neither_footage_nor_damage(run: Run, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "joined").mkdir()
    for ending in ("ts", "mpg"):
        parts = [make_part(tmp_path / f"{n}.{ending}", 4, 1.0, 600.0 * n) for n in range(2)]
        join(tmp_path / "joined" / f"v.{ending}", *parts)
    events, _ = run(tmp_path / "joined")
    indexed = [event for event in events if isinstance(event, Indexed)]
    assert [event.warning for event in indexed] == [None, None]
    assert [event.seconds for event in indexed] == pytest.approx([8.0, 8.0], abs=0.1)


@pytest.mark.parametrize(
    ("ending", "whole"), [("ts", clock.WHOLE), ("mpg", clock.WHOLE), ("ts", 0)], ids=["ts", "mpg", "sampled"]
)
def test_duration_is_that_of_the_frames_in_index_and_timelines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, whole: int
) -> None:
    monkeypatch.setattr(clock, "WHOLE", whole)
    parts = [make_part(tmp_path / f"{n}.{ending}", 4, 1.0, 600.0 * n) for n in range(2)]
    path = join(tmp_path / f"joined.{ending}", *parts)
    probed, material = probe_video(path), read_material(path)
    assert isinstance(probed, Probed)
    near = 0.2 if whole else 1.0
    assert [probed.info.duration, inspect(path).duration, material.duration] == pytest.approx([8.0] * 3, abs=near)
    assert material.rate == FPS
    assert material.steady or ending == "mpg"  # which states the time of some pictures only


def test_pictures_alone(tmp_path: Path) -> None:
    parts = [make_part(tmp_path / f"{n}.ts", 4, 1.0, 600.0 * n, sound=False) for n in range(2)]
    assert flashes(join(tmp_path / "joined.ts", *parts)) == pytest.approx([1.0, 5.0], abs=0.01)


def test_words_of_a_container_that_starts_again(tmp_path: Path) -> None:
    """No format whose clock may jump holds text; two Matroska files in one do."""
    made = make_part(tmp_path / "v.mkv", 4, 1.0)
    part = with_subtitles(made, tmp_path / "s.mkv", [(1.0, 2.0, "here")])
    path = join(tmp_path / "joined.mkv", part, part)
    lines = read_subtitle_track(path, inspect(path).subtitles[0].index)
    assert [line.start for line in lines] == pytest.approx([1.0, 5.0], abs=0.1)
    assert flashes(path) == pytest.approx([1.0, 5.0], abs=0.1)
    assert sounds(path) == pytest.approx([1.0, 5.0], abs=0.1)


@pytest.mark.parametrize("how", ["copy", "exact", "browser"])
@pytest.mark.parametrize("clocks", [[0.0, 0.0], [0.0, 600.0], [3600.0, 0.0]], ids=str)
def test_clips_hold_pictures_and_sound_of_their_span(tmp_path: Path, clocks: list[float], how: str) -> None:
    parts = [make_part(tmp_path / f"{n}.ts", 4, 1.0 + n, begin) for n, begin in enumerate(clocks)]
    path = join(tmp_path / "joined.ts", *parts)
    clip = write_clip(path, tmp_path / "clip", 5.4, 6.8, how)
    (seen,), (heard,) = flashes(tmp_path / "clip"), sounds(tmp_path / "clip")
    assert clip.start + seen == pytest.approx(6.0, abs=0.1)
    assert heard == pytest.approx(seen, abs=0.1)


def test_a_clip_across_the_joint(tmp_path: Path) -> None:
    parts = [make_part(tmp_path / "0.ts", 4, 3.4, 600.0), make_part(tmp_path / "1.ts", 4, 0.4)]
    path = join(tmp_path / "joined.ts", *parts)
    write_clip(path, tmp_path / "clip", 3.0, 5.0, "exact")
    assert flashes(tmp_path / "clip") == pytest.approx([0.4, 1.4], abs=0.1)
    assert sounds(tmp_path / "clip") == pytest.approx([0.4, 1.4], abs=0.1)


@pytest.mark.parametrize("begin", [0.0, 600.0])
def test_large_files_are_only_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: float) -> None:
    monkeypatch.setattr(clock, "WHOLE", 0)
    parts = [make_part(tmp_path / f"{n}.ts", 4, 1.0, at) for n, at in enumerate((0.0, begin))]
    assert clock.jumps(join(tmp_path / "joined.ts", *parts))
    assert not clock.jumps(parts[0])
