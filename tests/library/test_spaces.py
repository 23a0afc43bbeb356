"""Taking a model's vectors away: all of them or none, and nothing else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.library.made import OTHER, SPACE, record, scenes, unit
from vsearch.errors import LibraryError
from vsearch.library import SqliteStore, repair_library
from vsearch.media import Segment

ROOT = Path(__file__).resolve().parents[2]
LINE = Segment(0.5, 1.5, "to the lighthouse")


def fill(library: SqliteStore, count: int = 3) -> None:
    for number in range(count):
        library.add_video(record(f"/v/{number}.mp4", f"K{number}", number, segments=[LINE]))
        library.add_encoding(f"K{number}", OTHER, scenes(number, space=OTHER))
    library.save_snapshots(force=True)


def snapshot_spaces(library: SqliteStore) -> set[str]:
    return {file.name.split("-")[1] for file in (library.path / "snapshots").glob("space-*")}


def check_rest(library: SqliteStore) -> None:
    """Videos, words and the first space are as they were."""
    assert library.status().videos == 3 and library.status().speech_segments == 3
    assert len(library.search_text("lighthouse", 10)) == 3
    scores, ids = library.search_scenes(SPACE, unit(1, 3)[:1], 1)
    assert scores[0, 0] == pytest.approx(1, abs=1e-2) and len(library.frame_vectors(SPACE, ids[0].tolist())) == 1


def test_remove_spaces_removes_everything_in_a_space_and_nothing_else(library: SqliteStore) -> None:
    fill(library)
    library.search_scenes(OTHER, unit(0, 1, OTHER.dim), 5)
    removed = library.remove_spaces([OTHER])
    assert (removed.videos, removed.vectors) == (3, 9)
    assert [row.space for row in library.spaces()] == [SPACE]
    assert library.search_scenes(OTHER, unit(0, 1, OTHER.dim), 5)[1].size == 0
    assert snapshot_spaces(library) == {"1"}
    check_rest(library)
    assert library.verify().clean
    assert [path.name for path in library.unencoded_files(OTHER)] == ["0.mp4", "1.mp4", "2.mp4"]
    assert library.unencoded_files(SPACE) == []
    library.add_encoding("K0", OTHER, scenes(0, space=OTHER))  # and may come back, with another id
    assert library.search_scenes(OTHER, unit(0, 3, OTHER.dim)[:1], 5)[1].size == 3


def test_remove_spaces_returns_disk_space(library: SqliteStore) -> None:
    fill(library, 3)
    library.add_video(record("/v/long.mp4", "L", count=400))
    library.add_encoding("L", OTHER, scenes(0, 400, OTHER))
    before = library.status()
    removed = library.remove_spaces([OTHER])
    after = library.status()
    assert removed.bytes_freed > 0
    assert after.catalog_bytes + after.snapshot_bytes == (
        before.catalog_bytes + before.snapshot_bytes - removed.bytes_freed
    )


def test_remove_spaces_refuses_to_leave_videos_without_a_space(library: SqliteStore) -> None:
    fill(library)
    library.add_video(record("/v/alone.mp4", "ALONE", space=OTHER))
    with pytest.raises(LibraryError, match="1 videos are encoded with this model alone"):
        library.remove_spaces([OTHER])
    with pytest.raises(LibraryError, match="4 videos"):
        library.remove_spaces([SPACE, OTHER])
    assert [row.videos for row in library.spaces()] == [3, 4] and library.verify().clean
    library.forget_files([Path("/v/alone.mp4")], keep_videos=True)  # nobody plays it any more: it may go
    assert library.remove_spaces([OTHER]).videos == 3
    assert library.verify().clean


def test_open_reader_follows_the_removal_of_a_space(library: SqliteStore) -> None:
    fill(library)
    with SqliteStore.open(library.path) as reader:
        query = unit(0, 1, OTHER.dim)
        assert reader.search_scenes(OTHER, query, 5)[1].size == 5
        library.remove_spaces([OTHER])
        assert reader.search_scenes(OTHER, query, 5)[1].size == 0
        check_rest(reader)


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from tests.library.made import OTHER
from vsearch.library import SqliteStore, snapshots
from vsearch.library.writer import Writer

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Dying(sqlite3.Connection):
    def execute(self, statement, *values):
        if statement == "COMMIT":
            die()
        return super().execute(statement, *values)

if sys.argv[2] == "before the commit":
    opened = sqlite3.connect
    sqlite3.connect = lambda *given, **named: opened(*given, **named, factory=Dying)
elif sys.argv[2] == "before its snapshots go":
    snapshots.sweep_unknown = die
else:
    Writer._compact = die
with SqliteStore.open(Path(sys.argv[1])) as library:
    library.remove_spaces([OTHER])
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("moment", ["before the commit", "before its snapshots go", "before the disk gets its room"])
def test_kill_during_remove_spaces_leaves_the_space_or_nothing_of_it(library: SqliteStore, moment: str) -> None:
    fill(library)
    done = subprocess.run([sys.executable, "-c", KILLED, str(library.path), moment], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    gone = moment != "before the commit"
    with SqliteStore.open(library.path) as after:
        assert [row.space for row in after.spaces()] == ([SPACE] if gone else [SPACE, OTHER])
        assert after.search_scenes(OTHER, unit(0, 1, OTHER.dim), 9)[1].size == (0 if gone else 9)
        assert after.verify().clean
        check_rest(after)
        after.save_snapshots()
        assert snapshot_spaces(after) == ({"1"} if gone else {"1", "2"})


def test_default_model_is_stored(library: SqliteStore) -> None:
    assert library.default_model() is None
    library.set_default_model("mini")
    library.set_default_model("other")
    assert library.default_model() == library.status().default_model == "other"
    assert library.status().as_json()["default_model"] == "other"


def test_repaired_library_keeps_its_default_model(library: SqliteStore) -> None:
    library.set_default_model("other")
    fill(library)
    library.close()
    database = library.path / "catalog.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'vectors_change'").fetchone()[0]
    connection.close()
    with database.open("r+b") as file:
        file.seek((page - 1) * 8192)
        file.write(np.random.default_rng(0).bytes(8192))
    assert not repair_library(library.path).problems
    with SqliteStore.open(library.path) as repaired:
        assert repaired.default_model() == "other"
