"""`vsearch index` is killed at any instant and run again: nothing is lost, nothing is there twice.

VSEARCH_KILLS sets how often (2 by default).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.media import Shot, make_video
from vsearch.errors import LibraryMissing
from vsearch.library import SqliteStore

KILLS = int(os.environ.get("VSEARCH_KILLS", "2"))
FILES = 100 if KILLS < 10 else 300
COMMAND = (sys.executable, "-c", "from vsearch.cli import main; main()", "index", "--quiet", "--model", "fake")


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    folder, path = tmp_path / "in", tmp_path / "library"
    folder.mkdir()
    clip = make_video(tmp_path / "clip.mp4", [Shot("red", 0.6), Shot("blue", 0.6)], fps=10).path.read_bytes()
    for number in range(FILES):
        # Other bytes behind the end are other content, and no decoder minds.
        (folder / f"{number:03d}.mp4").write_bytes(clip + b"\0" * number)
    before: set[Path] = set()
    kills = amid = 0
    while kills < KILLS:
        # The first moments are imports: let most kills fall into the work.
        if kill_after(chance.uniform(0.2, 3.0), folder, path):
            kills += 1
            held = check(path, before)
            amid += before < held < set(folder.iterdir())
            before = held
        else:  # it was done before it could be killed: begin again
            assert check(path, before) == set(folder.iterdir())
            shutil.rmtree(path)
            before = set()
    subprocess.run([*COMMAND, "--library", path, folder], check=True)
    assert check(path, before) == set(folder.iterdir())
    print(f"{kills} kills, {amid} of them between the first and the last video of a run")


def kill_after(seconds: float, folder: Path, library: Path) -> bool:
    """False: the run ended by itself before."""
    running = subprocess.Popen([*COMMAND, "--library", library, folder], start_new_session=True)
    try:
        assert running.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        return True
    return False


def check(path: Path, before: set[Path]) -> set[Path]:
    """What the library holds: at least what it held before, each file once, whole, and sound."""
    try:
        library = SqliteStore.open(path)
    except LibraryMissing:  # killed before there was one
        assert not before
        return set()
    with library:
        report = library.verify()
        assert report.clean, report.problems
        files = library.files()
        held = {file.path for file in files}
        assert held >= before
        status = library.status()
        assert status.videos == len(files) == len(held)
        assert status.scenes == 2 * status.videos
        seen = [row.vectors for row in status.spaces if row.space.channel == "visual"]
        assert seen == ([status.scenes] if seen else [])
    return held
