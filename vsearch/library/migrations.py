"""The catalog's schema, as numbered steps that never change once released. The number lies in PRAGMA user_version.

A step is a list of SQL statements; all missing steps run in one transaction: a kill leaves the old schema or the new.
"""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from vsearch.errors import LibraryTooNew
from vsearch.library.folding import folded

_M001 = """
CREATE TABLE meta (
    id INTEGER NOT NULL, library_id TEXT NOT NULL, change BIGINT NOT NULL, pruned_through BIGINT NOT NULL,
    PRIMARY KEY (id), CHECK (id = 1)
);
CREATE TABLE videos (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "key" TEXT NOT NULL, duration FLOAT NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, codec TEXT NOT NULL, container TEXT NOT NULL,
    rotation INTEGER NOT NULL, has_audio INTEGER NOT NULL, recorded_at FLOAT, UNIQUE ("key")
);
CREATE TABLE files (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL, size BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL, video_id INTEGER NOT NULL,
    UNIQUE (path), FOREIGN KEY(video_id) REFERENCES videos (id)
);
CREATE INDEX files_video ON files (video_id);
CREATE TABLE failures (
    path BLOB NOT NULL, size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, cause TEXT NOT NULL, at FLOAT NOT NULL,
    PRIMARY KEY (path)
);
CREATE TABLE scenes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, video_id INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    start_seconds FLOAT NOT NULL, end_seconds FLOAT NOT NULL,
    FOREIGN KEY(video_id) REFERENCES videos (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX scenes_video ON scenes (video_id, ordinal);
CREATE TABLE spaces (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, fingerprint TEXT NOT NULL,
    channel TEXT NOT NULL, dim INTEGER NOT NULL, metric TEXT NOT NULL
);
CREATE UNIQUE INDEX spaces_identity ON spaces (fingerprint, channel, dim, metric);
CREATE TABLE encodings (
    video_id INTEGER NOT NULL, space_id INTEGER NOT NULL,
    PRIMARY KEY (video_id, space_id),
    FOREIGN KEY(video_id) REFERENCES videos (id) ON DELETE CASCADE,
    FOREIGN KEY(space_id) REFERENCES spaces (id)
);
CREATE TABLE vectors (
    id INTEGER NOT NULL, space_id INTEGER NOT NULL, scene_id INTEGER NOT NULL, change BIGINT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(space_id) REFERENCES spaces (id),
    FOREIGN KEY(scene_id) REFERENCES scenes (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX vectors_scene ON vectors (scene_id, space_id);
CREATE INDEX vectors_change ON vectors (space_id, change);
CREATE TABLE frames (
    id INTEGER NOT NULL, space_id INTEGER NOT NULL, scene_id INTEGER NOT NULL, times BLOB NOT NULL,
    vectors BLOB NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(space_id) REFERENCES spaces (id),
    FOREIGN KEY(scene_id) REFERENCES scenes (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX frames_scene ON frames (scene_id, space_id);
CREATE TABLE segments (
    id INTEGER NOT NULL, video_id INTEGER NOT NULL, channel TEXT NOT NULL, start_seconds FLOAT NOT NULL,
    end_seconds FLOAT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(video_id) REFERENCES videos (id) ON DELETE CASCADE
);
CREATE INDEX segments_video ON segments (video_id, start_seconds);
CREATE TABLE removals (
    id INTEGER NOT NULL, space_id INTEGER NOT NULL, scene_id BIGINT NOT NULL, change BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX removals_change ON removals (space_id, change)
"""

# Lines are found by their words: an FTS5 index that keeps no copy of the text. Triggers keep it in the transaction of
# the lines themselves, whoever writes or removes them (a cascade, a repair).
_M002 = (
    "ALTER TABLE segments ADD COLUMN words TEXT",
    """CREATE TABLE transcripts (
    video_id INTEGER NOT NULL, channel TEXT NOT NULL, source TEXT NOT NULL, recipe TEXT NOT NULL, language TEXT,
    cause TEXT,
    PRIMARY KEY (video_id, channel), FOREIGN KEY(video_id) REFERENCES videos (id) ON DELETE CASCADE
)""",
    """CREATE VIRTUAL TABLE segment_words USING fts5 (
    text, content='segments', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2', prefix='2 3'
)""",
    """CREATE TRIGGER segment_words_insert AFTER INSERT ON segments BEGIN
    INSERT INTO segment_words (rowid, text) VALUES (new.id, new.text);
END""",
    """CREATE TRIGGER segment_words_delete AFTER DELETE ON segments BEGIN
    INSERT INTO segment_words (segment_words, rowid, text) VALUES ('delete', old.id, old.text);
END""",
    """CREATE TRIGGER segment_words_update AFTER UPDATE OF text ON segments BEGIN
    INSERT INTO segment_words (segment_words, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO segment_words (rowid, text) VALUES (new.id, new.text);
END""",
    "INSERT INTO segment_words (segment_words) VALUES ('rebuild')",
)

_M003 = (
    """CREATE TABLE thumbnails (
    id INTEGER NOT NULL, scene_id INTEGER NOT NULL, picture BLOB NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(scene_id) REFERENCES scenes (id) ON DELETE CASCADE
)""",
    "CREATE UNIQUE INDEX thumbnails_scene ON thumbnails (scene_id)",
)

# What a person has chosen for this library.
_M004 = ("CREATE TABLE settings (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name))",)

# What is written in a picture has a place there, and the reader's word for it.
_M005 = ("ALTER TABLE segments ADD COLUMN box TEXT", "ALTER TABLE segments ADD COLUMN confidence FLOAT")

# Passages of words have vectors, too. An encoding says that a channel of a video has all of its own.
_M006 = (
    """CREATE TABLE passages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, video_id INTEGER NOT NULL, space_id INTEGER NOT NULL,
    change BIGINT NOT NULL, start_seconds FLOAT NOT NULL, end_seconds FLOAT NOT NULL, vector BLOB NOT NULL,
    FOREIGN KEY(video_id) REFERENCES videos (id) ON DELETE CASCADE,
    FOREIGN KEY(space_id) REFERENCES spaces (id)
)""",
    "CREATE INDEX passages_video ON passages (video_id, space_id)",
    "CREATE INDEX passages_change ON passages (space_id, change)",
)

# What scenes show, of a list that a person gave.
_M007 = (
    """CREATE TABLE labels (
    id INTEGER NOT NULL, scene_id INTEGER NOT NULL, space_id INTEGER NOT NULL, label TEXT NOT NULL,
    score FLOAT NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(scene_id) REFERENCES scenes (id) ON DELETE CASCADE,
    FOREIGN KEY(space_id) REFERENCES spaces (id)
)""",
    "CREATE UNIQUE INDEX labels_scene ON labels (scene_id, space_id, label)",
    "CREATE INDEX labels_label ON labels (label, scene_id)",
)

# Words are compared as folding.py folds them, in every script: the index holds what it makes of a line.
_M008 = (
    "DROP TRIGGER segment_words_insert",
    "DROP TRIGGER segment_words_delete",
    "DROP TRIGGER segment_words_update",
    "DROP TABLE segment_words",
    "ALTER TABLE segments ADD COLUMN folded TEXT DEFAULT '' NOT NULL",
    "UPDATE segments SET folded = folded(text)",
    """CREATE VIRTUAL TABLE segment_words USING fts5 (
    folded, content='segments', content_rowid='id', tokenize='porter ascii', prefix='1 2 3'
)""",
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
    "INSERT INTO segment_words (segment_words) VALUES ('rebuild')",
    # The line before another one of its channel, and the scene at a moment, are looked up by the time.
    "DROP INDEX segments_video",
    "CREATE INDEX segments_video ON segments (video_id, channel, start_seconds)",
    "CREATE INDEX scenes_start ON scenes (video_id, start_seconds)",
    # Whether something is said in a scene.
    "ALTER TABLE scenes ADD COLUMN spoken INTEGER DEFAULT 0 NOT NULL",
    """UPDATE scenes SET spoken = 1 WHERE EXISTS (SELECT 1 FROM segments WHERE segments.video_id = scenes.video_id
    AND segments.channel = 'speech' AND segments.start_seconds < scenes.end_seconds
    AND segments.end_seconds > scenes.start_seconds)""",
)

_STEPS = (tuple(_M001.split(";")), _M002, _M003, _M004, _M005, _M006, _M007, _M008)
VERSION = len(_STEPS)
APPLICATION_ID = 0x76737263  # "vsrc": what `file` and `sqlite3` see in the header


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version, 0 for a catalog that was never finished. LibraryTooNew if this program is older than it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LibraryTooNew(
            f"the library {path} was written by a newer vsearch (schema {version}, this one knows {VERSION}): "
            "update vsearch with `pip install --upgrade vsearch`"
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the catalog to VERSION. The connection is in autocommit mode and holds the writer's lock."""
    version = version_of(connection, path)
    if version == VERSION:
        return
    if version == 0:
        # Rows of a scene's vector are 1 KB and more: larger pages waste less of their ends.
        connection.execute("PRAGMA page_size = 8192")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.create_function("folded", 1, folded, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in _STEPS[version:]:
            for statement in step:
                connection.execute(statement)
        if version == 0:
            connection.execute("INSERT INTO meta VALUES (1, ?, 0, 0)", (secrets.token_hex(16),))
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it
            connection.execute("ROLLBACK")
        raise
