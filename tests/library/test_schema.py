"""Migrations and SQLAlchemy models define the same schema; a newer schema is refused."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.library.made import record
from vsearch.errors import LibraryMissing, LibraryTooNew
from vsearch.library import SqliteStore, catalog
from vsearch.library.migrations import APPLICATION_ID, VERSION


def normal(statement: str) -> str:
    return re.sub(r"\s+", "", statement)


def test_migrations_and_models_define_the_same_tables(library: SqliteStore) -> None:
    with library._reader.transaction() as connection:
        made = {
            normal(sql)
            for (sql,) in connection.execute(
                "SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name != 'sqlite_sequence' "
                "AND name NOT LIKE 'segment_words%'"  # the index of words: SQLAlchemy has no models for such
            )
        }
    dialect = sqlite.dialect()
    defined = set()
    for table in catalog.Base.metadata.sorted_tables:
        defined.add(normal(str(CreateTable(table).compile(dialect=dialect))))
        defined |= {normal(str(CreateIndex(index).compile(dialect=dialect))) for index in table.indexes}
    assert made == defined


def test_catalog_file_header_identifies_application_and_version(library: SqliteStore) -> None:
    with library._reader.transaction() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("create", [False, True])
def test_newer_library_is_refused_and_unchanged(library: SqliteStore, create: bool) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    library.close()
    database = library.path / "catalog.db"
    with sqlite3.connect(database) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = database.read_bytes()
    with pytest.raises(LibraryTooNew, match="update vsearch"):
        SqliteStore.open(library.path, create=create)
    assert database.read_bytes() == before


def test_interrupted_creation_of_a_library_is_repeated(tmp_path: Path) -> None:
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
print([name for name in ("sqlalchemy", "torch", "filelock", "decord", "av", "cv2") if name in sys.modules])
"""


def test_reading_a_library_imports_no_heavy_package(library: SqliteStore) -> None:
    library.add_video(record("/v/a.mp4", "A"))
    library.save_snapshots()
    done = subprocess.run([sys.executable, "-c", READ, str(library.path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
