"""Connections to the catalog follow the questions that are asked at once; whoever cannot get one is told so."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from tests.library.made import SPACE, record, unit
from vsearch.errors import LibraryMissing
from vsearch.library import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTORS = Path("/proc/self/fd")


def search(library: SqliteStore) -> int:
    return int(library.search_scenes(SPACE, unit(1, 1), 1000)[1].shape[1])


def run(code: str, folder: Path) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")
def test_ended_threads_keep_no_connection_open(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    search(library)
    before = len(list(DESCRIPTORS.iterdir()))
    found: list[int] = []

    def ask() -> None:
        found.append(search(library))
        with contextlib.suppress(KeyError), library.transaction() as connection:
            connection.execute("SELECT COUNT(*) FROM scenes").fetchone()
            raise KeyError  # the thread ends inside a transaction

    for _ in range(300):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert found == [3] * 300
    assert len(list(DESCRIPTORS.iterdir())) <= before


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")
def test_idle_threads_keep_no_connection_open(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    search(library)
    before = len(list(DESCRIPTORS.iterdir()))
    asked, go_on = threading.Barrier(41), threading.Event()

    def ask() -> None:
        with library.transaction():
            asked.wait()
        asked.wait()
        go_on.wait()

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    asked.wait()
    asked.wait()
    # a few idle connections are kept; SQLite itself keeps closed descriptors of the catalog for the next connection
    during = len(list(DESCRIPTORS.iterdir()))
    go_on.set()
    for thread in threads:
        thread.join()
    assert during <= before + 40 + 8


def test_abandoned_generator_ends_its_transaction(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    abandoned: list[Iterator[object]] = []

    def ask() -> None:
        abandoned.append(library.all_vectors(SPACE))
        next(abandoned[0])

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    abandoned.clear()
    library.add_video(record("/v/b.mp4", "B"))
    assert search(library) == 6
    # questions that overlap in another order than they began
    first, second = library.all_vectors(SPACE), library.all_vectors(SPACE)
    next(first), next(second)
    first.close()  # type: ignore[attr-defined]
    library.add_video(record("/v/c.mp4", "C"))
    assert library.status().scenes == 6, "the second is still under way: one state"
    second.close()  # type: ignore[attr-defined]
    assert library.status().scenes == 9


FEW = """
import os, resource, sys, threading
from pathlib import Path
from tests.library.made import SPACE, record, unit
from vsearch.library import SqliteStore

library = SqliteStore.open(Path(sys.argv[1]))
assert library.search_scenes(SPACE, unit(1, 1), 10)[1].shape[1] == 3
taken = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (taken + 12, taken + 12))
found = []
def ask():
    for _ in range(5):
        found.append(library.search_scenes(SPACE, unit(1, 1), 10)[1].shape[1])
        library.status()
threads = [threading.Thread(target=ask) for _ in range(100)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found == [3] * 500)
"""


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")
def test_threads_wait_for_a_free_file_descriptor(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    assert run(FEW, library.path) == "True\n"


NONE_LEFT = """
import os, resource, sys
from pathlib import Path
import faiss, vsearch.library.space_index
from tests.library.made import SPACE, record, unit
from vsearch.errors import LibraryError
from vsearch.library import SqliteStore, connection

connection._PATIENCE_SECONDS = 0.1
library = SqliteStore.open(Path(sys.argv[1]))
writer = SqliteStore.open(Path(sys.argv[1]))
writer.add_video(record("/v/b.mp4", "B"))  # lies in the WAL: a reader that ignores it would be wrong
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
for spare in range(4):
    library.close()
    library._indexes.clear()
    taken = []
    try:
        while True: taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError: pass
    for one in range(spare): os.close(taken.pop())
    try:
        assert library.status().videos == 2
        assert library.search_scenes(SPACE, unit(1, 1), 10)[1].shape[1] == 6
        print("answered")
    except LibraryError as error:
        print(error)
    for one in taken: os.close(one)
"""


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="fills the table of descriptors")
def test_lack_of_file_descriptors_is_an_error_and_no_stale_result(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    library.save_snapshots()
    lines = run(NONE_LEFT, library.path).splitlines()
    assert len(lines) == 4
    for line in lines:
        assert line == "answered" or "too many files are open" in line
    assert "too many files are open" in lines[0]


def test_removed_library_is_missing(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    with SqliteStore.open(library.path) as reader:
        assert search(reader) == 3
        library.close()
        library.path.rename(library.path.with_name("elsewhere"))
        with pytest.raises(LibraryMissing):
            reader.status()
        library.path.with_name("elsewhere").rename(library.path)
        assert search(reader) == 3


READ_BESIDE = """
import os, sys
from pathlib import Path
import faiss, vsearch.library.space_index
from tests.library.made import SPACE, unit
from vsearch.library import SqliteStore

if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)  # root may write anywhere
with SqliteStore.open(Path(sys.argv[1])) as library:
    for _ in sys.stdin:
        print(library.status().videos, library.search_scenes(SPACE, unit(1, 1), 100)[1].shape[1], flush=True)
"""


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs two users")
def test_reader_without_write_permission_sees_commits_of_another_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    import tempfile

    public = Path(tempfile.mkdtemp(prefix="vsearch-public-"))
    public.chmod(0o755)
    try:
        with SqliteStore.open(public / "library", create=True) as library:
            library.add_video(record("/v/0.mp4", "0"))
        with subprocess.Popen(
            [sys.executable, "-c", READ_BESIDE, str(public / "library")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        ) as reader:  # fmt: skip
            assert reader.stdin is not None and reader.stdout is not None
            for number in range(1, 4):
                reader.stdin.write("\n")
                reader.stdin.flush()
                assert reader.stdout.readline() == f"{number} {3 * number}\n"
                with SqliteStore.open(public / "library") as library:
                    library.add_video(record(f"/v/{number}.mp4", str(number)))
            with SqliteStore.open(public / "library") as library:  # beside a writer that has not ended
                library.add_video(record("/v/last.mp4", "last"))
                reader.stdin.write("\n")
                reader.stdin.flush()
                assert reader.stdout.readline() == "5 15\n"
            reader.stdin.close()
            assert reader.wait() == 0
    finally:
        shutil.rmtree(public)


PATHS = [
    PureWindowsPath(r"\\server\share\films ü\catalog.db"),
    PureWindowsPath(r"\\?\C:\a\catalog.db"),
    PureWindowsPath(r"C:\100% #1?\catalog.db"),
    PurePosixPath("//double/catalog.db"),
    PurePosixPath("/a b/ü?x=1#y%41/catalog.db"),
]


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_uri_contains_the_path_and_no_authority(path: PurePath, tmp_path: Path) -> None:
    """SQLite's parser is the same everywhere, so it can be asked about Windows paths, too, as names of odd files."""
    from urllib.parse import unquote, urlsplit

    from vsearch.library.connection import uri_of

    uri = uri_of(path)
    assert urlsplit(uri).netloc == "" and unquote(uri.removeprefix("file:")) == str(path)
    if isinstance(path, PureWindowsPath) and os.name == "posix":
        file = tmp_path / str(path)  # one name with backslashes in it
        connection = sqlite3.connect(uri_of(file) + "?mode=rwc", uri=True)
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        assert file.exists()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):  # it is parsed, and there is no such file
        sqlite3.connect(uri + "?mode=ro", uri=True).execute("PRAGMA schema_version")
