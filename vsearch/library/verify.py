"""Checking the invariants of a library, and repairing it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vsearch.errors import LibraryDamaged
from vsearch.library import codec, snapshots, vectors
from vsearch.library.connection import CatalogState
from vsearch.library.faults import raise_if_exhausted
from vsearch.library.folding import folded
from vsearch.library.reader import Reader
from vsearch.library.rows import SpaceRow, VerifyReport
from vsearch.library.space_index import usable
from vsearch.library.vectors import Ids
from vsearch.library.write_transcripts import spoken_scenes
from vsearch.media import TRANSCRIPT_CHANNELS, Vectors

if TYPE_CHECKING:
    from vsearch.library.writer import Writer

_NORM_TOLERANCE = 2e-2
_SQ8_COSINE = 0.9  # least cosine after rounding to 8 bits; scenes of one shot may be as similar


@dataclass(slots=True)
class Findings:
    """Problems, grouped by their repair."""

    pages: list[str] = field(default_factory=list)
    """Messages of SQLite's integrity check. The repair is a new catalog."""
    dangling: list[tuple[str, int]] = field(default_factory=list)
    """(table, rowid) of rows without a parent."""
    loose: list[str] = field(default_factory=list)
    """Messages about rows without an encoding."""
    unindexed: int = 0
    """Number of segments that are missing in the full-text index, or were removed but are still in it."""
    misfolded: dict[int, str] = field(default_factory=dict)
    """Segments whose folded text is wrong, with the right text."""
    mismarked: list[int] = field(default_factory=list)
    """Ids of scenes whose mark of speech is wrong."""
    encodings: dict[tuple[int, int], str] = field(default_factory=dict)
    """(video, space) with missing or broken embeddings or frames, and the problem."""
    videos: dict[int, str] = field(default_factory=dict)
    """Ids of videos that cannot be searched or played, and the reason."""
    snapshots: dict[int, list[str]] = field(default_factory=dict)
    """Messages about snapshots that differ from the catalog, by space id."""
    orphans: bool = False
    """There are videos without a file, as a killed index run leaves them to the next."""
    obstacle: str | None = None
    """Message about a file that prevents snapshots from being saved; the user must move it."""
    lost: tuple[Path, ...] = ()
    """Files of the videos in `encodings` and `videos`."""

    def problems(self) -> list[str]:
        lines = [f"catalog: {line}" for line in self.pages]
        lines += _grouped(f"a row of {table} belongs to nothing" for table, _ in self.dangling)
        lines += self.loose
        lines += [f"the full-text index is wrong about {self.unindexed} segments"] if self.unindexed else []
        lines += [f"{len(self.misfolded)} segments differ from their folded words"] if self.misfolded else []
        lines += [f"{len(self.mismarked)} scenes are wrong about whether they have speech"] if self.mismarked else []
        lines += [f"video {video}, space {space}: {how}" for (video, space), how in self.encodings.items()]
        lines += [f"video {video}: {why}" for video, why in self.videos.items()]
        lines += [line for found in self.snapshots.values() for line in found]
        return [*lines, self.obstacle] if self.obstacle else lines

    def report(self, repaired: Iterable[str] = (), lost: tuple[Path, ...] = ()) -> VerifyReport:
        return VerifyReport(tuple(self.problems()), tuple(repaired), lost, bool(self.pages))


def check(reader: Reader, folder: Path) -> Findings:
    """Check the whole catalog and every snapshot. Memory: the ids of a space and a chunk."""
    found = Findings()
    # Listed before the transaction reads: a writer may save newer ones and remove these meanwhile.
    named = sorted(folder.glob("space-*-*.json"))
    with reader.transaction() as connection:
        try:
            found.pages = _integrity(connection)
            if found.pages:
                return found
            found.dangling = [
                (str(table), int(rowid))
                for table, rowid, *_ in connection.execute("PRAGMA foreign_key_check")
                if rowid is not None
            ]
            _check_rows(connection, found)
            _check_words(connection, found)
            found.obstacle = snapshots.in_the_way(folder)
            found.orphans = reader.has_orphans()
            state = reader.state()
            for row in reader.spaces():
                _check_vectors(connection, row, found)
                _check_snapshots(reader, named, row, state, found)
        except sqlite3.DatabaseError as error:
            # An error without a name is text that is not UTF-8, which only a broken page contains.
            name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
            if not name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise
            found.pages.append(str(error))
            return found
        concerned = {video for video, _ in found.encodings} | set(found.videos)
        found.lost = tuple(row.path for row in reader.files(None) if row.video_id in concerned)
    return found


def _integrity(connection: sqlite3.Connection) -> list[str]:
    lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(20)")]
    return [] if lines == ["ok"] else lines


def _check_rows(connection: sqlite3.Connection, found: Findings) -> None:
    for table, where in _LOOSE.items():
        (count,) = connection.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}").fetchone()
        if count:
            found.loose.append(f"{count} rows of {table} belong to no encoding")
    (found.unindexed,) = connection.execute(_UNINDEXED).fetchone()
    for why, query in _BROKEN_VIDEOS.items():
        found.videos |= {video: why for (video,) in connection.execute(query)}
    for video, space, scenes, held, framed in connection.execute(
        "SELECT e.video_id, e.space_id, COUNT(*), COUNT(v.id), COUNT(f.id) "
        f"FROM encodings e JOIN spaces p ON p.id = e.space_id AND {_OF_PICTURES} "
        "JOIN scenes s ON s.video_id = e.video_id "
        "LEFT JOIN vectors v ON v.scene_id = s.id AND v.space_id = e.space_id "
        "LEFT JOIN frames f ON f.scene_id = s.id AND f.space_id = e.space_id "
        "GROUP BY e.video_id, e.space_id HAVING COUNT(v.id) < COUNT(*) OR COUNT(f.id) < COUNT(*)"
    ):
        found.encodings[video, space] = f"{scenes - held} of {scenes} vectors and {scenes - framed} frames are missing"


def _check_words(connection: sqlite3.Connection, found: Findings) -> None:
    """Check data derived from segments. Memory: the scenes and segments of one video."""
    for line, text, held in connection.execute("SELECT id, text, folded FROM segments"):
        truth = folded(text)
        if held != truth:
            found.misfolded[line] = truth
    for (video,) in connection.execute("SELECT id FROM videos"):
        scenes = connection.execute(
            "SELECT id, start_seconds, end_seconds, spoken FROM scenes WHERE video_id = ?", (video,)
        ).fetchall()
        lines = connection.execute(
            "SELECT start_seconds, end_seconds FROM segments WHERE video_id = ? AND channel = 'speech' "
            "ORDER BY start_seconds",
            (video,),
        ).fetchall()
        spoken = set(spoken_scenes([row[:3] for row in scenes], lines))
        found.mismarked += [scene for scene, _, _, marked in scenes if marked != (scene in spoken)]


_NO_ENCODING = (
    "NOT EXISTS (SELECT 1 FROM scenes s JOIN encodings e ON e.video_id = s.video_id "
    "WHERE s.id = {0}.scene_id AND e.space_id = {0}.space_id)"
)
_LOOSE = {table: _NO_ENCODING.format(table) for table in ("vectors", "frames", "labels")}
_LOOSE["passages"] = (
    "NOT EXISTS (SELECT 1 FROM encodings e WHERE e.video_id = passages.video_id AND e.space_id = passages.space_id)"
)
_OF_PICTURES = "p.channel NOT IN ({})".format(", ".join(f"'{channel}'" for channel in TRANSCRIPT_CHANNELS))
_UNINDEXED = (
    "SELECT (SELECT COUNT(*) FROM segments WHERE id NOT IN (SELECT id FROM segment_words_docsize)) "
    "+ (SELECT COUNT(*) FROM segment_words_docsize WHERE id NOT IN (SELECT id FROM segments))"
)
_BROKEN_VIDEOS = {
    "it has no scenes": "SELECT id FROM videos WHERE id NOT IN (SELECT video_id FROM scenes)",
    "it is encoded in no space": "SELECT id FROM videos WHERE width > 0 AND id NOT IN "
    f"(SELECT video_id FROM encodings e JOIN spaces p ON p.id = e.space_id WHERE {_OF_PICTURES})",
    "a scene is not a span": "SELECT video_id FROM scenes WHERE start_seconds < 0 OR start_seconds >= end_seconds",
}


def _check_vectors(connection: sqlite3.Connection, row: SpaceRow, found: Findings) -> None:
    """Check that every embedding of a space has the right size and unit length, and the sizes of frames."""
    cursor = connection.execute(
        "SELECT v.scene_id, s.video_id, v.vector FROM vectors v JOIN scenes s ON s.id = v.scene_id "
        "WHERE v.space_id = :space UNION ALL SELECT id, video_id, vector FROM passages WHERE space_id = :space",
        {"space": row.id},
    )
    while rows := cursor.fetchmany(4096):
        sound = [(video, blob) for _, video, blob in rows if len(blob) == 2 * row.space.dim]
        for _, video, blob in rows:
            if len(blob) != 2 * row.space.dim:
                found.encodings.setdefault((video, row.id), f"a vector has {len(blob)} bytes")
        if not sound:
            continue
        norms = np.linalg.norm(codec.vectors_from_bytes([blob for _, blob in sound], row.space.dim), axis=1)
        for i in np.flatnonzero(~(np.abs(norms - 1) <= _NORM_TOLERANCE)):
            found.encodings.setdefault((sound[i][0], row.id), f"a vector has the length {norms[i]:.3g} instead of 1")
    for video, times, size in connection.execute(
        "SELECT s.video_id, LENGTH(f.times), LENGTH(f.vectors) FROM frames f JOIN scenes s ON s.id = f.scene_id "
        "WHERE f.space_id = ?",
        (row.id,),
    ):
        count = times // 8
        if times % 8 or count == 0 or size <= 4 * count or (size - 4 * count) % count:
            found.encodings.setdefault((video, row.id), "a scene's frames do not fit together")


def _check_snapshots(
    reader: Reader, named: Iterable[Path], row: SpaceRow, state: CatalogState, found: Findings
) -> None:
    problems: list[str] = []
    of_space = [name for name in named if name.name.startswith(f"space-{row.id}-")]
    newest = max(map(snapshots.change_of, of_space), default=-1)
    for name in of_space:
        if snapshots.change_of(name) < state.pruned_through <= newest:
            continue  # replaced, but still mapped by another process and not removable (Windows)
        header = _content(name)
        wrong = list(_wrong(reader, name, row, state))
        # A writer removes snapshots that it has replaced: one that is gone by now is no problem.
        if wrong and header is not None and _content(name) == header:
            problems += [f"snapshot {name.name}: {line}" for line in wrong]
    if problems:
        found.snapshots[row.id] = problems


def _content(name: Path) -> bytes | None:
    try:
        return name.read_bytes()
    except FileNotFoundError:
        return None


def _wrong(reader: Reader, name: Path, row: SpaceRow, state: CatalogState) -> Iterator[str]:
    snapshot, reason = snapshots.inspect(name, row.space, state.library_id)
    if snapshot is None:
        yield reason
        return
    try:
        whole = snapshot.whole()
        base = usable(snapshot, state) if whole else None
    except OSError as error:
        raise_if_exhausted(error)
        yield f"it cannot be read ({error})"
        return
    if not whole:
        yield "its checksum is wrong"
    elif base is None:
        yield f"it does not fit the catalog at change {state.change}"
    else:
        yield from _compare(reader, row, snapshot.header.change, base)


def _compare(reader: Reader, row: SpaceRow, since: int, base: vectors.Base) -> Iterator[str]:
    """Compare ids and embeddings of a snapshot with those of the catalog that have not changed since."""
    newer = np.union1d(reader.removed_since(row.id, since), reader.added_since(row.id, since))
    expected = _without(np.sort(reader.added_since(row.id, -1)), newer)
    seen: list[Ids] = [np.empty(0, dtype=np.int64)]
    wrong = 0
    for ids, rows in vectors.entries(base.index, base.recipe):
        seen.append(ids)
        try:
            held = reader.vectors(row.id, row.space.dim, _without(ids, newer).tolist())
        except LibraryDamaged:
            continue  # embeddings of a wrong size are already reported
        for position, scene_id in enumerate(ids.tolist()):
            truth = held.get(scene_id)
            if truth is not None and not _same(rows[position], truth.astype(np.float32), base.recipe):
                wrong += 1
    stored = _without(np.unique(np.concatenate(seen)), newer)
    missing, extra = len(_without(expected, stored)), len(_without(stored, expected))
    if missing or extra:
        yield f"{missing} vectors are missing and {extra} are too many"
    if wrong:
        yield f"{wrong} vectors differ from the catalog's"


def _without(ids: Ids, gone: Ids) -> Ids:
    """The ids that are not among the ascending ids `gone`. Numpy would sort `gone` for every list of an
    index."""
    places = np.searchsorted(gone, ids)
    known = places < len(gone)
    known[known] = gone[places[known]] == ids[known]
    left: Ids = ids[~known]
    return left


def _same(held: Vectors, truth: Vectors, recipe: vectors.Recipe) -> bool:
    if recipe.kind == "flat":
        return bool((held == truth).all())
    return bool(held @ truth >= _SQ8_COSINE * np.linalg.norm(held) * np.linalg.norm(truth))


def repair(found: Findings, writer: Writer, folder: Path) -> list[str]:
    """Repair everything except broken pages. Returns what was done, one line each."""
    done: list[str] = []
    statements: list[tuple[str, dict[str, Any]]] = []
    # Snapshots and other processes need the list of removed embeddings.
    statements.append(
        (
            "INSERT INTO removals (space_id, scene_id, change) "
            f"SELECT space_id, scene_id, :change FROM vectors WHERE {_LOOSE['vectors']} "
            f"UNION ALL SELECT space_id, id, :change FROM passages WHERE {_LOOSE['passages']}",
            {},
        )
    )
    statements += [(f"DELETE FROM {table} WHERE {where}", {}) for table, where in _LOOSE.items()]
    statements += [(f"DELETE FROM {table} WHERE rowid = :rowid", {"rowid": rowid}) for table, rowid in found.dangling]
    if found.dangling or found.loose:
        done.append("removed rows that belonged to nothing")
    else:
        statements.clear()
    for (video, space), how in found.encodings.items():
        statements += _drop_encoding(video, space)
        done.append(f"video {video}, space {space}: removed its vectors, for {how}")
    if found.misfolded:
        statements += [
            ("UPDATE segments SET folded = :folded WHERE id = :line", {"folded": truth, "line": line})
            for line, truth in found.misfolded.items()
        ]
        done.append("folded words anew")
    if found.mismarked:
        statements += [
            ("UPDATE scenes SET spoken = (spoken = 0) WHERE id = :scene", {"scene": scene}) for scene in found.mismarked
        ]
        done.append("marked anew which scenes have speech")
    if found.unindexed or found.misfolded:
        statements.append(("INSERT INTO segment_words (segment_words) VALUES ('rebuild')", {}))
        done.append("rebuilt the full-text index")
    if statements or found.videos or found.orphans:
        removed, orphans = writer.repair(statements, found.videos)
        done += [f"video {video}: removed, to be indexed again" for video in sorted(removed)]
        if found.orphans:
            done.append(f"removed {orphans} videos that no file holds")
    for space, problems in found.snapshots.items():
        snapshots.sweep(folder, space, None)
        done += [f"{problem}: taken anew" for problem in problems]
    return done


def _drop_encoding(video: int, space: int) -> list[tuple[str, dict[str, Any]]]:
    values = {"video": video, "space": space}
    passages = "space_id = :space AND video_id = :video"
    of_both = "space_id = :space AND scene_id IN (SELECT id FROM scenes WHERE video_id = :video)"
    return [
        (
            "INSERT INTO removals (space_id, scene_id, change) "
            f"SELECT space_id, scene_id, :change FROM vectors WHERE {of_both} "
            f"UNION ALL SELECT space_id, id, :change FROM passages WHERE {passages}",
            values,
        ),
        (f"DELETE FROM passages WHERE {passages}", values),
        (f"DELETE FROM vectors WHERE {of_both}", values),
        (f"DELETE FROM frames WHERE {of_both}", values),
        (f"DELETE FROM labels WHERE {of_both}", values),
        ("DELETE FROM encodings WHERE video_id = :video AND space_id = :space", values),
    ]


def _grouped(lines: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line] = counts.get(line, 0) + 1
    return [line if count == 1 else f"{line} ({count} times)" for line, count in counts.items()]
