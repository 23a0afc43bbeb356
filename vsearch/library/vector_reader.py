"""Reading spaces and their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsearch.library import codec
from vsearch.library.connection import CatalogConnections
from vsearch.library.rows import SpaceRow
from vsearch.media import TRANSCRIPT_CHANNELS, Seconds, Space, Vectors

ORPHAN = "NOT IN (SELECT video_id FROM files)"
"""Condition on the id of a video: it has no file."""

_CHUNK = 4096  # embeddings read at once: 4 MB at 512 dimensions


class VectorReader(CatalogConnections):
    """Spaces and embeddings of a catalog. Thread-safe."""

    def __init__(self, folder: Path, database: Path) -> None:
        super().__init__(folder, database)
        self._spaces: tuple[int, list[SpaceRow]] | None = None

    def spaces(self) -> list[SpaceRow]:
        with self.transaction() as connection:
            change = self.state().change
            known = self._spaces
            if known is not None and known[0] == change:  # counting a million embeddings takes longer than a search
                return list(known[1])
            rows = connection.execute(
                "SELECT spaces.id, model, fingerprint, dim, channel, metric, "
                "(SELECT COUNT(*) FROM encodings WHERE space_id = spaces.id "
                "AND video_id IN (SELECT video_id FROM files)), "
                "(SELECT COUNT(*) FROM vectors WHERE space_id = spaces.id) + "
                "(SELECT COUNT(*) FROM passages WHERE space_id = spaces.id "
                "AND video_id IN (SELECT video_id FROM files)) - "
                # CROSS JOIN keeps the order: there are few orphans, and many vectors
                "(SELECT COUNT(*) FROM videos CROSS JOIN scenes ON scenes.video_id = videos.id "
                "CROSS JOIN vectors ON vectors.scene_id = scenes.id AND vectors.space_id = spaces.id "
                f"WHERE videos.id {ORPHAN}) FROM spaces ORDER BY spaces.id"
            ).fetchall()
        spaces = [SpaceRow(row[0], Space(*row[1:6]), row[6], row[7]) for row in rows]
        self._spaces = (change, spaces)
        return list(spaces)

    def space_id(self, space: Space) -> int | None:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT id FROM spaces WHERE fingerprint = ? AND channel = ? AND dim = ? AND metric = ?",
                (space.fingerprint, space.channel, space.dim, space.metric),
            ).fetchone()
        return None if row is None else int(row[0])

    def _table(self, space_id: int) -> tuple[str, str]:
        """The table with the embeddings of a space, of scenes or of passages, and the column of their ids."""
        with self.transaction() as connection:
            row = connection.execute("SELECT channel FROM spaces WHERE id = ?", (space_id,)).fetchone()
        return ("passages", "id") if row is not None and row[0] in TRANSCRIPT_CHANNELS else ("vectors", "scene_id")

    def has_space(self, video_id: int, space: Space) -> bool:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT 1 FROM encodings WHERE video_id = ? AND space_id = ?", (video_id, self.space_id(space))
            ).fetchone()
        return row is not None

    def scene_vectors(self, space: Space, scene_ids: Sequence[int]) -> dict[int, Vectors]:
        space_id = self.space_id(space)
        if space_id is None:
            return {}
        halves = self.vectors(space_id, space.dim, scene_ids)
        return {scene_id: vector.astype(np.float32) for scene_id, vector in halves.items()}

    def all_vectors(self, space: Space) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        space_id = self.space_id(space)
        if space_id is not None:
            for ids, vectors in self.vectors_since(space_id, space.dim, -1):
                yield ids, vectors.astype(np.float32)

    # Below, ids are of scenes, or of passages in a space of the channels speech and ocr.

    def vectors(self, space_id: int, dim: int, ids: Iterable[int]) -> dict[int, NDArray[np.float16]]:
        """Embeddings by id, fp16 [D]. Ids without one are absent."""
        with self.transaction() as connection:
            table, key = self._table(space_id)
            rows = connection.execute(
                # + keeps SQLite from reading all of the space through the index of changes.
                f"SELECT {key}, vector FROM {table} WHERE +space_id = ? AND {key} IN (SELECT value FROM json_each(?))",
                (space_id, codec.ids_to_json(ids)),
            ).fetchall()
        halves = _halves(self._folder, [blob for _, blob in rows], dim)
        return {found: halves[i] for i, (found, _) in enumerate(rows)}

    def vectors_since(
        self, space_id: int, dim: int, change: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Embeddings added after `change`, in chunks: (ids [N], fp16 [N, D])."""
        with self.transaction() as connection:
            # A whole space is faster read in the table's own order than through the index.
            table, key = self._table(space_id)
            order = "NOT INDEXED" if change < 0 else f"INDEXED BY {table}_change"
            cursor = connection.execute(
                f"SELECT {key}, vector FROM {table} {order} WHERE space_id = ? AND change > ?", (space_id, change)
            )
            while rows := cursor.fetchmany(_CHUNK):
                ids = np.array([found for found, _ in rows], dtype=np.int64)
                yield ids, _halves(self._folder, [blob for _, blob in rows], dim)

    def count_vectors(self, space_id: int, through: int | None = None) -> int:
        """Number of embeddings of a space, or of those added up to a change number."""
        with self.transaction() as connection:
            table, _ = self._table(space_id)
            row = connection.execute(
                f"SELECT COUNT(*) FROM {table} WHERE space_id = ? AND change <= ?",
                (space_id, 2**62 if through is None else through),
            ).fetchone()
        return int(row[0])

    def has_removals(self, through: int) -> bool:
        """Whether removals up to a change number are still listed."""
        with self.transaction() as connection:
            row = connection.execute("SELECT 1 FROM removals WHERE change <= ? LIMIT 1", (through,)).fetchone()
        return row is not None

    def added_since(self, space_id: int, change: int) -> NDArray[np.int64]:
        """Ids of the embeddings added to a space after a change number (-1: all)."""
        with self.transaction() as connection:
            table, key = self._table(space_id)
            rows = connection.execute(
                f"SELECT {key} FROM {table} WHERE space_id = ? AND change > ?", (space_id, change)
            )
            return np.fromiter((found for (found,) in rows), dtype=np.int64)

    def removed_since(self, space_id: int, change: int) -> NDArray[np.int64]:
        """Ids of the embeddings removed from a space after a change number."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT scene_id FROM removals WHERE space_id = ? AND change > ?", (space_id, change)
            )
            return np.fromiter((scene_id for (scene_id,) in rows), dtype=np.int64)

    def frame_vectors(self, space: Space, scene_ids: Iterable[int]) -> dict[int, tuple[Vectors, Seconds]]:
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT scene_id, times, vectors FROM frames WHERE space_id = ? "
                "AND scene_id IN (SELECT value FROM json_each(?))",
                (self.space_id(space), codec.ids_to_json(scene_ids)),
            ).fetchall()
        frames: dict[int, tuple[Vectors, Seconds]] = {}
        for scene_id, times_blob, blob in rows:
            times = codec.times_from_bytes(times_blob)
            frames[scene_id] = codec.frames_from_bytes(blob, len(times)), times
        return frames


def _halves(folder: Path, blobs: Sequence[bytes], dim: int) -> NDArray[np.float16]:
    try:
        return codec.halves_from_bytes(blobs, dim)
    except ValueError as error:
        from vsearch.library.faults import damaged

        raise damaged(folder, str(error)) from error
