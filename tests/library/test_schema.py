"""The schema of the catalog: its version, and libraries of another version."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.library.made import record
from vsearch.errors import LibraryError, LibraryMissing
from vsearch.library import SqliteStore
from vsearch.library.schema import APPLICATION_ID, VERSION


def test_header_of_the_catalog_identifies_it(library: SqliteStore) -> None:
    with library.transaction() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("version", "action"), [(VERSION + 1, "update vsearch"), (VERSION - 1, "index the videos again")]
)
def test_library_of_another_schema_version_is_refused_and_unchanged(
    library: SqliteStore, create: bool, version: int, action: str
) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    library.close()
    database = library.path / "catalog.db"
    with sqlite3.connect(database) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    before = database.read_bytes()
    with pytest.raises(LibraryError, match=action):
        SqliteStore.open(library.path, create=create)
    assert database.read_bytes() == before


def test_library_whose_creation_was_interrupted_is_created_again(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "catalog.db").touch()
    with pytest.raises(LibraryMissing):
        SqliteStore.open(folder)
    with SqliteStore.open(folder, create=True) as library:
        library.add_video(record("/v/a.mp4", "A"))
        assert library.verify().clean


READ = """
import sys
from pathlib import Path
import numpy as np
from vsearch.library import SqliteStore
from vsearch.library.filters import Filters
from vsearch.media import Space
with SqliteStore.open(Path(sys.argv[1])) as library:
    library.search_scenes(Space("fake", "f0", 16), np.ones((1, 16), dtype=np.float32), 3)
    library.scenes([1, 2])
    library.select_scenes(Filters(path="*"))
print([name for name in ("torch", "filelock", "decord", "av", "cv2") if name in sys.modules])
"""


def test_reading_imports_no_heavy_module(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    library.save_snapshots()
    done = subprocess.run([sys.executable, "-c", READ, str(library.path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
