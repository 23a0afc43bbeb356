"""A catalog that SQLite itself finds broken: save every video that can still be read whole, and say which cannot.

The library can always be made again from the videos; this saves the hours of encoding them.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from vsearch.errors import LibraryDamaged
from vsearch.library import codec
from vsearch.library.faults import translated
from vsearch.library.folder import CATALOG, SNAPSHOTS
from vsearch.library.library import Library
from vsearch.library.lock import WriterLock
from vsearch.library.migrations import migrate
from vsearch.library.raw_pages import file_paths
from vsearch.library.rows import VerifyReport

_log = logging.getLogger(__name__)

_AGAIN = "run `vsearch index` on every folder again"

# Child tables of a video, and how their rows are found. Parents first.
_PARTS = {
    "files": "video_id = ?",
    "scenes": "video_id = ?",
    "encodings": "video_id = ?",
    "lines": "video_id = ?",
    "transcripts": "video_id = ?",
    "passages": "video_id = ?",
    "vectors": "scene_id IN (SELECT id FROM scenes WHERE video_id = ?)",
    "frames": "scene_id IN (SELECT id FROM scenes WHERE video_id = ?)",
    "thumbnails": "scene_id IN (SELECT id FROM scenes WHERE video_id = ?)",
    "labels": "scene_id IN (SELECT id FROM scenes WHERE video_id = ?)",
}
_MADE_AGAIN = ("thumbnails", "labels")
"""Tables whose rows the next index run, or the next `vsearch label`, fills in: no video is given up for them."""


def repair_library(path: Path) -> VerifyReport:
    """`verify --repair`, also for a library that cannot be opened any more."""
    path = path.absolute()
    try:
        with Library.open(path) as library:
            if not library.verify().broken_pages:
                return library.verify(repair=True)
    except LibraryDamaged as error:
        _log.info("%s", error)
    done, lost = _salvage(path)
    with Library.open(path) as library:
        report = library.verify(repair=True)
    return VerifyReport(report.problems, (*done, *report.repaired), (*lost, *report.lost))


def _salvage(folder: Path) -> tuple[list[str], list[Path]]:
    """Move the broken catalog aside and fill a new one from it: what was done, and the files that must be indexed."""
    with WriterLock(folder).held(), translated(folder):
        aside = folder / f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        aside.mkdir()
        for name in (CATALOG, f"{CATALOG}-wal", f"{CATALOG}-shm"):
            if (folder / name).exists():
                (folder / name).rename(aside / name)
        for snapshot in (folder / SNAPSHOTS).glob("space-*"):
            snapshot.unlink()
        new = sqlite3.connect(folder / CATALOG, isolation_level=None)
        old = sqlite3.connect(aside / CATALOG, isolation_level=None)
        try:
            migrate(new, folder)
            kept, lost, whole = _copy(old, new)
            saved = {path for (path,) in new.execute("SELECT path FROM files")}
        finally:
            old.close()
            new.close()
        if not whole:
            named = file_paths(aside / CATALOG)
            lost = sorted({*lost, *(path for path in named if codec.path_to_bytes(path) not in saved)})
    if not kept:
        return [f"nothing could be read of the catalog: {_AGAIN}; the broken one lies in {aside.name}"], lost
    done = [f"saved {kept} videos into a new catalog; the broken one lies in {aside.name}"]
    if not whole:
        done.append(f"not all that was lost has a name any more: {_AGAIN}")
    return done, lost


def _copy(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, list[Path], bool]:
    """How many videos were saved, the files of those that were not, and whether these are all."""
    kept = 0
    lost: list[Path] = []
    new.execute("PRAGMA foreign_keys = ON")
    new.execute("BEGIN IMMEDIATE")
    _copy_rows(old, new, "spaces", "1", ())
    _copy_rows(old, new, "failures", "1", ())
    _copy_rows(old, new, "settings", "1", ())
    video_ids, whole = _video_ids(old)
    for video_id in video_ids:
        new.execute("SAVEPOINT video")
        try:
            if _copy_rows(old, new, "videos", "id = ?", (video_id,)):
                for table, where in _PARTS.items():
                    _copy_rows(old, new, table, where, (video_id,), strict=table not in _MADE_AGAIN)
                kept += 1
        except (sqlite3.Error, UnicodeDecodeError):
            new.execute("ROLLBACK TO video")
            paths = _paths(old, video_id)
            whole = whole and bool(paths)
            lost += paths
        new.execute("RELEASE video")
    # The copies are new to every snapshot and every reader.
    new.execute("UPDATE meta SET change = 1")
    new.execute("UPDATE vectors SET change = 1")
    new.execute("UPDATE passages SET change = 1")
    new.execute("COMMIT")
    return kept, lost, whole


def _copy_rows(
    old: sqlite3.Connection,
    new: sqlite3.Connection,
    table: str,
    where: str,
    values: tuple[int, ...],
    *,
    strict: bool = False,
) -> int:
    columns = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
    names = ", ".join(f'"{column}"' for column in columns)
    count = 0
    try:
        for row in old.execute(f"SELECT {names} FROM {table} WHERE {where}", values):
            new.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})", row)
            count += 1
    except sqlite3.DatabaseError:
        if strict:
            raise
    return count


def _video_ids(old: sqlite3.Connection) -> tuple[Sequence[int], bool]:
    """Every id that a video may have: read where they can be (True), else counted up to the last that was given."""
    try:
        return [video_id for (video_id,) in old.execute("SELECT id FROM videos NOT INDEXED")], True
    except sqlite3.DatabaseError:
        try:
            (last,) = old.execute("SELECT seq FROM sqlite_sequence WHERE name = 'videos'").fetchone()
        except (sqlite3.DatabaseError, TypeError):
            return [], False
        return range(1, last + 1), False


def _paths(old: sqlite3.Connection, video_id: int) -> list[Path]:
    try:
        rows = old.execute("SELECT path FROM files WHERE video_id = ?", (video_id,)).fetchall()
    except sqlite3.DatabaseError:
        return []
    return [codec.path_from_bytes(path) for (path,) in rows]
