"""The catalog's schema, and the check of its version, which is kept in PRAGMA user_version.

SQLite is the truth of a library, embeddings included. No id is used twice (AUTOINCREMENT), so an id in an old snapshot
always means the same row. Every transaction that writes raises `meta.change` by one; embeddings and removals have the
change number of the transaction that wrote them.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from vsearch.errors import LibraryError, LibraryTooNew

VERSION = 9
APPLICATION_ID = 0x76737263
""""vsrc": identifies the file for `file` and `sqlite3`."""

_TABLES = """
-- pruned_through: removals up to this change number are no longer listed. An older snapshot cannot be updated.
CREATE TABLE meta (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1), library_id TEXT NOT NULL, change INTEGER NOT NULL,
    pruned_through INTEGER NOT NULL
);
-- The user's choices for this library. "model": the default model.
CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
-- key: the content key. recorded_at: Unix seconds.
CREATE TABLE videos (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, duration REAL NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, codec TEXT NOT NULL, container TEXT NOT NULL,
    rotation INTEGER NOT NULL, has_audio INTEGER NOT NULL, recorded_at REAL
);
-- path: bytes, as the file system stores them.
CREATE TABLE files (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, video_id INTEGER NOT NULL REFERENCES videos (id)
);
CREATE INDEX files_video ON files (video_id);
-- Files that could not be indexed, with their size and time of modification at that time. at: Unix seconds.
CREATE TABLE failures (
    path BLOB NOT NULL PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, cause TEXT NOT NULL,
    at REAL NOT NULL
);
-- [start_seconds, end_seconds). spoken: 1 if a speech segment overlaps the scene.
CREATE TABLE scenes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL, start_seconds REAL NOT NULL, end_seconds REAL NOT NULL, spoken INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX scenes_video ON scenes (video_id, ordinal);
CREATE INDEX scenes_start ON scenes (video_id, start_seconds);
CREATE TABLE spaces (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, fingerprint TEXT NOT NULL,
    channel TEXT NOT NULL, dim INTEGER NOT NULL, metric TEXT NOT NULL
);
CREATE UNIQUE INDEX spaces_identity ON spaces (fingerprint, channel, dim, metric);
-- A video is encoded in a space: all its scenes, or all passages of its transcript, have embeddings there.
CREATE TABLE encodings (
    video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    space_id INTEGER NOT NULL REFERENCES spaces (id), PRIMARY KEY (video_id, space_id)
);
-- Embeddings of scenes, fp16. The scene comes first in the index: it serves look-ups by id and the cascade from scenes.
CREATE TABLE vectors (
    id INTEGER NOT NULL PRIMARY KEY, space_id INTEGER NOT NULL REFERENCES spaces (id),
    scene_id INTEGER NOT NULL REFERENCES scenes (id) ON DELETE CASCADE, change INTEGER NOT NULL, vector BLOB NOT NULL
);
CREATE UNIQUE INDEX vectors_scene ON vectors (scene_id, space_id);
CREATE INDEX vectors_change ON vectors (space_id, change);
-- The frames of a scene in a space: times (fp64, seconds) and embeddings (int8, with one scale per frame).
CREATE TABLE frames (
    id INTEGER NOT NULL PRIMARY KEY, space_id INTEGER NOT NULL REFERENCES spaces (id),
    scene_id INTEGER NOT NULL REFERENCES scenes (id) ON DELETE CASCADE, times BLOB NOT NULL, vectors BLOB NOT NULL
);
CREATE UNIQUE INDEX frames_scene ON frames (scene_id, space_id);
-- JPEG; empty where no thumbnail can be made. A separate index: finding scenes without must not read the pictures.
CREATE TABLE thumbnails (
    id INTEGER NOT NULL PRIMARY KEY, scene_id INTEGER NOT NULL REFERENCES scenes (id) ON DELETE CASCADE,
    picture BLOB NOT NULL
);
CREATE UNIQUE INDEX thumbnails_scene ON thumbnails (scene_id);
-- label: normalised by rows.label_key.
CREATE TABLE labels (
    id INTEGER NOT NULL PRIMARY KEY, scene_id INTEGER NOT NULL REFERENCES scenes (id) ON DELETE CASCADE,
    space_id INTEGER NOT NULL REFERENCES spaces (id), label TEXT NOT NULL, score REAL NOT NULL
);
CREATE UNIQUE INDEX labels_scene ON labels (scene_id, space_id, label);
CREATE INDEX labels_label ON labels (label, scene_id);
-- words: JSON [[start, end, text], ...] where the times of words are known. box: JSON [left, top, right, bottom],
-- fractions of the frame. folded: the text as segment_words indexes it (folding.py).
CREATE TABLE segments (
    id INTEGER NOT NULL PRIMARY KEY, video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    channel TEXT NOT NULL, start_seconds REAL NOT NULL, end_seconds REAL NOT NULL, text TEXT NOT NULL, words TEXT,
    box TEXT, confidence REAL, folded TEXT NOT NULL DEFAULT ''
);
CREATE INDEX segments_video ON segments (video_id, channel, start_seconds);
-- A channel of a video that has been processed, even if it has no segments.
CREATE TABLE transcripts (
    video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE, channel TEXT NOT NULL, source TEXT NOT NULL,
    recipe TEXT NOT NULL, language TEXT, cause TEXT, PRIMARY KEY (video_id, channel)
);
-- Passages of a transcript with their embeddings (fp16), in a space of the same channel.
CREATE TABLE passages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, video_id INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    space_id INTEGER NOT NULL REFERENCES spaces (id), change INTEGER NOT NULL, start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL, vector BLOB NOT NULL
);
CREATE INDEX passages_video ON passages (video_id, space_id);
CREATE INDEX passages_change ON passages (space_id, change);
-- Embeddings that were removed, until every snapshot is newer. scene_id: in a space of a transcript, of a passage.
CREATE TABLE removals (
    id INTEGER NOT NULL PRIMARY KEY, space_id INTEGER NOT NULL, scene_id INTEGER NOT NULL, change INTEGER NOT NULL
);
CREATE INDEX removals_change ON removals (space_id, change);
-- The full-text index of segments keeps no copy of the text.
CREATE VIRTUAL TABLE segment_words USING fts5 (
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
        for statement in (*_TABLES.split(";\n"), *_TRIGGERS):
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES (1, ?, 0, 0)", (secrets.token_hex(16),))
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends the transaction
            connection.execute("ROLLBACK")
        raise
