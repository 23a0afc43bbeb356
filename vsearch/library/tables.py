"""The tables of a catalog as SQLAlchemy metadata: the definition that every database of a store shares.

No id is used twice (AUTOINCREMENT), so an id in an old snapshot always means the same row. Every transaction that
writes raises `meta.change` by one; embeddings and removals have the change number of the transaction that wrote them.
What is particular to SQLite, such as the full-text index, is in schema.py.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

METADATA = MetaData()

# In SQLite only INTEGER PRIMARY KEY is an alias of the rowid.
_ID = BigInteger().with_variant(Integer, "sqlite")
_INTEGER = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True)


def _integer(name: str, **options: Any) -> Column[int]:
    return Column(name, _INTEGER, nullable=False, **options)


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, Text, **{"nullable": False, **options})


def _real(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Float, nullable=nullable)


def _bytes(name: str, **options: Any) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False, **options)


def _reference(column: str, target: str, *, cascade: bool = False, primary_key: bool = False) -> Column[int]:
    """A foreign key; cascade: rows are deleted with the row that they refer to."""
    key = ForeignKey(target, ondelete="CASCADE" if cascade else None)
    return Column(column, _ID, key, nullable=False, primary_key=primary_key)


Table(
    "meta",
    METADATA,
    Column("id", _ID, CheckConstraint("id = 1"), primary_key=True),
    _text("library_id"),
    _integer("change"),
    # Removals up to this change number are no longer listed. An older snapshot cannot be updated.
    _integer("pruned_through"),
)
# The user's choices for this library. "model": the default model.
Table("settings", METADATA, _text("name", primary_key=True), _text("value"))
Table(
    "videos",
    METADATA,
    _id(),
    _text("key", unique=True),  # the content key
    _real("duration"),
    _integer("width"),
    _integer("height"),
    _text("codec"),
    _text("container"),
    _integer("rotation"),
    _integer("has_audio"),
    _real("recorded_at", nullable=True),  # Unix seconds
    sqlite_autoincrement=True,
)
Table(
    "files",
    METADATA,
    _id(),
    _bytes("path", unique=True),  # as the file system stores it
    _integer("size"),
    _integer("mtime_ns"),
    _reference("video_id", "videos.id"),
    Index("files_video", "video_id"),
    sqlite_autoincrement=True,
)
# Files that could not be indexed, with their size and time of modification at that time.
Table(
    "failures",
    METADATA,
    _bytes("path", primary_key=True),
    _integer("size"),
    _integer("mtime_ns"),
    _text("cause"),
    _real("at"),  # Unix seconds
)
Table(
    "scenes",
    METADATA,
    _id(),
    _reference("video_id", "videos.id", cascade=True),
    _integer("ordinal"),
    _real("start_seconds"),  # [start_seconds, end_seconds)
    _real("end_seconds"),
    _integer("spoken", server_default=text("0")),  # 1 if a speech segment overlaps the scene
    Index("scenes_video", "video_id", "ordinal", unique=True),
    Index("scenes_start", "video_id", "start_seconds"),
    sqlite_autoincrement=True,
)
Table(
    "spaces",
    METADATA,
    _id(),
    _text("model"),
    _text("fingerprint"),
    _text("channel"),
    _integer("dim"),
    _text("metric"),
    Index("spaces_identity", "fingerprint", "channel", "dim", "metric", unique=True),
    sqlite_autoincrement=True,
)
# A video is encoded in a space: all its scenes, or all passages of its transcript, have embeddings there.
Table(
    "encodings",
    METADATA,
    _reference("video_id", "videos.id", cascade=True, primary_key=True),
    _reference("space_id", "spaces.id", primary_key=True),
)
# Embeddings of scenes, fp16. The scene is first in the index: it serves look-ups by id and the cascade from scenes.
Table(
    "vectors",
    METADATA,
    _id(),
    _reference("space_id", "spaces.id"),
    _reference("scene_id", "scenes.id", cascade=True),
    _integer("change"),
    _bytes("vector"),
    Index("vectors_scene", "scene_id", "space_id", unique=True),
    Index("vectors_change", "space_id", "change"),
)
# The frames of a scene in a space: times (fp64, seconds) and embeddings (int8, with one scale per frame).
Table(
    "frames",
    METADATA,
    _id(),
    _reference("space_id", "spaces.id"),
    _reference("scene_id", "scenes.id", cascade=True),
    _bytes("times"),
    _bytes("vectors"),
    Index("frames_scene", "scene_id", "space_id", unique=True),
)
# JPEG; empty where no thumbnail can be made. A separate index: finding scenes without must not read the pictures.
Table(
    "thumbnails",
    METADATA,
    _id(),
    _reference("scene_id", "scenes.id", cascade=True),
    _bytes("picture"),
    Index("thumbnails_scene", "scene_id", unique=True),
)
Table(
    "labels",
    METADATA,
    _id(),
    _reference("scene_id", "scenes.id", cascade=True),
    _reference("space_id", "spaces.id"),
    _text("label"),  # normalised by rows.label_key
    _real("score"),
    Index("labels_scene", "scene_id", "space_id", "label", unique=True),
    Index("labels_label", "label", "scene_id"),
)
Table(
    "segments",
    METADATA,
    _id(),
    _reference("video_id", "videos.id", cascade=True),
    _text("channel"),
    _real("start_seconds"),
    _real("end_seconds"),
    _text("text"),
    _text("words", nullable=True),  # JSON [[start, end, text], ...] where the times of words are known
    _text("box", nullable=True),  # JSON [left, top, right, bottom], fractions of the frame
    _real("confidence", nullable=True),
    _text("folded", server_default=text("''")),  # the text as the full-text index has it (folding.py)
    Index("segments_video", "video_id", "channel", "start_seconds"),
)
# A channel of a video that has been processed, even if it has no segments.
Table(
    "transcripts",
    METADATA,
    _reference("video_id", "videos.id", cascade=True, primary_key=True),
    _text("channel", primary_key=True),
    _text("source"),
    _text("recipe"),
    _text("language", nullable=True),
    _text("cause", nullable=True),
)
# Passages of a transcript with their embeddings (fp16), in a space of the same channel.
Table(
    "passages",
    METADATA,
    _id(),
    _reference("video_id", "videos.id", cascade=True),
    _reference("space_id", "spaces.id"),
    _integer("change"),
    _real("start_seconds"),
    _real("end_seconds"),
    _bytes("vector"),
    Index("passages_video", "video_id", "space_id"),
    Index("passages_change", "space_id", "change"),
    sqlite_autoincrement=True,
)
# Embeddings that were removed, until every snapshot is newer. scene_id: in a space of a transcript, of a passage.
Table(
    "removals",
    METADATA,
    _id(),
    _integer("space_id"),
    _integer("scene_id"),
    _integer("change"),
    Index("removals_change", "space_id", "change"),
)
