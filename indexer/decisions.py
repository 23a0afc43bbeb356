"""What is to be done with each file: nothing, a note of its path, or indexing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vsearch.indexer.content_key import content_key
from vsearch.indexer.discover import FoundFile, has_sound_ending, is_source, promises_video, sniff
from vsearch.indexer.events import Moved, Skipped, Unchanged
from vsearch.indexer.probe import Probed
from vsearch.library.rows import Failure, VideoRow
from vsearch.library.store import Store
from vsearch.media import (
    FileStamp,
    Space,
)


@dataclass(frozen=True, slots=True)
class Job:
    """A video to index."""

    stamp: FileStamp
    key: str
    reported: bool
    """Report it if it turns out to be no video: it was given itself, or its ending promises one."""
    replaces: bool
    """The path held other content before."""
    probed: Probed | None = None
    """None: not probed yet."""

    @property
    def path(self) -> Path:
        return self.stamp.path

    @property
    def duration(self) -> float:
        """Seconds by the header; 0.0: unknown."""
        return self.probed.info.duration if self.probed else 0.0


@dataclass(frozen=True, slots=True)
class SoundFile:
    """A file without frames: only the speech stage uses it."""


class FileDecider:
    """Decides what to do with one file after another. act=False: a dry run, nothing is written. speech: the run has a
    speech stage, which uses files without frames."""

    def __init__(self, store: Store, space: Space, *, act: bool, retry_failed: bool, speech: bool) -> None:
        self._store, self._space, self._act, self._retry, self._speech = store, space, act, retry_failed, speech

    def decide(self, found: FoundFile) -> Job | SoundFile | Unchanged | Moved | Skipped | None:
        """None: a file of another kind, found in a folder."""
        stamp = found.stamp
        row = self._store.find_file(stamp.path)
        if row is not None and (row.size, row.mtime_ns) == (stamp.size, stamp.mtime_ns):
            if self._store.has_space(row.video_id, self._space):
                return Unchanged(stamp.path)
            video = self._store.find_key(row.key)
            if video is not None and video.info.sound_only:
                return SoundFile() if self._speech else Unchanged(stamp.path)
            return Job(stamp, row.key, reported=True, replaces=False)
        reported = found.named or promises_video(stamp.path)
        failure = self._store.find_failure(stamp.path)
        source = is_source(stamp.path)
        if failure is not None and source and self._act:
            self._store.forget_files([stamp.path], keep_videos=True)
        elif failure is not None and failure.stamp == stamp and not self._retry:
            return Skipped(stamp.path, failure.cause, remembered=True)
        try:
            kind = sniff(stamp.path)
            if kind != "video" and has_sound_ending(stamp.path) and (self._speech or row is not None):
                return SoundFile()
            if kind == "other" or (kind == "unknown" and (source or not reported)):
                self.forget(stamp.path)
                return Skipped(stamp.path, "not a video") if reported else None
            key = content_key(stamp.path, stamp.size)
        except OSError as error:
            return unreadable(stamp.path, error)
        known = self.recognise(stamp, key)
        if known is not None:
            return known
        return Job(stamp, key, reported, replaces=row is not None and row.key != key)

    def recognise(self, stamp: FileStamp, key: str) -> Moved | Unchanged | None:
        """Note the path of a video that is in the library under its content key. None: it must be encoded."""
        video = self._store.find_key(key)
        if video is None or not self._store.has_space(video.id, self._space):
            return None
        moved = note_path(self._store, video, stamp, act=self._act)
        return Unchanged(stamp.path) if stamp.path in video.paths else moved

    def fail(self, stamp: FileStamp, cause: str) -> None:
        """Remember that this file cannot be used, so that the next run does not try it again."""
        if self._act:
            self.forget(stamp.path)
            self._store.record_failure(Failure(stamp, cause))

    def forget(self, path: Path) -> None:
        """The content that the library knows at this path is gone from there. It may turn up elsewhere."""
        if self._act and self._store.find_file(path) is not None:
            self._store.forget_files([path], keep_videos=True)


def note_path(store: Store, video: VideoRow, stamp: FileStamp, *, act: bool = True) -> Moved:
    """Add a path to a known video, and remove those that are gone."""
    gone = [path for path in video.paths if path != stamp.path and is_gone(path)]
    if act:
        store.touch_file(stamp, video.key)
        if gone:
            store.forget_files(gone, keep_videos=True)
    return Moved(stamp.path, gone[0] if gone else None)


def unreadable(path: Path, error: OSError) -> Skipped:
    return Skipped(path, f"it cannot be read: {(error.strerror or str(error)).lower()}")


def is_gone(path: Path) -> bool:
    """True only where the system reports that nothing is there: a folder that may not be read proves nothing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def stamp_now(path: Path) -> FileStamp | None:
    """The file's stamp at this moment; None where it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return FileStamp(path, status.st_size, status.st_mtime_ns)
