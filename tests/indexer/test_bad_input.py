"""Input that is wrong costs one line, and the run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.indexer.conftest import Run
from tests.indexer.doubles import DictLibrary
from tests.media import Made, Shot, make_audio, make_gif, make_video, truncate
from vsearch.indexer.events import Indexed, Skipped
from vsearch.library.rows import Failure
from vsearch.media import FileStamp

HERE = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, clip: Made) -> Path:
    """A folder with one good video in it."""
    shutil.copy(clip.path, tmp_path / "good.mp4")
    return tmp_path


def skipped(run: Run, folder: Path, library: DictLibrary) -> Skipped:
    """The one file that a run over the folder skips, where the good one is indexed; the next run remembers."""
    _, summary = run(folder)
    assert summary.indexed == 1 and summary.useful and len(library.records) == 1
    (one,) = summary.skipped
    assert one.cause and "\n" not in one.cause and not one.remembered
    (again,) = run(folder)[1].skipped
    assert again == Skipped(one.path, one.cause, remembered=True)
    return one


def test_zero_bytes(run: Run, folder: Path, library: DictLibrary) -> None:
    (folder / "bad.mp4").touch()
    assert "empty" in skipped(run, folder, library).cause


def test_text_that_is_called_a_video(run: Run, folder: Path, library: DictLibrary) -> None:
    (folder / "bad.mp4").write_text("hello " * 1000)
    assert "not a video" in skipped(run, folder, library).cause


def test_a_header_without_frames(run: Run, folder: Path, library: DictLibrary) -> None:
    whole = make_video(folder.parent / f"{folder.name}.mkv", [Shot("moving", 2.0)]).path
    data = whole.read_bytes()
    (folder / "bad.mkv").write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 12])  # up to the first cluster
    assert "no frame" in skipped(run, folder, library).cause


def test_no_video_track(run: Run, folder: Path, library: DictLibrary) -> None:
    make_audio(folder / "bad.mp4")
    assert "no video track (audio only)" in skipped(run, folder, library).cause


def test_an_index_that_was_never_written(run: Run, folder: Path, library: DictLibrary) -> None:
    truncate(folder / "good.mp4", folder / "bad.mp4", 0.6)  # MP4 keeps its index at the end
    assert "cannot be opened" in skipped(run, folder, library).cause


def test_truncated_in_the_middle_is_indexed_as_far_as_it_goes(run: Run, library: DictLibrary, tmp_path: Path) -> None:
    made = make_video(tmp_path / "whole.mp4", [Shot("moving", 6.0)], options={"movflags": "faststart"})
    path = truncate(made.path, tmp_path / "cut.mp4", 0.5)
    events, summary = run(path)
    (indexed,) = [e for e in events if isinstance(e, Indexed)]
    assert indexed.warning is not None and "of 6 s" in indexed.warning
    assert 1.0 < library.spans(path)[-1][1] < 5.0
    assert not summary.skipped


def test_ordinary_files_are_passed_over_unless_they_are_named(run: Run, folder: Path) -> None:
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (folder / "notes.txt").write_text("1\n00:00:01,000 --> 00:00:02,000\nhello")
    (folder / "empty").touch()
    make_gif(folder / "still.gif", frames=1)
    assert run(folder)[1].skipped == ()
    for name in ("photo.jpg", "notes.txt", "still.gif", "empty"):
        _, summary = run(folder / name)
        assert [s.path.name for s in summary.skipped] == [name] and not summary.useful


SOURCES = {
    "plain.ts": b"export class A { constructor(private readonly z: number) {} }\n" * 20,
    "types.d.ts": b"declare const a: number;",
    "module.mts": b"Get()" + b";" * 5000,
    "windows.ts": b"import x from 'y'\r\n\t\f",
    "accents.ts": "// café, русский, 世界\n".encode() * 300,
    "old.ts": "// сборка\n".encode("cp1251"),
    "wide.ts": "const a = 1".encode("utf-16"),
    "translation.ts": b"<?xml version='1.0'?><!DOCTYPE TS><TS version='2.1'></TS>",
    "script.nut": b"local a = 1",
}


def test_programs_under_the_endings_of_videos_are_passed_over(run: Run, folder: Path, library: DictLibrary) -> None:
    (folder / "project").mkdir()
    for name, text in SOURCES.items():
        (folder / "project" / name).write_bytes(text)
    made = make_video(folder / "film.ts", [Shot("red", 1.0)])
    _, summary = run(folder)
    assert summary.indexed == 2 and summary.skipped == () and not library.failed
    _, summary = run(folder)
    assert summary.unchanged == 2 and summary.skipped == () and not library.failed
    # a file that is named is reported, and not remembered
    _, summary = run(folder / "project" / "plain.ts")
    assert [skip.cause for skip in summary.skipped] == ["not a video"] and not library.failed
    assert made.path in library.stamps


def test_what_was_remembered_of_a_program_is_forgotten(run: Run, folder: Path, library: DictLibrary) -> None:
    path = folder / "a.ts"
    path.write_bytes(SOURCES["plain.ts"])
    status = path.stat()
    stamp = FileStamp(path, status.st_size, status.st_mtime_ns)
    library.failed[path] = Failure(stamp, "not a video")
    assert run(folder)[1].skipped == () and not library.failed


def test_a_recording_that_is_damaged_is_told_of(run: Run, folder: Path, library: DictLibrary) -> None:
    (folder / "bad.ts").write_bytes(bytes(range(256)) * 40)
    assert "not a video" in skipped(run, folder, library).cause
    assert list(library.failed) == [folder / "bad.ts"]


def test_videos_are_known_by_content(run: Run, library: DictLibrary, tmp_path: Path, clip: Made) -> None:
    for name, seed in (("a.txt", 1), ("b", 2)):
        make_video(tmp_path / "x.mkv", [Shot("texture", 0.6, seed)])
        (tmp_path / "x.mkv").rename(tmp_path / name)
    make_gif(tmp_path / "c.gif")
    assert run(tmp_path)[1].indexed == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids such names")
def test_strange_names(run: Run, library: DictLibrary, tmp_path: Path) -> None:
    names = ["a b.mp4", "line\nbreak.mp4", "\N{CLAPPER BOARD}.mp4", "-rf.mp4", "100%03d.mp4", "http:x.mp4"]
    if sys.platform == "linux":
        names.append(os.fsdecode(b"\xff\xfe.mp4"))
    for seed, name in enumerate(names):
        make_video(tmp_path / "x.mp4", [Shot("texture", 0.6, seed)])
        (tmp_path / "x.mp4").rename(tmp_path / name)
    assert run(tmp_path)[1].indexed == len(names)
    assert {path.name for path in library.stamps} == set(names)


def test_missing_and_empty_folders(run: Run, tmp_path: Path) -> None:
    _, summary = run(tmp_path / "gone")
    assert [s.cause for s in summary.skipped] == ["there is no such file or folder"] and not summary.useful
    _, summary = run(tmp_path)
    assert [s.cause for s in summary.skipped] == ["there are no videos in this folder"] and not summary.useful


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_no_permission(run: Run, folder: Path, tmp_path: Path) -> None:
    if reads_everything(tmp_path):
        rerun_without_capabilities("test_no_permission")
        return
    (folder / "bad.mp4").write_bytes((folder / "good.mp4").read_bytes() + b"x")
    (folder / "bad.mp4").chmod(0)
    (folder / "closed").mkdir(mode=0)
    _, summary = run(folder)
    assert sorted(s.path.name for s in summary.skipped) == ["bad.mp4", "closed"]
    assert all("permission denied" in s.cause for s in summary.skipped)


def reads_everything(folder: Path) -> bool:
    """Whether this process may read what nobody may read, as root does."""
    closed = folder / "for nobody"
    closed.touch(mode=0)
    try:
        return os.access(closed, os.R_OK)
    finally:
        closed.unlink()


def rerun_without_capabilities(test: str) -> None:
    """Run a test of this file as the same user without root's privileges."""
    assert "RERUN_WITHOUT_CAPABILITIES" not in os.environ, "the privileges stayed"
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root may read everything, and there is no setpriv")
    command = [setpriv, "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", "pytest"]
    command += ["-p", "no:cacheprovider", f"{__file__}::{test}"]
    environment = os.environ | {"RERUN_WITHOUT_CAPABILITIES": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env=environment)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_permission_is_tried_again(
    run: Run, folder: Path, library: DictLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above where root runs the tests: the system refuses, nothing is remembered, for permission leaves no date."""
    real = Path.open

    def refuse(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == "good.mp4":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        _, summary = run(folder)
    assert [s.cause for s in summary.skipped] == ["it cannot be read: permission denied"]
    assert library.failed == {}
    assert run(folder)[1].indexed == 1


def test_a_file_that_grows_while_it_is_read(run: Run, folder: Path, library: DictLibrary) -> None:
    _, summary = run(folder, decoders=("tests.indexer.broken:meddles",))
    assert "changed while it was read" in summary.skipped[0].cause
    assert not library.records and not library.failed
    assert run(folder)[1].indexed == 1


def _patience(fault: str) -> float:
    """Seconds: where nothing hangs, a busy machine must not look as if it did."""
    return 3.0 if fault == "hangs" else 60.0


@pytest.mark.parametrize("fault", ["hangs", "crashes", "refuses", "raises"])
def test_the_next_decoder_takes_over(run: Run, folder: Path, library: DictLibrary, fault: str) -> None:
    make_video(folder / "second.mp4", [Shot("texture", 0.6, 3)])
    _, summary = run(folder, decoders=(f"tests.indexer.broken:{fault}", "pyav"), hang_seconds=_patience(fault))
    assert summary.indexed == 2 and summary.skipped == ()
    assert len(library.spans(folder / "good.mp4")) == 3  # nothing of the first attempt is left


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("hangs", "the decoder hung (no sign of life for 3 s)"),
        ("crashes", "the decoder crashed (signal 11)"),
        ("refuses", "I will not"),
        ("nothing", "no frame can be decoded"),
        ("raises", "ZeroDivisionError: frame rate of nothing"),
    ],
)
def test_a_video_that_no_decoder_survives_costs_one_line(
    run: Run, folder: Path, library: DictLibrary, fault: str, cause: str
) -> None:
    _, summary = run(folder, decoders=(f"tests.indexer.broken:{fault}",), hang_seconds=_patience(fault))
    assert [s.cause for s in summary.skipped] == [cause]
    assert run(folder)[1].skipped[0].remembered
    assert run(folder, retry_failed=True)[1].indexed == 1
    assert library.failed == {}


def test_slow_is_not_hung(run: Run, folder: Path) -> None:
    assert run(folder, decoders=("tests.indexer.broken:crawls",), hang_seconds=1.4)[1].indexed == 1


@pytest.mark.fresh_processes
def test_noise_on_standard_output_does_not_reach_the_wire(run: Run, folder: Path) -> None:
    assert run(folder, decoders=("tests.indexer.broken:prints",))[1].indexed == 1


PROGRAM = """
import sys
from pathlib import Path
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import Indexed, Progress
from tests.indexer.doubles import DictLibrary, MeanColour
library = DictLibrary()
OPTIONS = IndexOptions(batch_size=1, decoders=("tests.indexer.broken:plods",))
try:
    for event in run_index(library, IndexPlan(MeanColour(), OPTIONS), [Path(sys.argv[1])]):
        if isinstance(event, Indexed | Progress):
            print(type(event).__name__, flush=True)
except KeyboardInterrupt:
    print("stopped", len(library.records), library.locked, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    """No `if __name__ == "__main__"` in the program: a person's script need not have one."""
    make_video(tmp_path / "a.mp4", [Shot("red", 1.0)])
    make_video(tmp_path / "b.mp4", [Shot("moving", 10.0)], size=(64, 48))
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(HERE)},  # child processes do not look in the current folder
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    with program.stdout:
        lines = iter(program.stdout.readline, "")
        assert any(line == "Indexed\n" for line in lines)
        assert next(lines) == "Progress\n"  # b is on its way
        os.kill(program.pid, how) if how is signal.SIGKILL else os.killpg(program.pid, how)
        rest = program.stdout.read().splitlines()
    program.wait()
    if how is signal.SIGINT:
        assert rest[-1] == "stopped 1 False"
    for _ in range(200):  # 10 s: a worker notices that nobody listens at its next word
        if not _group_lives(program.pid):
            return
        time.sleep(0.05)
    raise AssertionError("a decoding process outlived its parent")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
