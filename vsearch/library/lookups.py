"""What a library tells of what it holds, by path, key or id."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsearch.library.filters import NO_FILTERS, Filters
from vsearch.library.folder import LibraryFolder
from vsearch.library.rows import Failure, FileRow, LabelRow, SceneRow, SpaceRow, TranscriptRow, VideoRow
from vsearch.media import Seconds, Segment, Space, Vectors


class LibraryLookups(LibraryFolder):
    """Every method sees what was committed before it was called."""

    # -- files and videos

    def default_model(self) -> str | None:
        """The name of the model that answers unless told otherwise, where one was chosen."""
        return self._reader.setting("model")

    def unencoded_files(self, space: Space) -> list[Path]:
        """A file of each video with pictures that is not encoded in a space yet, by path."""
        return self._reader.unencoded_files(space)

    def find_key(self, key: str) -> VideoRow | None:
        """The video with this content key."""
        return self._reader.video(key)

    def videos(self, after: int = 0, limit: int = 100) -> list[tuple[VideoRow, int]]:
        """Videos that some path holds and how many scenes each has, by id: at most `limit` with ids above `after`."""
        return self._reader.videos(after, limit)

    def find_file(self, path: Path) -> FileRow | None:
        """What the library knows of a path (absolute)."""
        return self._reader.file(path)

    def files(self, under: Path | None = None) -> list[FileRow]:
        """Every file by path, or those at and below `under`."""
        return self._reader.files(under)

    def find_failure(self, path: Path) -> Failure | None:
        """The remembered failure of a path."""
        return self._reader.failure(path)

    def failures(self, under: Path | None = None) -> list[Failure]:
        """Every remembered failure by path, or those at and below `under`."""
        return self._reader.failures(under)

    # -- words

    def transcript(self, video_id: int) -> list[Segment]:
        """A video's words in time order."""
        return self._reader.transcript(video_id)

    def find_transcript(self, video_id: int, channel: str = "speech") -> TranscriptRow | None:
        """Where a channel's words come from; None where nobody has listened or looked yet."""
        return next((row for row in self._reader.transcripts(video_id) if row.channel == channel), None)

    def without_passages(self, space: Space) -> list[int]:
        """Videos with words of the space's channel, but no vectors of them there."""
        return self._reader.without_passages(space)

    # -- scenes and vectors

    def scenes(self, ids: Sequence[int], *, filters: Filters = NO_FILTERS) -> dict[int, SceneRow]:
        """Scenes by id; removed scenes and scenes of videos without a file are absent.

        filters: of several files with the same content, a path that passes the filters `path` and `folder` is chosen.
        """
        unfiltered = filters.path is None and filters.folder is None
        return self._reader.scenes(ids, None if unfiltered else filters.path_matcher())

    def scenes_of(self, video_id: int) -> list[SceneRow]:
        """A video's scenes in time order."""
        return self._reader.scenes_of(video_id)

    def scenes_between(self, video_id: int, start: float, end: float) -> list[SceneRow]:
        """A video's scenes that lie in [start, end), in seconds, at least in part, in time order."""
        return self._reader.scenes_between(video_id, start, end)

    def scenes_outside(self, videos: Collection[int], allowed: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Ids, ascending, of the scenes that do not belong to these videos; of the allowed ones, where there are."""
        scenes = self._tables.scenes()
        ids = scenes.of(np.setdiff1d(scenes.known, np.fromiter(videos, dtype=np.int64)))
        return ids if allowed is None else np.intersect1d(allowed, ids, assume_unique=True)

    def thumbnail(self, scene_id: int) -> bytes | None:
        """JPEG of a scene, its longer side at most 320 pixels. None where there is none."""
        return self._reader.thumbnail(scene_id)

    def videos_without_thumbnails(self) -> set[int]:
        """Ids of the videos with pictures for whose scenes nobody has tried to make thumbnails yet."""
        return self._reader.videos_without_thumbnails()

    def has_space(self, video_id: int, space: Space) -> bool:
        """Whether every scene of a video is encoded in a space."""
        space_id = self._reader.space_id(space)
        return space_id is not None and self._reader.has_encoding(video_id, space_id)

    def labels(self) -> list[LabelRow]:
        """Every label that a scene has, in the order of the alphabet."""
        return self._reader.labels()

    def spaces(self) -> list[SpaceRow]:
        """Every space, oldest first."""
        with self._reader.transaction():
            change = self._reader.state().change
            # Counting a million vectors takes longer than searching them.
            known = self._spaces
            if known is None or known[0] != change:
                known = self._spaces = (change, self._reader.spaces())
        return list(known[1])

    def frame_vectors(self, space: Space, scene_ids: Sequence[int]) -> dict[int, tuple[Vectors, Seconds]]:
        """Frames of scenes in a space: float32 [T, F] (rounded to int8 steps) and their times, seconds [T]."""
        space_id = self._reader.space_id(space)
        return {} if space_id is None else self._reader.frame_vectors(space_id, scene_ids)

    def scene_vectors(self, space: Space, scene_ids: Sequence[int]) -> dict[int, Vectors]:
        """The stored vectors of scenes in a space, float32 [D]; scenes that have none are absent."""
        space_id = self._reader.space_id(space)
        if space_id is None:
            return {}
        found = self._reader.vectors(space_id, space.dim, scene_ids)
        return {scene_id: vector.astype(np.float32) for scene_id, vector in found.items()}

    def all_vectors(self, space: Space) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Every scene of a space with its vector: ids [N] and float32 [N, D], in chunks, of one state of the catalog.
        Scenes of videos that no path holds are among them."""
        space_id = self._reader.space_id(space)
        if space_id is None:
            return
        for ids, vectors in self._reader.vectors_since(space_id, space.dim, -1):
            yield ids, vectors.astype(np.float32)
