"""One writer at a time, whatever process or thread; readers go on."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.library.made import SPACE, record, unit
from vsearch.errors import LibraryLocked
from vsearch.library import SqliteStore

ROOT = Path(__file__).resolve().parents[2]

HOLD = """
import sys
from pathlib import Path
from tests.library.made import record
from vsearch.library import SqliteStore

with SqliteStore.open(Path(sys.argv[1]), create=True) as library, library.writing():
    library.add_video(record("/v/theirs.mp4", "theirs"))
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_second_process_can_read_but_not_write(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == b"holding\n"
        with SqliteStore.open(folder, create=True) as library:
            for write in (
                lambda: library.add_video(record("/v/a.mp4", "A")),
                lambda: library.forget_files([Path("/v/theirs.mp4")]),
                library.save_snapshots,
                lambda: library.verify(repair=True),
            ):
                with pytest.raises(LibraryLocked, match="another process is writing"):
                    write()
            assert [row.key for row in library.files()] == ["theirs"]
            assert library.search_scenes(SPACE, unit(1, 1), 9)[1].shape == (1, 3)
            assert library.verify().clean
            other.stdin.close()
            assert other.wait() == 0
            library.add_video(record("/v/a.mp4", "A"))
            assert len(library.files()) == 2


def test_two_store_objects_in_a_process_exclude_each_other(library: SqliteStore) -> None:
    with SqliteStore.open(library.path) as second, library.writing():
        with pytest.raises(LibraryLocked):
            second.add_video(record("/v/a.mp4", "A"))
        library.add_video(record("/v/a.mp4", "A"))
    library.add_video(record("/v/b.mp4", "B"))


def test_lock_is_reentrant_and_released_after_an_error(library: SqliteStore) -> None:
    with pytest.raises(RuntimeError, match="stop"), library.writing(), library.writing():
        raise RuntimeError("stop")
    with SqliteStore.open(library.path) as second, second.writing():
        pass


def test_threads_of_one_store_wait_for_the_lock(library: SqliteStore) -> None:
    threads = [
        threading.Thread(
            target=lambda n=n: [library.add_video(record(f"/v/{n}-{i}.mp4", f"{n}-{i}")) for i in range(5)]
        )  # type: ignore[misc]
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert library.status().videos == 20
    assert library.status().change == 20
