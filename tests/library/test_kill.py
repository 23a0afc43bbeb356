"""A process that indexes is killed at any instant: nothing that was committed is lost, nothing is there by half.

VSEARCH_KILLS sets how often (4 by default).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.library.made import SPACE, unit
from vsearch.library import SqliteStore

KILLS = int(os.environ.get("VSEARCH_KILLS", "4"))
ROOT = Path(__file__).resolve().parents[2]

# Adds videos, replaces and forgets some, takes snapshots, and says what is committed after it is.
INDEX = """
import sys
from pathlib import Path
from tests.library.made import record
from vsearch.library import SqliteStore

folder, first = Path(sys.argv[1]), int(sys.argv[2])
with SqliteStore.open(folder, create=True) as library, library.writing():
    for number in range(first, first + 10**6):
        path = f"/videos/{number}.mp4"
        library.add_video(record(path, f"key-{number}", seed=number, count=1 + number % 40))
        print("added", number, flush=True)
        if number % 3 == 2:
            print("forgetting", number - 1, flush=True)
            library.forget_files([Path(f"/videos/{number - 1}.mp4")])
            print("forgot", number - 1, flush=True)
        if number % 5 == 4:
            library.save_snapshots(force=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_kill_at_any_time_loses_no_committed_change(tmp_path: Path) -> None:
    chance = random.Random(KILLS)
    folder = tmp_path / "library"
    expected: set[int] = set()
    unsure: set[int] = set()
    first = 0
    for _ in range(KILLS):
        said = run_and_kill(folder, first, chance.uniform(0.0, 0.25))
        for word, number in said:
            if word == "added":
                expected.add(number)
            else:
                expected.discard(number)
                (unsure.add if word == "forgetting" else unsure.discard)(number)
        newest = max((number for word, number in said if word == "added"), default=first - 1) + 1
        unsure.add(newest)  # committed perhaps, but not yet said
        first = newest + 1
        with SqliteStore.open(folder) as library:
            report = library.verify()
            assert report.clean, report
            held = {int(row.key.removeprefix("key-")) for row in library.files()}
            assert expected <= held <= expected | unsure
            expected, unsure = held, set()
            check_videos(library, held)
    assert expected, "no run came as far as one video"


def run_and_kill(folder: Path, first: int, delay: float) -> list[tuple[str, int]]:
    """Let it come as far as its first words, then a random while further; what it said was done."""
    process = subprocess.Popen(
        [sys.executable, "-c", INDEX, str(folder), str(first)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    with process.stdout:
        lines = [process.stdout.readline()]
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL
    return [(word, int(number)) for word, _, number in (line.partition(" ") for line in lines if line.endswith("\n"))]


def check_videos(library: SqliteStore, held: set[int]) -> None:
    """Every video has all its scenes, and its first is found by its own vector."""
    for number in sorted(held)[-3:]:
        row = library.find_key(f"key-{number}")
        assert row is not None
        scenes = library.scenes_of(row.id)
        assert len(scenes) == 1 + number % 40
        scores, ids = library.search_scenes(SPACE, unit(number, 1 + number % 40)[:1], 1)
        assert ids[0, 0] == scenes[0].id
        assert scores[0, 0] == pytest.approx(1.0, abs=1e-2)
    assert len(library.search_scenes(SPACE, unit(1, 1), 10**6)[1][0]) == sum(1 + number % 40 for number in held)


def test_lock_is_released_when_its_process_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    run_and_kill(folder, 0, 0.0)
    with SqliteStore.open(folder) as library, library.writing():
        assert library.files()
