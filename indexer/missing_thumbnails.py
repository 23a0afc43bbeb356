"""The thumbnails stage: thumbnails for videos that were indexed before there were any. Nothing is encoded again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from vsearch.child_process import Child
from vsearch.errors import MediaError
from vsearch.indexer.decisions import stamp_now
from vsearch.indexer.events import ThumbnailsMade
from vsearch.indexer.messages import MakeThumbnails, ThumbnailMade
from vsearch.library.rows import FileRow
from vsearch.library.store import Store

log = logging.getLogger(__name__)


def make_missing_thumbnails(store: Store, roots: Sequence[Path], hang_seconds: float) -> Iterator[ThumbnailsMade]:
    """The work is done while the events are drawn."""
    wanted = store.videos_without_thumbnails()
    if not wanted:
        return
    with Child("vsearch.indexer.worker", hang_seconds) as decoder:
        for row in (row for root in roots for row in store.files(root)):
            stamp = stamp_now(row.path)
            if row.video_id not in wanted or stamp is None or (stamp.size, stamp.mtime_ns) != (row.size, row.mtime_ns):
                continue  # it has thumbnails, or the file is gone or another one
            wanted.discard(row.video_id)
            thumbnails = _make(store, decoder, row)
            if stamp_now(row.path) == stamp:
                store.set_thumbnails(row.key, thumbnails)
                yield ThumbnailsMade(row.path, sum(map(bool, thumbnails.values())))


def _make(store: Store, decoder: Child, row: FileRow) -> dict[int, bytes]:
    """Scene id -> JPEG; empty where none can be made, which is remembered, too."""
    scenes = store.scenes_of(row.video_id)
    thumbnails = {scene.id: b"" for scene in scenes}
    request = MakeThumbnails(row.path, tuple((scene.start, scene.end) for scene in scenes))
    try:
        for reply in decoder.replies(request):
            if isinstance(reply, ThumbnailMade):
                thumbnails[scenes[reply.scene].id] = reply.payload
    except MediaError as error:
        log.info("%s: thumbnails: %s", row.path, error)
    return thumbnails
