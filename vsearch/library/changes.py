"""What may be done to a library: every method is one transaction under the writer's lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vsearch.library.faults import translated
from vsearch.library.folder import LibraryFolder
from vsearch.library.rows import Failure, RemovalReport, SpaceRemoval, Tag, VideoRecord
from vsearch.media import EncodedScene, FileStamp, PassageVectors, Scene, Space, Transcript, VideoInfo

# A snapshot is taken anew once this share of the space has changed since: until then replaying is quick.
_STALE_SHARE = 0.05


class LibraryChanges(LibraryFolder):
    """Errors of every method: LibraryLocked, LibraryReadOnly, LibraryFull, LibraryDamaged."""

    def add_video(self, record: VideoRecord) -> int:
        """Write a video, its scenes, vectors and words in one transaction; returns its id.

        It takes the place of what the same content had before (in every space). What the same path held before is no
        longer found; if no other path holds it, it stays known until `remove_orphans`.
        """
        with self._writing() as writer:
            return writer.add_video(record)

    def add_encoding(self, key: str, space: Space, scenes: Sequence[EncodedScene]) -> None:
        """Vectors of a known video in one more space. LibraryError if its scenes are not those that are stored."""
        with self._writing() as writer:
            writer.add_encoding(key, space, scenes)

    def add_sound(
        self,
        stamp: FileStamp,
        key: str,
        info: VideoInfo,
        spans: Sequence[Scene],
        heard: Transcript,
        passages: PassageVectors | None = None,
    ) -> int:
        """Write a file that holds sound alone, with its words and their vectors, in one transaction; returns its id.

        spans: at least one, in time order. It takes the place of what was there before, as `add_video` does.
        """
        with self._writing() as writer:
            return writer.add_sound(stamp, key, info, spans, heard, passages)

    def set_transcript(self, key: str, transcript: Transcript, passages: PassageVectors | None = None) -> None:
        """The words of one channel of a known video and their vectors, in the place of those it had, in one
        transaction. LibraryError if the video is not known."""
        with self._writing() as writer:
            writer.set_transcript(key, transcript, passages)

    def set_passages(self, video_id: int, passages: PassageVectors) -> None:
        """Vectors of words that a video has already: see `without_passages`."""
        with self._writing() as writer:
            writer.set_passages(video_id, passages)

    def set_thumbnails(self, key: str, pictures: Mapping[int, bytes]) -> None:
        """Thumbnails (JPEG) of a known video's scenes, by scene id; empty: none could be made. LibraryError if the
        video is not known."""
        with self._writing() as writer:
            writer.set_thumbnails(key, pictures)

    def touch_file(self, stamp: FileStamp, key: str) -> None:
        """A path (new, moved, or with a new stamp) now holds this known content. LibraryError if it is not known.

        What it held before is treated as by `add_video`.
        """
        with self._writing() as writer:
            writer.touch_file(stamp, key)

    def forget_files(self, paths: Iterable[Path], *, keep_videos: bool = False) -> RemovalReport:
        """Take paths, their remembered failures, and every video that no path holds away, in one transaction.

        Unknown paths are passed. keep_videos: those that no path holds stay known until `remove_orphans`.
        """
        with self._writing() as writer:
            return writer.forget_files(paths, keep_videos=keep_videos)

    def remove_orphans(self) -> RemovalReport:
        """Remove the videos that no path holds, in one transaction.

        Files that are renamed in a chain, or swapped, take each other's paths: when one is met under its new name,
        the content that this path held before may yet be met under another. So it stays, neither found nor counted,
        until whoever looks at the files has seen them all and calls this.
        """
        with self._writing() as writer:
            return writer.remove_orphans() if self._reader.has_orphans() else RemovalReport()

    def record_failure(self, failure: Failure) -> None:
        """Remember that a file could not be indexed; forgotten when its path is added, touched or forgotten."""
        with self._writing() as writer:
            writer.record_failure(failure)

    def set_default_model(self, name: str) -> None:
        """See `default_model`."""
        with self._writing() as writer:
            writer.set_setting("model", name)

    def set_labels(self, space: Space, labels: Sequence[str], tags: Sequence[Tag]) -> None:
        """Which scenes have these labels in a space from now on, in one transaction; other labels stay as they are.

        Labels go with their scene and with the space, and when a scene is encoded there anew. Case and blanks mean
        nothing. Scenes that are not encoded in the space are passed over.
        """
        with self._writing() as writer:
            writer.replace_labels(space, labels, tags)

    def clear_labels(self, labels: Sequence[str] | None = None) -> int:
        """Take these labels, or all of them, away, whatever model gave them. How many scenes lost one."""
        with self._writing() as writer:
            return writer.clear_labels(labels)

    def remove_spaces(self, spaces: Sequence[Space]) -> SpaceRemoval:
        """Take spaces away with all that lies in them, in one transaction; then the disk gets its room back.

        Raises LibraryError where a video would be left with pictures that no model can find.
        """
        ids = [space_id for space in spaces if (space_id := self._reader.space_id(space)) is not None]
        with self._writing() as writer:
            before = sum(self._bytes())
            videos, vectors = writer.remove_spaces(ids)
            with self._guard:
                for space_id in ids:
                    self._indexes.pop(space_id, None)
            self.save_snapshots()
            writer.compact()
            return SpaceRemoval(videos, vectors, max(0, before - sum(self._bytes())))

    def save_snapshots(self, *, force: bool = False) -> None:
        """Write a FAISS snapshot of every space that has changed by more than a twentieth since its last (`force`: at
        all). Without it nothing is lost; a query after a long run only has more to replay."""
        from vsearch.library.snapshot_writer import save_snapshots

        with self._writing() as writer, translated(self.path):
            covered = save_snapshots(self._snapshots, self._reader, 0.0 if force else _STALE_SHARE)
            if self._reader.has_removals(covered):
                writer.prune_removals(covered)
