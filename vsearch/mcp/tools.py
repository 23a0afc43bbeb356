"""The tools of the MCP server: read-only access to a library.

Tools identify a video by its path. A path from a caller is only looked up in the catalog; the file that is opened is
the one in the catalog.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from vsearch.errors import InputError, PathError
from vsearch.library.filters import NO_FILTERS, Filters
from vsearch.report import readable
from vsearch.spelling import caseless

if TYPE_CHECKING:
    from vsearch.api import Library
    from vsearch.library.rows import FileRow

MOST_HITS = 100
MOST_LABELS = 20
"""Labels in one filter."""
MOST_LISTED = 500
"""Labels in one result."""
MOST_SEGMENTS = 500
MOST_VIDEOS = 200
LONGEST_PATH = 4096
FRAME_SIDE = 768
"""Pixels of the longer side of a frame: vision models accept this size without tiling."""


@dataclass
class LibraryTools:
    """The tools over one library. Thread-safe."""

    library: Library
    _lock: Lock = field(default_factory=Lock)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        channel: str = "all",
        per_video: int | None = None,
        filters: Filters = NO_FILTERS,
    ) -> list[dict[str, Any]]:
        """Hits as `vsearch query --json` prints them. Raises QueryError, LibraryError, ModelError."""
        _check_range("k", k, 1, MOST_HITS)
        if len(filters.label) > MOST_LABELS:
            raise InputError(f"At most {MOST_LABELS} labels can be required at once, not {len(filters.label)}.")
        with self._lock:
            hits = self.library.search(query, k=k, channel=channel, per_video=per_video, filters=filters)
        return [_printable(hit.as_json()) for hit in hits]

    def get_transcript(self, video: str, start: float = 0.0, end: float | None = None) -> dict[str, Any]:
        """The segments of speech and OCR that overlap [start, end), at most MOST_SEGMENTS."""
        row = self._find(video)
        known = self.library.store.find_transcript(row.video_id)
        segments = [
            segment
            for segment in self.library.store.transcript(row.video_id)
            if segment.end > start and (end is None or segment.start < end)
        ]
        shown = [
            {
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": readable(segment.text),
                "channel": segment.channel,
            }
            for segment in segments[:MOST_SEGMENTS]
        ]
        return {
            "video": readable(row.path),
            "language": None if known is None else known.language,
            "transcribed": known is not None and known.cause is None,
            "segments": shown,
            "next_start": round(segments[MOST_SEGMENTS].start, 3) if len(segments) > MOST_SEGMENTS else None,
        }

    def get_frame(self, video: str, time: float) -> tuple[bytes, float]:
        """The frame at a time, as JPEG, and its own time in seconds. Raises MediaError, PathError."""
        from vsearch.clips import still

        row = self._find(video)
        _check_range("time", time, 0, 1e7)
        with self._lock:  # one decoder at a time
            return still(row.path, time, side=FRAME_SIDE)

    def list_videos(self, contains: str = "", offset: int = 0, limit: int = MOST_VIDEOS) -> dict[str, Any]:
        """Files whose path contains a text, by path, and their total number."""
        _check_range("limit", limit, 1, MOST_VIDEOS)
        _check_range("offset", offset, 0, 2**31)
        rows = [row for row in self.library.store.files() if caseless(contains) in caseless(readable(row.path))]
        videos = []
        for row in rows[offset : offset + limit]:
            record = self.library.store.find_key(row.key)
            if record is None:
                continue  # it was removed in the meantime
            info = record.info
            videos.append(
                {
                    "video": readable(row.path),
                    "duration": round(info.duration, 3),
                    "width": info.width,
                    "height": info.height,
                    "has_audio": info.has_audio,
                }
            )
        return {"total": len(rows), "videos": videos}

    def list_labels(self, contains: str = "") -> dict[str, Any]:
        """The first MOST_LISTED labels that contain a text, by name, as the objects of `vsearch label --list --json`,
        and their total number."""
        rows = [row for row in self.library.store.labels() if caseless(contains) in row.label]
        return {"total": len(rows), "labels": [_printable(row.as_json()) for row in rows[:MOST_LISTED]]}

    def _find(self, video: str) -> FileRow:
        """The row of a path that a tool returned. Reads the catalog only, not the disk."""
        if len(video) <= LONGEST_PATH and "\0" not in video:
            row = self.library.store.find_file(Path(video))
            if row is not None:
                return row
            # Tools return names that cannot be printed with escapes.
            if "\\" in video:
                for row in self.library.store.files():
                    if readable(row.path) == video:
                        return row
        raise PathError(f"{readable(video[:200])} is not in the library: list_videos lists its videos.")


def _printable(value: Any) -> Any:
    """The value without lone surrogates and control characters, so that it can be sent as UTF-8."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {key: _printable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_printable(one) for one in value]
    return value


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InputError(f"{name} must be from {least:g} to {most:g}, not {value}.")
