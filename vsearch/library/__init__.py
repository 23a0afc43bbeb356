"""What is stored: a folder with a SQLite catalog, which is the truth, and FAISS snapshots, a cache of it."""

from vsearch.library.library import Library
from vsearch.library.rows import (
    Failure,
    FileRow,
    LabelRow,
    LibraryStatus,
    RemovalReport,
    SceneRow,
    SpaceRemoval,
    SpaceRow,
    Tag,
    TranscriptRow,
    VerifyReport,
    VideoRecord,
    VideoRow,
    WordHit,
)
from vsearch.library.salvage import repair_library

__all__ = [
    "Failure",
    "FileRow",
    "LabelRow",
    "Library",
    "LibraryStatus",
    "RemovalReport",
    "SceneRow",
    "SpaceRemoval",
    "SpaceRow",
    "Tag",
    "TranscriptRow",
    "VerifyReport",
    "VideoRecord",
    "VideoRow",
    "WordHit",
    "repair_library",
]
