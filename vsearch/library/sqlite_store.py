"""The door to what is stored. See catalog.py for the tables and vectors.py for how the nearest are found.

Readers and one writer may use a library at once, from several threads and processes: a reader sees whatever was
committed before its question.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import LibraryError
from vsearch.library.changes import LibraryChanges
from vsearch.library.filters import Filters
from vsearch.library.ids import ascending
from vsearch.library.lookups import LibraryLookups
from vsearch.library.rows import LibraryStatus, PassageHit, VerifyReport
from vsearch.media import Space, Vectors

# Up to this many scenes that a filter admits, reading them all from the catalog beats asking an index.
_EXACT_BELOW = 2_000


class SqliteStore(LibraryLookups, LibraryChanges):
    """A folder that holds a catalog and its snapshots: open, look things up, write, and here: search and check."""

    # -- searching

    def select_scenes(self, filters: Filters) -> NDArray[np.int64] | None:
        """Ids, ascending, of the scenes that pass every filter that is set; None if none is set."""
        with self._reader.transaction():
            scene_conditions = filters.scene_conditions()
            selected = self._reader.select("scenes", scene_conditions) if scene_conditions else None
            video_conditions = filters.video_conditions(self._reader)
            if video_conditions:
                scenes = self._tables.scenes()
                of_videos = scenes.of(self._reader.select("videos", video_conditions))
                selected = of_videos if selected is None else np.intersect1d(selected, of_videos, assume_unique=True)
        return selected

    def search_scenes(
        self, space: Space, queries: Vectors, k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k scenes nearest to each query: scores [Q, k'] and scene ids [Q, k'], best first.

        queries: float32 [Q, D]. allowed: only these scene ids. k' is the smaller of k and what was found; a row that
        found less than another ends in ids of -1. Scores are inner products with the stored fp16 vectors. Scenes
        of videos that no path holds may be among them: `scenes` leaves them out.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != space.dim:
            raise ValueError(f"queries must be [Q, {space.dim}]: {queries.shape = }")
        if k <= 0:
            raise ValueError(f"k must be positive: {k = }")
        if allowed is not None:
            allowed = ascending(allowed)
            allowed = allowed[allowed > 0]
        space_id = self._reader.space_id(space)
        if space_id is None or len(queries) == 0:
            return np.empty((len(queries), 0), dtype=np.float32), np.empty((len(queries), 0), dtype=np.int64)
        return self._index(space_id, space).search(queries, k, allowed, _EXACT_BELOW)

    def search_text(
        self, query: str, k: int, *, allowed: NDArray[np.int64] | None = None, channel: str | None = None
    ) -> list[PassageHit]:
        """The k best passages that contain terms of the query, best first: see fulltext.py.

        The first n are the same for every k >= n, and filters come before the limit.

        Anything in "quotes" must be there word for word; basket* stands for every word that begins so; no text is an
        error. allowed: only these scene ids. channel: "speech" or "ocr"; None for both.
        """
        from vsearch.library.fulltext import search_text

        if k <= 0:
            raise ValueError(f"k must be positive: {k = }")
        return search_text(self._reader, self._tables, query, k, allowed, channel)

    def search_passages(
        self, space: Space, query: Vectors, k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> list[PassageHit]:
        """The k passages of words nearest to a query [D] in meaning, best first; of two that share time the nearer one.

        allowed: only these scene ids, of the scenes in which passages begin.
        """
        from vsearch.library.semantic_search import passage_hits, passages_in

        if k <= 0:
            raise ValueError(f"k must be positive: {k = }")
        space_id = self._reader.space_id(space)
        if space_id is None:
            return []
        with self._reader.transaction():
            ids = None if allowed is None else passages_in(self._tables, space_id, allowed)
            wanted = 2 * k
            while True:
                scores, found = self._index(space_id, space).search(query[None], wanted, ids, _EXACT_BELOW)
                near = [(int(one), float(s)) for one, s in zip(found[0], scores[0], strict=True) if one >= 0]
                hits = list(islice(passage_hits(self._reader, self._tables, space, near), k))
                if len(hits) == k or len(near) < wanted:
                    return hits
                wanted *= 4

    # -- the library as a whole

    def status(self) -> LibraryStatus:
        """What the library holds: videos that some path holds."""
        with self._reader.transaction() as connection:
            videos, seconds = connection.execute(
                "SELECT COUNT(*), TOTAL(duration) FROM videos WHERE id IN (SELECT video_id FROM files)"
            ).fetchone()
            (files,) = connection.execute("SELECT COUNT(*) FROM files").fetchone()
            (scenes,) = connection.execute(
                "SELECT COUNT(*) FROM scenes WHERE video_id IN (SELECT video_id FROM files)"
            ).fetchone()
            (sounds,) = connection.execute(
                "SELECT COUNT(*) FROM videos WHERE width = 0 AND id IN (SELECT video_id FROM files)"
            ).fetchone()
            speech_segments, ocr_segments = connection.execute(
                "SELECT COALESCE(SUM(channel = 'speech'), 0), COALESCE(SUM(channel = 'ocr'), 0) FROM segments "
                "WHERE video_id IN (SELECT video_id FROM files)"
            ).fetchone()
            transcribed, ocr_videos = connection.execute(
                "SELECT COALESCE(SUM(channel = 'speech'), 0), COALESCE(SUM(channel = 'ocr' AND cause IS NULL), 0) "
                "FROM transcripts WHERE video_id IN (SELECT video_id FROM files)"
            ).fetchone()
            state, spaces, failures = self._reader.state(), self.spaces(), self._reader.failures(None)
        catalog_bytes, snapshot_bytes = self._bytes()
        return LibraryStatus(
            path=self.path,
            change=state.change,
            videos=videos,
            files=files,
            scenes=scenes,
            seconds=seconds,
            spaces=tuple(spaces),
            catalog_bytes=catalog_bytes,
            snapshot_bytes=snapshot_bytes,
            failures=tuple(failures),
            sounds=sounds,
            transcribed=transcribed,
            speech_segments=speech_segments,
            default_model=self.default_model(),
            ocr_videos=ocr_videos,
            ocr_segments=ocr_segments,
        )

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check the catalog, that every vector is there and sound, and that the snapshots say the same.

        With `repair`, snapshots are rebuilt, orphans dropped, and videos whose vectors are missing or broken removed,
        so that the next index run encodes them again. A catalog whose pages are broken needs `repair_library`.
        """
        from vsearch.library import verify

        if not repair:
            return verify.check(self._reader, self._snapshots).report()
        with self._writing() as writer:
            found = verify.check(self._reader, self._snapshots)
            if found.pages:
                raise LibraryError(f"the catalog of {self.path} is broken inside: run `vsearch verify --repair`")
            repaired = verify.put_right(found, writer, self._snapshots)
            with self._guard:
                self._indexes.clear()
            if not found.obstacle:
                self.save_snapshots()
            return verify.check(self._reader, self._snapshots).report(repaired, found.lost)
