"""The SQLite catalog: its tables (tables.py), its full-text index, and the check of its version, which is kept in
PRAGMA user_version. Reading a catalog does not import SQLAlchemy."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from vsearch.errors import LibraryError, LibraryTooNew

VERSION = 9
APPLICATION_ID = 0x76737263
""""vsrc": identifies the file for `file` and `sqlite3`."""

# The full-text index of segments keeps no copy of the text.
_FULL_TEXT_INDEX = """CREATE VIRTUAL TABLE segment_words USING fts5 (
    folded, content='segments', content_rowid='id', tokenize='porter ascii', prefix='1 2 3'
)"""

# Triggers update the index in the same transaction, also for a cascade or a repair.
_TRIGGERS = (
    """CREATE TRIGGER segment_words_insert AFTER INSERT ON segments BEGIN
    INSERT INTO segment_words (rowid, folded) VALUES (new.id, new.folded);
END""",
    """CREATE TRIGGER segment_words_delete AFTER DELETE ON segments BEGIN
    INSERT INTO segment_words (segment_words, rowid, folded) VALUES ('delete', old.id, old.folded);
END""",
    """CREATE TRIGGER segment_words_update AFTER UPDATE OF folded ON segments BEGIN
    INSERT INTO segment_words (segment_words, rowid, folded) VALUES ('delete', old.id, old.folded);
    INSERT INTO segment_words (rowid, folded) VALUES (new.id, new.folded);
END""",
)


def is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the catalog of the library at `path` has its tables. LibraryError if they are of another version."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LibraryTooNew(
            f"the library {path} was written by a newer vsearch (schema {version}, this one knows {VERSION}): "
            "update vsearch with `pip install --upgrade vsearch`"
        )
    if version not in (0, VERSION):
        raise LibraryError(
            f"the library {path} has the schema {version}, which this vsearch cannot read (it needs {VERSION}): "
            "remove the folder and index the videos again"
        )
    return version == VERSION


def make(connection: sqlite3.Connection) -> None:
    """Create the tables in one transaction. The connection is in autocommit mode."""
    # A row with a scene embedding has at least 1 KB: larger pages waste less space.
    connection.execute("PRAGMA page_size = 8192")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in (*_table_statements(), _FULL_TEXT_INDEX, *_TRIGGERS):
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES (1, ?, 0, 0)", (secrets.token_hex(16),))
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends the transaction
            connection.execute("ROLLBACK")
        raise


def _table_statements() -> Iterator[str]:
    """DDL of the tables and their indexes for SQLite."""
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from vsearch.library.tables import METADATA

    dialect = sqlite.dialect()
    for table in METADATA.tables.values():
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
