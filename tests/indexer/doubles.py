"""A library kept in dicts, and an encoder whose vectors are mean colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vsearch.library.rows import Failure, FileRow, RemovalReport, SceneRow, VideoRecord, VideoRow
from vsearch.media import EncodedScene, FileStamp, Pixels, Space, Vectors
from vsearch.models.protocols import FrameSize


class MeanColour:
    """A frame's vector is its mean colour. `encoded` counts frames."""

    def __init__(self, name: str = "mean", size: tuple[int, int] = (64, 48)) -> None:
        self.space = Space(model=name, fingerprint=f"mean-{name}", dim=3)
        self.frame_size = FrameSize(*size)
        self.encoded = 0

    def encode_frames(self, pixels: Pixels) -> Vectors:
        self.encoded += len(pixels)
        return _unit(pixels.mean((1, 2), dtype=np.float32) + 1e-3)

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        return _unit(np.stack([vectors.mean(0) for vectors in frame_vectors]))


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


class DictLibrary:
    """What the indexer asks of a library, in plain dicts. `log` holds the names of the writes."""

    def __init__(self) -> None:
        self.records: dict[str, VideoRecord] = {}
        self.encodings: dict[tuple[str, Space], tuple[EncodedScene, ...]] = {}
        self.stamps: dict[Path, tuple[FileStamp, str]] = {}
        self.failed: dict[Path, Failure] = {}
        self.log: list[str] = []
        self.locked = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        assert not self.locked
        self.locked = True
        try:
            yield
        finally:
            self.locked = False

    def _note(self, what: str) -> None:
        assert self.locked, "a write without the lock"
        self.log.append(what)

    def _id(self, key: str) -> int:
        return list(self.records).index(key)

    def add_video(self, record: VideoRecord) -> int:
        self._note("add_video")
        self.records[record.key] = record
        self.encodings[record.key, record.space] = record.scenes
        self._point(record.stamp, record.key)
        return self._id(record.key)

    def add_encoding(self, key: str, space: Space, scenes: Sequence[EncodedScene]) -> None:
        self._note("add_encoding")
        assert [s.scene for s in scenes] == [s.scene for s in self.records[key].scenes]
        self.encodings[key, space] = tuple(scenes)

    def touch_file(self, stamp: FileStamp, key: str) -> None:
        self._note("touch_file")
        assert key in self.records
        self._point(stamp, key)

    def _point(self, stamp: FileStamp, key: str) -> None:
        self.stamps[stamp.path] = (stamp, key)
        self.failed.pop(stamp.path, None)

    def remove_orphans(self) -> RemovalReport:
        assert self.locked, "a write without the lock"
        self._sweep()
        return RemovalReport()

    def _sweep(self) -> None:
        used = {key for _, key in self.stamps.values()}
        self.records = {key: record for key, record in self.records.items() if key in used}
        self.encodings = {pair: scenes for pair, scenes in self.encodings.items() if pair[0] in used}

    def forget_files(self, paths: Iterable[Path], *, keep_videos: bool = False) -> RemovalReport:
        self._note("forget_files")
        gone = 0
        for path in list(paths):
            gone += self.stamps.pop(path, None) is not None
            self.failed.pop(path, None)
        if not keep_videos:
            self._sweep()
        return RemovalReport(files=gone)

    def find_key(self, key: str) -> VideoRow | None:
        if key not in self.records:
            return None
        paths = tuple(path for path, (_, held) in self.stamps.items() if held == key)
        return VideoRow(self._id(key), key, self.records[key].info, paths)

    def find_file(self, path: Path) -> FileRow | None:
        if path not in self.stamps:
            return None
        stamp, key = self.stamps[path]
        return FileRow(path, stamp.size, stamp.mtime_ns, self._id(key), key)

    def files(self, under: Path | None = None) -> list[FileRow]:
        rows = [self.find_file(path) for path in sorted(self.stamps)]
        return [row for row in rows if row and (under is None or under == row.path or under in row.path.parents)]

    def has_space(self, video_id: int, space: Space) -> bool:
        return (list(self.records)[video_id], space) in self.encodings

    def record_failure(self, failure: Failure) -> None:
        self._note("record_failure")
        self.failed[failure.stamp.path] = failure

    def find_failure(self, path: Path) -> Failure | None:
        return self.failed.get(path)

    def scenes_of(self, video_id: int) -> list[SceneRow]:
        record = list(self.records.values())[video_id]
        return [
            SceneRow(i, video_id, record.stamp.path, s.scene.start, s.scene.end) for i, s in enumerate(record.scenes)
        ]

    def failures(self, under: Path | None = None) -> list[Failure]:
        return [f for p, f in sorted(self.failed.items()) if under is None or under == p or under in p.parents]

    def videos_without_thumbnails(self) -> set[int]:
        return set()

    def save_snapshots(self) -> None:
        self._note("save_snapshots")

    def spans(self, path: Path) -> list[tuple[float, float]]:
        """[start, end) of the scenes of a file, to the microsecond."""
        _, key = self.stamps[path]
        return [(round(s.scene.start, 6), round(s.scene.end, 6)) for s in self.records[key].scenes]
