"""Fills in the thumbnails that a library of an older version lacks, without encoding anything again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from vsearch.errors import MediaError
from vsearch.indexer.events import Illustrated
from vsearch.indexer.plan import Store, stamp_now
from vsearch.indexer.process import Correspondent
from vsearch.indexer.thumbnails import checked_thumbnail
from vsearch.library.rows import FileRow

log = logging.getLogger(__name__)


class StillStage:
    """Fills in what is missing below `roots`. `events()` does the work as it is drawn."""

    def __init__(self, store: Store, roots: Sequence[Path], hang_seconds: float = 30.0) -> None:
        self._store, self._roots = store, roots
        self._decoder = Correspondent(hang_seconds)

    def events(self) -> Iterator[Illustrated]:
        wanted = self._store.videos_without_thumbnails()
        try:
            for row in self._files(wanted) if wanted else ():
                stamp = stamp_now(row.path)
                if stamp is None or (stamp.size, stamp.mtime_ns) != (row.size, row.mtime_ns):
                    continue  # gone, or another by now
                wanted.discard(row.video_id)
                pictures = self._pictures(row)
                if stamp_now(row.path) != stamp:
                    continue
                self._store.set_thumbnails(row.key, pictures)
                yield Illustrated(row.path, sum(map(bool, pictures.values())))
        finally:
            self._decoder.close()

    def _files(self, wanted: set[int]) -> Iterator[FileRow]:
        for root in self._roots:
            for row in self._store.files(root):
                if row.video_id in wanted:
                    yield row

    def _pictures(self, row: FileRow) -> dict[int, bytes]:
        """By scene id. Empty where none can be had: that is remembered, too."""
        scenes = self._store.scenes_of(row.video_id)
        pictures = {scene.id: b"" for scene in scenes}
        spans = [[scene.start, scene.end] for scene in scenes]
        request = {"do": "thumbnails", "path": str(row.path), "spans": spans}
        try:
            for message in self._decoder.answers(request):
                if message.fields.get("is") == "thumbnail":
                    pictures[scenes[int(message.fields["scene"])].id] = checked_thumbnail(message.payload)
        except (MediaError, KeyError, IndexError, TypeError, ValueError) as error:
            log.info("%s: thumbnails: %s", row.path, error)
        return pictures
