"""Repair of a catalog that SQLite finds broken: saves every video that can be read completely, and lists the others.

A library can always be made again from the videos; this saves the hours of encoding them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vsearch.errors import LibraryDamaged, LibraryLocked
from vsearch.library import codec, schema, snapshots
from vsearch.library.faults import is_full, translated
from vsearch.library.lock import WriterLock
from vsearch.library.raw_pages import file_paths
from vsearch.library.rows import VerifyReport
from vsearch.library.scanned import ScannedRows
from vsearch.library.snapshots import sync_folder
from vsearch.library.sqlite_store import CATALOG, SNAPSHOTS, SqliteStore
from vsearch.library.writer import remove_unfinished_repair

_log = logging.getLogger(__name__)

_AGAIN = "run `vsearch index` on every folder again"

# Tables with rows of a video, and the column that leads to it. Parents first.
_PARTS = {
    "files": "video_id",
    "scenes": "video_id",
    "encodings": "video_id",
    "segments": "video_id",
    "transcripts": "video_id",
    "passages": "video_id",
    "vectors": "scene_id",
    "frames": "scene_id",
    "thumbnails": "scene_id",
    "labels": "scene_id",
}
_NO_DAMAGE = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_INTERRUPT")
"""Errors that are no sign of damage."""
_MADE_AGAIN = ("thumbnails", "labels")
"""Tables that the next index run or `vsearch label` fills again: a video is saved without such rows."""


def repair_library(path: Path) -> VerifyReport:
    """`verify --repair`, also for a library that cannot be opened."""
    path = path.absolute()
    try:
        with SqliteStore.open(path) as library:
            if not library.verify().broken_pages:
                return library.verify(repair=True)
    except LibraryDamaged as error:
        _log.info("%s", error)
    done, lost = _salvage(path)
    with SqliteStore.open(path) as library:
        report = library.verify(repair=True)
    return VerifyReport(report.problems, (*done, *report.repaired), (*lost, *report.lost))


def _salvage(folder: Path) -> tuple[list[str], list[Path]]:
    """Replace the broken catalog by one with all rows that can be read. Returns what was done, and the lost files.

    The new catalog is built beside the broken one, checked, and renamed. Before the rename, an error or a kill leaves
    the library unchanged, and the next repair starts again.
    """
    catalog = folder / CATALOG
    new = folder / f"{CATALOG}.repaired"
    with WriterLock(folder).held(), translated(folder):
        remove_unfinished_repair(catalog)
        _remove_unfinished(folder)
        try:
            kept, lost, whole = _rebuild(folder, new)
            if not whole:
                with closing(sqlite3.connect(new)) as connection:
                    saved = {path for (path,) in connection.execute("SELECT path FROM files")}
                named = file_paths(catalog)
                lost = sorted({*lost, *(path for path in named if codec.path_to_bytes(path) not in saved)})
            aside = _swap(folder, new)
        except BaseException:
            remove_unfinished_repair(catalog)
            raise
    if not kept:
        return [f"nothing could be read of the catalog: {_AGAIN}; the broken one lies in {aside.name}"], lost
    done = [f"saved {kept} videos into a new catalog; the broken one lies in {aside.name}"]
    if not whole:
        done.append(f"some lost videos can no longer be identified: {_AGAIN}")
    return done, lost


def _rebuild(folder: Path, target: Path) -> tuple[int, list[Path], bool]:
    """Make a catalog of the rows that can be read: see `_copy`. LibraryDamaged if the result is broken."""
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        schema.make(new)
        with closing(sqlite3.connect(folder / CATALOG, isolation_level=None)) as old:
            copied = _copy(old, new, 1 + _last_change(old, folder))
        (answer,) = new.execute("PRAGMA integrity_check(1)").fetchone()
        if answer != "ok":
            raise LibraryDamaged(f"the repaired catalog of {folder} is not sound ({answer}): try again")
        # The file is renamed without its log.
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    return copied


def _swap(folder: Path, new: Path) -> Path:
    """Replace the broken catalog by the new one. Returns the folder to which the broken one was moved."""
    catalog = folder / CATALOG
    log, index = (folder / f"{CATALOG}{ending}" for ending in ("-wal", "-shm"))
    _finish_log(catalog)
    aside = folder / f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    aside.mkdir()
    try:
        os.link(catalog, aside / CATALOG)
    except OSError:  # a file system without links
        shutil.copy2(catalog, aside / CATALOG)
    if log.exists() and log.stat().st_size:
        shutil.copy2(log, aside / log.name)
    # The snapshots belong to the broken catalog, and can be made again.
    snapshots.sweep_unknown(folder / SNAPSHOTS, ())
    # SQLite would apply the log of the broken catalog to the new one.
    log.unlink(missing_ok=True)
    index.unlink(missing_ok=True)
    new.replace(catalog)
    sync_folder(folder)
    return aside


def _finish_log(catalog: Path) -> None:
    """Apply the log of the broken catalog, so that the file is complete without it.

    LibraryLocked if another process reads the catalog: it would keep the old log.
    """
    try:
        with closing(sqlite3.connect(catalog, isolation_level=None, timeout=5.0)) as old:
            (busy, _, _) = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return  # SQLite cannot apply the log
    if busy:
        raise LibraryLocked(f"the library {catalog.parent} is read by another program: close it and try again")


def _remove_unfinished(folder: Path) -> None:
    """Remove what a killed repair moved aside, if the broken catalog is still in use."""
    for aside in folder.glob("damaged-*"):
        with contextlib.suppress(FileNotFoundError):
            if not (aside / CATALOG).exists() or (aside / CATALOG).samefile(folder / CATALOG):
                shutil.rmtree(aside)


def _is_damage(error: Exception) -> bool:
    """Whether damage of the catalog caused an error. Any other error, such as a full disk, ends the repair: it is no
    reason to lose a video."""
    name = getattr(error, "sqlite_errorname", "")
    return not name.startswith(_NO_DAMAGE) and not (isinstance(error, sqlite3.Error) and is_full(error))


def _last_change(old: sqlite3.Connection, folder: Path) -> int:
    """The newest change number in the catalog and the snapshots. Open libraries cache data by change number, so the new
    catalog continues from it."""
    known = [snapshots.change_of(file) for file in (folder / SNAPSHOTS).glob("space-*.json")]
    for table in ("meta", "vectors", "passages", "removals"):
        try:
            (change,) = old.execute(f"SELECT MAX(change) FROM {table} NOT INDEXED").fetchone()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        else:
            known += [change] if isinstance(change, int) else []
    return max((change for change in known if 0 <= change < 2**62), default=0)


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, change: int) -> tuple[int, list[Path], bool]:
    """Copy all readable rows. Returns the number of saved videos, the files of the others, and if these are all."""
    kept = 0
    lost: list[Path] = []
    new.execute("PRAGMA foreign_keys = ON")
    new.execute("BEGIN IMMEDIATE")
    _copy_rows(old, new, "spaces", "1", ())
    _copy_rows(old, new, "failures", "1", ())
    _copy_rows(old, new, "settings", "1", ())
    video_ids, whole = _video_ids(old)
    scanned = ScannedRows(old)
    for video_id in video_ids:
        copied = _copy_video(old, new, video_id, None)
        if copied is None:
            copied = _copy_video(old, new, video_id, scanned)
        if copied is None:
            paths = _paths(old, video_id)
            whole = whole and bool(paths)
            lost += paths
        else:
            kept += copied
    # For every snapshot and reader, the copies are new.
    new.execute("UPDATE meta SET change = ?, pruned_through = ?", (change, change))
    new.execute("UPDATE vectors SET change = ?", (change,))
    new.execute("UPDATE passages SET change = ?", (change,))
    new.execute("COMMIT")
    return kept, lost, whole


def _copy_video(
    old: sqlite3.Connection, new: sqlite3.Connection, video_id: int, scanned: ScannedRows | None
) -> bool | None:
    """Copy a video with all its rows, or none: whether it exists. None if it cannot be read.

    scanned: finds the rows without an index.
    """
    new.execute("SAVEPOINT video")
    found: bool | None
    try:
        found = bool(_copy_rows(old, new, "videos", "id = ?", (video_id,)))
        for table, parent in _PARTS.items() if found else ():
            where, value = _rows_of_video(table, parent, video_id, scanned)
            _copy_rows(old, new, table, where, (value,), strict=table not in _MADE_AGAIN)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if not _is_damage(error):
            raise
        new.execute("ROLLBACK TO video")
        found = None
    new.execute("RELEASE video")
    return found


def _rows_of_video(table: str, parent: str, video_id: int, scanned: ScannedRows | None) -> tuple[str, int | str]:
    """The condition for the rows of a video in a table, and its value."""
    rows = None if scanned is None else scanned.of_video(table, parent, video_id)
    if rows is not None:
        return "rowid IN (SELECT value FROM json_each(?))", rows
    if parent == "scene_id":
        # Of the two indexes that lead to the scenes of a video, SQLite may choose the broken one.
        scenes = None if scanned is None else scanned.of_video("scenes", "video_id", video_id)
        if scenes is not None:
            return "scene_id IN (SELECT value FROM json_each(?))", scenes
        return "scene_id IN (SELECT id FROM scenes WHERE video_id = ?)", video_id
    return f"{parent} = ?", video_id


def _copy_rows(
    old: sqlite3.Connection,
    new: sqlite3.Connection,
    table: str,
    where: str,
    values: tuple[int | str, ...],
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
    except sqlite3.DatabaseError as error:
        if strict or not _is_damage(error):
            raise
    return count


def _video_ids(old: sqlite3.Connection) -> tuple[Sequence[int], bool]:
    """The ids of all videos and True; if the table cannot be read, all ids that were ever assigned and False."""
    try:
        return [video_id for (video_id,) in old.execute("SELECT id FROM videos NOT INDEXED")], True
    except sqlite3.DatabaseError as damage:
        if not _is_damage(damage):
            raise
        try:
            (last,) = old.execute("SELECT seq FROM sqlite_sequence WHERE name = 'videos'").fetchone()
        except (sqlite3.DatabaseError, TypeError):
            return [], False
        return range(1, last + 1), False


def _paths(old: sqlite3.Connection, video_id: int) -> list[Path]:
    try:
        rows = old.execute("SELECT path FROM files WHERE video_id = ?", (video_id,)).fetchall()
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return []
    return [codec.path_from_bytes(path) for (path,) in rows]
