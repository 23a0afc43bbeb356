"""A repair that is killed, or finds no room, leaves the library as it was: what could be saved can still be saved.

VSEARCH_KILLS sets how often it is killed (4 by default).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.library.made import SPACE, record, unit
from vsearch.errors import LibraryDamaged
from vsearch.library import SqliteStore, repair_library, verify
from vsearch.media import Segment

KILLS = int(os.environ.get("VSEARCH_KILLS", "4"))
ROOT = Path(__file__).resolve().parents[2]

# Repairs a library and kills itself at its n-th operation on files; prints how many there were.
KILLED = """
import os, signal, sys
from pathlib import Path
from vsearch.library import repair_library

count, limit = 0, int(sys.argv[2])

def hook(event, arguments):
    global count
    if event.startswith(("os.", "open", "shutil.", "sqlite3.")):
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
repair_library(Path(sys.argv[1]))
print(count)
"""

# Repairs a library, while no file may grow beyond a number of bytes.
CRAMPED = """
import resource, signal, sys
from pathlib import Path
from vsearch.errors import LibraryFull
from vsearch.library import repair_library

limit = int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    repair_library(Path(sys.argv[1]))
except LibraryFull as error:
    print(error)
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A library of 30 videos, some of them in the log alone, with a broken page."""
    folder = tmp_path / "broken"
    with SqliteStore.open(tmp_path / "whole", create=True) as library:
        for number in range(20):
            library.add_video(record(f"/v/{number}.mp4", f"key {number}", seed=number, count=7))
    with SqliteStore.open(tmp_path / "whole") as library:
        for number in range(20, 30):
            library.add_video(record(f"/v/{number}.mp4", f"key {number}", seed=number, count=7))
        library.save_snapshots(force=True)
        shutil.copytree(tmp_path / "whole", folder)
    assert (folder / "catalog.db-wal").stat().st_size
    with (folder / "catalog.db").open("r+b") as file:
        file.seek(42 * 8192)  # a page of the table frames
        file.write(b"\xff" * 8192)
    return folder


def saved(folder: Path) -> int:
    """Repair a copy of the library: how many videos it has then."""
    copy = folder.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    for aside in folder.glob("damaged-*"):  # of a killed repair: a link to the catalog, which copying breaks
        if (aside / "catalog.db").exists() and (aside / "catalog.db").samefile(folder / "catalog.db"):
            (copy / aside.name / "catalog.db").unlink()
            os.link(copy / "catalog.db", copy / aside.name / "catalog.db")
    assert repair_library(copy).clean
    assert not list(copy.glob("catalog.db.repaired*"))
    with SqliteStore.open(copy) as library:
        assert library.verify().clean
        (aside,) = copy.glob("damaged-*")  # also where an earlier repair was killed
        assert not (aside / "catalog.db").samefile(copy / "catalog.db")
        return library.status().videos


def run(program: str, folder: Path, limit: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(folder), str(limit)], capture_output=True, text=True, cwd=ROOT, check=False
    )


def is_broken(folder: Path) -> bool:
    try:
        with SqliteStore.open(folder) as library:
            return not library.verify().clean
    except LibraryDamaged:
        return True


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_repair_killed_at_any_step_loses_nothing(broken: Path, tmp_path: Path) -> None:
    expected = saved(broken)
    assert 0 < expected < 30 or is_broken(broken)
    shutil.copytree(broken, tmp_path / "counted")
    steps = int(run(KILLED, tmp_path / "counted", 0).stdout)
    chance = random.Random(KILLS)
    for step in chance.sample(range(1, steps + 1), min(KILLS, steps)):
        folder = tmp_path / f"killed at {step}"
        shutil.copytree(broken, folder)
        assert run(KILLED, folder, step).returncode == -signal.SIGKILL
        assert saved(folder) == expected, step
        if not is_broken(folder):  # killed after the swap: nothing is half done
            with SqliteStore.open(folder) as library:
                assert library.status().videos == expected, step
        shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_repair_without_disk_space_leaves_the_library_unchanged(broken: Path, share: float) -> None:
    expected = saved(broken)
    size = (broken / "catalog.db").stat().st_size
    done = run(CRAMPED, broken, int(share * size))
    assert "no space left" in done.stdout, done
    assert is_broken(broken)
    assert not list(broken.glob("catalog.db.repaired*"))
    assert saved(broken) == expected


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_repair_on_a_full_disk(broken: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(file.stat().st_size for file in broken.rglob("*") if file.is_file())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size + 262_144}", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        expected = saved(broken)
        folder = disk / "library"
        shutil.copytree(broken, folder)
        done = run(CRAMPED, folder, 2**62)
        assert "no space left" in done.stdout, done
        shutil.copytree(folder, tmp_path / "with room")
        assert is_broken(folder)
        assert saved(tmp_path / "with room") == expected
    finally:
        subprocess.run(["umount", disk], check=True)


def test_open_stores_follow_a_repair(broken: Path) -> None:
    with SqliteStore.open(broken) as reader, SqliteStore.open(broken) as writer:
        change = reader.status().change
        reader.spaces()
        writer.set_default_model("fake")
        expected = saved(broken)
        assert run(KILLED, broken, 0).returncode == 0
        assert reader.status().videos == expected
        assert reader.status().change > change + 1, "what is kept for a change of the broken catalog is not used again"
        assert reader.search_scenes(SPACE, unit(1, 1), 1000)[1].shape[1] == 7 * expected
        assert reader.default_model() == "fake"
        writer.add_video(record("/v/new.mp4", "new"))
        assert reader.status().videos == expected + 1
        assert reader.search_scenes(SPACE, unit(1, 1), 1000)[1].shape[1] == 7 * expected + 3
        reader.save_snapshots()
    with SqliteStore.open(broken) as again:
        assert again.find_key("new") is not None
        assert again.verify().clean


def test_contradictions_are_repaired_in_one_transaction(library: SqliteStore) -> None:
    """Between two, a kill would leave videos that no model can find."""
    for number in range(4):
        library.add_video(record(f"/v/{number}.mp4", str(number), seed=number))
    library.add_video(record("/v/3.mp4", "in the place of 3"))
    with closing(sqlite3.connect(library.path / "catalog.db")) as connection, connection:
        connection.execute("DELETE FROM vectors WHERE scene_id = 1")
        connection.execute("DELETE FROM frames WHERE scene_id = 4")
        connection.execute("UPDATE scenes SET end_seconds = start_seconds WHERE id = 7")
        connection.execute("INSERT INTO files VALUES (99, x'2f78', 1, 1, 77)")
    before = library.status().change
    found = verify.check(library, library.path / "snapshots")
    done = verify.repair(found, library, library.path / "snapshots")
    assert library.status().change == before + 1
    assert [row.key for row in library.files()] == ["in the place of 3"]
    assert sum("to be indexed again" in line for line in done) == 3
    assert "removed 1 videos that no file holds" in done
    assert library.verify().clean


def test_broken_index_loses_no_video(library: SqliteStore, tmp_path: Path) -> None:
    """Every secondary index in turn: what it leads to is whole."""
    for number in range(12):
        line = Segment(0.5, 1.5, f"words of {number}")
        library.add_video(record(f"/v/{number}.mp4", f"key {number}", seed=number, segments=[line]))
    database = library.path / "catalog.db"
    with closing(sqlite3.connect(database)) as connection:
        indexes = connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'index'").fetchall()
    library.close()
    assert len(indexes) > 10
    harmed = 0
    for name, page in indexes:
        copy = tmp_path / name
        shutil.copytree(library.path, copy)
        with (copy / "catalog.db").open("r+b") as file:
            file.seek((page - 1) * 8192)
            file.write(b"\xff" * 8192)
        harmed += is_broken(copy)
        report = repair_library(copy)
        assert report.clean and not report.lost, (name, report)
        with SqliteStore.open(copy) as repaired:
            assert repaired.status().videos == 12, name
            assert repaired.status().speech_segments == 12
            assert repaired.search_scenes(SPACE, unit(1, 1), 100)[1].shape[1] == 36
    assert harmed == len(indexes)


@pytest.mark.parametrize("index", ["scenes_video", "scenes_start"])
def test_broken_index_and_table_lose_only_videos_of_the_table(broken: Path, index: str) -> None:
    expected = saved(broken)
    with closing(sqlite3.connect(broken / "catalog.db")) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()
    with (broken / "catalog.db").open("r+b") as file:
        file.seek((page - 1) * 8192)
        file.write(b"\xff" * 8192)
    assert saved(broken) == expected


def test_next_write_removes_the_new_catalog_of_a_killed_repair(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path, create=True) as store:
        for ending in ("", "-wal"):
            (tmp_path / f"catalog.db.repaired{ending}").write_bytes(b"unfinished")
        store.status()
        assert (tmp_path / "catalog.db.repaired").exists(), "reading changes nothing"
        store.set_default_model("fake")
        assert not list(tmp_path.glob("catalog.db.repaired*"))
