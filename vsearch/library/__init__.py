"""Storage: the interface `Store`, and `SqliteStore`, a folder with a SQLite catalog and FAISS snapshots."""

from vsearch.library.rows import (
    Failure,
    FileRow,
    LabelRow,
    LibraryStatus,
    PassageHit,
    RemovalReport,
    SceneLabel,
    SceneRow,
    SpaceRemoval,
    SpaceRow,
    TranscriptRow,
    VerifyReport,
    VideoRecord,
    VideoRow,
)
from vsearch.library.salvage import repair_library
from vsearch.library.sqlite_store import SqliteStore
from vsearch.library.store import ReadableStore, Store

__all__ = [
    "Failure",
    "FileRow",
    "LabelRow",
    "LibraryStatus",
    "PassageHit",
    "ReadableStore",
    "RemovalReport",
    "SceneLabel",
    "SceneRow",
    "SpaceRemoval",
    "SpaceRow",
    "SqliteStore",
    "Store",
    "TranscriptRow",
    "VerifyReport",
    "VideoRecord",
    "VideoRow",
    "repair_library",
]
