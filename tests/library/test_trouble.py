"""A full disk, a folder that cannot be written to, a catalog that is damaged: one clear error, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.library.made import SPACE, record, stamp, unit
from vsearch.errors import LibraryDamaged, LibraryError, LibraryFull, LibraryReadOnly
from vsearch.library import Failure, SqliteStore, repair_library

ROOT = Path(__file__).resolve().parents[2]
STRIDE = 1 if "VSEARCH_KILLS" in os.environ else 3
"""Of the pages of a catalog, every third is broken in turn: `make kills` breaks all."""


def found(library: SqliteStore) -> int:
    return int(library.search_scenes(SPACE, unit(1, 1), 1000)[1].shape[1])


def run(code: str, folder: Path) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


# -- a full disk


def test_full_catalog_raises_library_full_and_keeps_its_contents(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    (pages,) = library._writing_connection().execute("PRAGMA page_count").fetchone()
    library._writing_connection().execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(LibraryFull, match="no space left"):
        library.add_video(record("/v/b.mp4", "B", count=200))
    assert [row.key for row in library.files()] == ["A"]
    assert library.verify().clean
    library._writing_connection().execute("PRAGMA max_page_count = 1000000")
    library.add_video(record("/v/b.mp4", "B", count=200))
    assert found(library) == 203


FILL_UP = """
import resource, sys
from pathlib import Path
from tests.library.made import record
from vsearch.errors import LibraryFull
from vsearch.library import SqliteStore

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
with SqliteStore.open(Path(sys.argv[1]), create=True) as library:
    number = 0
    try:
        while True:
            library.add_video(record(f"/v/{number}.mp4", str(number), seed=number))
            number += 1
    except LibraryFull as error:
        assert library.status().videos == number > 3
        print(number)
"""


@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_full_disk_is_one_error(tmp_path: Path) -> None:
    kept = int(run(FILL_UP, tmp_path / "library"))
    with SqliteStore.open(tmp_path / "library") as library:
        assert library.status().videos == kept
        assert library.verify().clean
        library.add_video(record("/v/more.mp4", "more"))
        assert found(library) == 3 * kept + 3


SNAPSHOT = """
import resource, sys
from pathlib import Path
from vsearch.errors import LibraryFull
from vsearch.library import SqliteStore

with SqliteStore.open(Path(sys.argv[1])) as library:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        library.save_snapshots()
    except LibraryFull as error:
        print("full")
"""


@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_full_disk_keeps_the_last_snapshot(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    library.save_snapshots()
    before = sorted((library.path / "snapshots").iterdir())
    library.add_video(record("/v/b.mp4", "B", count=1000))
    assert run(SNAPSHOT, library.path) == "full\n"
    assert sorted((library.path / "snapshots").iterdir()) == before
    assert found(library) == 1000
    assert library.verify().clean


# -- a library that cannot be written to

READ_ONLY = """
import os, sys
from pathlib import Path
import numpy as np
import faiss, filelock, vsearch.library.salvage, vsearch.library.space_index, vsearch.library.writer
from tests.library.made import SPACE, record, unit
from vsearch.errors import LibraryReadOnly
from vsearch.library import SqliteStore

if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)  # root may write anywhere
folder = Path(sys.argv[1])
with SqliteStore.open(folder, create=True) as library:
    print(library.search_scenes(SPACE, unit(1, 1), 10)[1].shape[1], library.status().videos, library.verify().clean)
    for write in (lambda: library.add_video(record("/v/b.mp4", "B")), library.save_snapshots):
        try:
            write()
        except LibraryReadOnly as error:
            print("read-only")
try:
    SqliteStore.open(folder / "new", create=True)
except LibraryReadOnly:
    print("read-only")
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that any user may look into: pytest's own are their owner's alone."""
    folder = Path(tempfile.mkdtemp(prefix="vsearch-public-"))
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name != "posix", reason="permissions")
@pytest.mark.parametrize("what", ["folder", "files", "both"])
def test_read_only_library_can_be_searched_but_not_changed(public: Path, what: str) -> None:
    with SqliteStore.open(public / "library", create=True) as library:
        library.add_video(record("/v/a.mp4", "A"))
        library.save_snapshots()
        library.add_video(record("/v/c.mp4", "C"))
    for path in (public / "library").rglob("*"):
        if path.is_dir():
            path.chmod(0o555)
        elif what != "folder":
            path.chmod(0o444)
    (public / "library").chmod(0o555 if what != "files" else 0o755)
    assert run(READ_ONLY, public / "library") == "6 2 True\n" + 3 * "read-only\n"


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_read_only_library_opens_after_its_writer_was_killed(public: Path) -> None:
    with SqliteStore.open(public / "live", create=True) as library:
        library.add_video(record("/v/a.mp4", "A"))
        library.save_snapshots()
        # as a kill leaves it: what was committed lies in the WAL
        shutil.copytree(public / "live", public / "library")
        assert (public / "library" / "catalog.db-wal").stat().st_size
    for path in ((public / "library"), *(public / "library").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert run(READ_ONLY, public / "library") == "3 1 True\n" + 3 * "read-only\n"


UNREADABLE = """
import os, sys
from pathlib import Path
from vsearch.errors import LibraryError, LibraryReadOnly
from vsearch.library import SqliteStore

if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)  # root may read anything
for create in (False, True):
    try:
        SqliteStore.open(Path(sys.argv[1]) / "closed" / "library", create=create)
    except LibraryError as error:
        print(str(error).rpartition(": ")[2])
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions")
@pytest.mark.parametrize("what", ["", "library", "library/catalog.db"])
def test_unreadable_library_is_an_error(public: Path, what: str) -> None:
    SqliteStore.open(public / "closed" / "library", create=True).close()
    (public / "closed" / what).chmod(0)
    assert run(UNREADABLE, public) == 2 * "permission is missing\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no folders")
def test_library_cannot_be_created_everywhere() -> None:
    with pytest.raises(LibraryError, match="no library can be made at /proc/library: choose another folder"):
        SqliteStore.open(Path("/proc/library"), create=True)


def test_file_instead_of_the_snapshot_folder_is_reported(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    obstacle = library.path / "snapshots"
    obstacle.write_text("mine")
    with pytest.raises(LibraryError, match=r"snapshots is a file.*: move it away"):
        library.save_snapshots()
    assert found(library) == 3
    for repair in (False, True):
        (problem,) = library.verify(repair=repair).problems
        assert "move it away" in problem
    assert obstacle.read_text() == "mine"
    obstacle.unlink()
    library.save_snapshots()
    assert library.verify().clean and library.status().snapshot_bytes


# -- a damaged catalog


def harm(database: Path, start: int, length: int) -> None:
    content = bytearray(database.read_bytes())
    assert len(content) >= start + length
    content[start : start + length] = b"\x5a" * length
    database.write_bytes(content)


def made(folder: Path, videos: int = 30, prefix: str = "") -> Path:
    """A library of 7 scenes a video, closed, all of it in the one file."""
    with SqliteStore.open(folder, create=True) as library:
        for number in range(videos):
            library.add_video(record(f"/v/{prefix}{number}.mp4", f"{prefix}{number}", seed=number, count=7))
        library.record_failure(Failure(stamp("/v/bad.mp4"), "no video track"))
        library.save_snapshots()
    assert not (folder / "catalog.db-wal").exists()
    return folder / "catalog.db"


@pytest.mark.parametrize(
    "content",
    [b"this is not a database, whatever its name says" * 500, bytes(range(50)), b"SQLite format 3\0" + bytes(8000)],
)
def test_other_file_instead_of_the_catalog_is_an_error(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "library"
    database = made(folder)
    database.write_bytes(content)
    for create in (False, True):
        with pytest.raises(LibraryDamaged, match="vsearch verify --repair"):
            SqliteStore.open(folder, create=create)
    report = repair_library(folder)
    assert report.clean
    (line,) = report.repaired
    assert line.startswith("nothing could be read of the catalog: run `vsearch index` on every folder again")
    (aside,) = folder.glob("damaged-*")
    assert (aside / "catalog.db").read_bytes() == content and line.endswith(aside.name)
    with SqliteStore.open(folder) as library:
        assert library.status().videos == 0
        library.add_video(record("/v/a.mp4", "A"))
        assert found(library) == 3


def test_broken_pages_are_reported_and_the_rest_is_saved(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    database = made(folder)
    pages = database.stat().st_size // 8192
    harmed = 0
    for page in range(2, pages, STRIDE):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "copy")
        harm(tmp_path / "copy" / "catalog.db", page * 8192, 8192)
        try:
            with SqliteStore.open(tmp_path / "copy") as library:
                report = library.verify()
                assert report.broken_pages == any(line.startswith("catalog:") for line in report.problems)
                if report.clean:  # a page that nothing uses
                    continue
                if report.broken_pages:
                    with pytest.raises(LibraryError, match="vsearch verify --repair"):
                        library.verify(repair=True)
        except LibraryDamaged:
            pass
        harmed += 1
        report = repair_library(tmp_path / "copy")
        assert report.clean, report
        with SqliteStore.open(tmp_path / "copy") as library:
            kept = library.status().videos
            assert found(library) == 7 * kept
            assert {str(path) for path in report.lost} <= {f"/v/{n}.mp4" for n in range(30)}
            library.add_video(record("/v/a.mp4", "A"))
            assert library.verify().clean
    assert harmed >= 5


def test_broken_page_of_embeddings_loses_only_the_videos_on_it(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    database = made(folder, videos=200)
    children = leaf_pages(database, root_page(database, "vectors"))
    assert len(children) > 5
    harm(database, (children[3] - 1) * 8192, 8192)
    report = repair_library(folder)
    assert report.clean and report.lost
    with SqliteStore.open(folder) as library:
        assert 200 - len(report.lost) == library.status().videos > 100
        assert library.find_file(report.lost[0]) is None
        assert library.find_failure(Path("/v/bad.mp4")) is not None
        library.add_video(record(report.lost[0], "again", seed=1, count=7))
        assert library.verify().clean


LONG = "long" * 50  # so that few rows fit on a page


def test_files_of_a_broken_table_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    database = made(folder, videos=80, prefix=LONG)
    pages = leaf_pages(database, root_page(database, "files"))
    assert len(pages) > 1
    harm(database, 0, 8192)  # the schema: SQLite sees no table any more
    harm(database, (pages[0] - 1) * 8192, 8192)
    report = repair_library(folder)
    assert report.clean and "on every folder again" in report.repaired[0]
    assert 10 < len(report.lost) < 80
    assert {str(path) for path in report.lost} < {f"/v/{LONG}{number}.mp4" for number in range(80)}


def test_lost_videos_without_a_name_are_reported(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    database = made(folder, videos=80, prefix=LONG)
    videos = leaf_pages(database, root_page(database, "videos"))
    harm(database, (videos[0] - 1) * 8192, 8192)
    report = repair_library(folder)
    assert report.clean
    with SqliteStore.open(folder) as library:
        kept = library.status().videos
        assert 0 < kept < 80 and len(report.lost) == 80 - kept
    assert "on every folder again" in report.repaired[1]


def root_page(database: Path, table: str) -> int:
    connection = sqlite3.connect(database)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    connection.close()
    return int(root)


def leaf_pages(database: Path, root: int) -> list[int]:
    """The children of a table's interior root page: https://www.sqlite.org/fileformat2.html#b_tree_pages"""
    page = database.read_bytes()[(root - 1) * 8192 : root * 8192]
    assert page[0] == 5, "an interior page of a table"
    cells = int.from_bytes(page[3:5], "big")
    starts = [int.from_bytes(page[12 + 2 * i : 14 + 2 * i], "big") for i in range(cells)]
    return [int.from_bytes(page[start : start + 4], "big") for start in starts]


def test_truncated_catalog_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    database = made(folder)
    database.write_bytes(database.read_bytes()[: 8192 * 3 + 100])
    with pytest.raises(LibraryDamaged), SqliteStore.open(folder) as library:
        if library.verify().broken_pages:
            raise LibraryDamaged
    assert repair_library(folder).clean


# -- rows that contradict each other: each by hand, past the front door

WRONG = {
    "a vector is missing": ("DELETE FROM vectors WHERE scene_id = 2", True),
    "frames are missing": ("DELETE FROM frames WHERE scene_id = 2", True),
    "a vector is too short": ("UPDATE vectors SET vector = x'0000' WHERE scene_id = 2", True),
    "a vector is zero": ("UPDATE vectors SET vector = zeroblob(32) WHERE scene_id = 2", True),
    "a vector is not a number": (
        "UPDATE vectors SET vector = CAST(x'007e' || substr(vector, 3) AS BLOB) WHERE scene_id = 2",
        True,
    ),
    "frames do not fit": ("UPDATE frames SET vectors = x'00' WHERE scene_id = 2", True),
    "no encoding": ("DELETE FROM encodings WHERE video_id = 1", True),
    "a scene without vectors": ("INSERT INTO scenes VALUES (99, 1, 9, 50.0, 51.0, 0)", True),
    "no scenes": ("DELETE FROM scenes WHERE video_id = 1", True),
    "an empty scene": ("UPDATE scenes SET end_seconds = start_seconds WHERE id = 2", True),
    "a file of nothing": ("INSERT INTO files VALUES (99, x'2f78', 1, 1, 77)", False),
    "a line of nothing": (
        "INSERT INTO segments VALUES (99, 77, 'speech', 0.0, 1.0, 'x', NULL, NULL, NULL, 'x')",
        False,
    ),
    "a vector of nothing": ("INSERT INTO vectors VALUES (99, 1, 77, 1, zeroblob(32))", False),
}


@pytest.mark.parametrize("what", WRONG)
def test_contradictory_rows_are_found_and_repaired(library: SqliteStore, what: str) -> None:
    statement, lost = WRONG[what]
    library.add_video(record("/v/a.mp4", "A", seed=1))
    library.add_video(record("/v/b.mp4", "B", seed=2))
    library.save_snapshots()
    connection = sqlite3.connect(library.path / "catalog.db")
    connection.execute("PRAGMA foreign_keys = ON" if what == "no scenes" else "PRAGMA foreign_keys = OFF")
    assert connection.execute(statement).rowcount == (3 if what == "no scenes" else 1)
    connection.commit()
    connection.close()
    report = library.verify()
    assert not report.clean and not report.broken_pages
    again = library.verify(repair=True)
    assert again.clean, again
    assert again.repaired
    assert list(again.lost) == ([Path("/v/a.mp4")] if lost else [])
    assert library.verify().clean
    assert library.find_key("B") is not None
    # the next index run makes it whole
    assert (library.find_file(Path("/v/a.mp4")) is None) == lost
    library.add_video(record("/v/a.mp4", "A", seed=1))
    assert found(library) == 6
    assert library.verify().clean


def test_video_without_a_file_is_no_damage_but_is_removed_by_a_repair(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A", seed=1))
    library.add_video(record("/v/a.mp4", "B", seed=2))
    assert library.verify().clean
    report = library.verify(repair=True)
    assert report.clean and report.repaired == ("removed 1 videos that no file holds",) and not report.lost
    assert library.find_key("A") is None and found(library) == 3


def test_broken_encoding_is_removed_from_its_space_only(library: SqliteStore) -> None:
    from tests.library.made import OTHER, scenes

    video = library.add_video(record("/v/a.mp4", "A", seed=1))
    library.add_encoding("A", OTHER, scenes(2, space=OTHER))
    connection = sqlite3.connect(library.path / "catalog.db")
    connection.execute("DELETE FROM vectors WHERE space_id = 2 AND scene_id = 1")
    connection.commit()
    connection.close()
    assert library.verify(repair=True).lost == (Path("/v/a.mp4"),)
    assert library.has_space(video, SPACE) and not library.has_space(video, OTHER)
    assert found(library) == 3
    library.add_encoding("A", OTHER, scenes(2, space=OTHER))
    assert library.verify().clean


def test_errors_of_arguments_are_not_translated(library: SqliteStore) -> None:
    assert not isinstance(LibraryError(), LibraryReadOnly)
    library.close()
    library.close()
