"""What the speech and the OCR stage share: a loop over files, and one transcript for each video that needs one.

Both run after the videos of a run are in the library, so that these can be searched meanwhile. Whatever goes wrong
costs one transcript. A transcript is made again only where its recipe says that it would be another one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

from vsearch.errors import MediaError, ModelError
from vsearch.indexer.audio import Inspected
from vsearch.indexer.decisions import stamp_now
from vsearch.indexer.discover import FoundFile, Unreadable
from vsearch.indexer.events import EncodingPassages, Event, Skipped, Transcribed, Unchanged, Untranscribed
from vsearch.indexer.options import IndexPlan
from vsearch.library.rows import VideoRow
from vsearch.library.store import Store
from vsearch.media import TRANSCRIPT_CHANNELS, FileStamp, PassageVectors, Transcript
from vsearch.models.protocols import SentenceEncoder
from vsearch.models.sentence_encoder import encode_passages


@dataclass(frozen=True, slots=True)
class Target:
    """A file that needs a transcript."""

    stamp: FileStamp
    key: str
    video: VideoRow | None
    """None: a file without frames that is not in the library yet."""
    named: bool = False
    """It was given itself, not found in a folder."""


@dataclass(frozen=True, slots=True)
class Made:
    """A transcript that is to be written."""

    transcript: Transcript
    warning: str | None = None
    """One line, where only a part could be used."""
    frames: int = 0
    """Frames in which text was recognised."""
    tracks: Inspected | None = None
    """The tracks of a file that is not in the library yet."""


class TranscriptStage(ABC):
    """A stage that adds the transcripts of one channel. `events` does the work while its events are drawn."""

    channel: str

    def __init__(self, store: Store, plan: IndexPlan, unavailable: str | None) -> None:
        """unavailable: why the model of the stage cannot be used, one line."""
        self._store, self._plan, self._unavailable = store, plan, unavailable
        self._alone = plan.only is not None
        self._seen: set[int] = set()  # ids of videos that this run is done with, whatever paths they have
        self._passed_over = 0

    @abstractmethod
    def close(self) -> None:
        """End the child processes."""

    @abstractmethod
    def _holds(self, video: VideoRow) -> bool:
        """Whether the library holds the transcript that this run would make."""

    @abstractmethod
    def _make(self, target: Target) -> Generator[Event, None, Made | None]:
        """Make a transcript; None: there is nothing to write. Raises MediaError; ModelError where a model fails."""

    @abstractmethod
    def _not_in_library(self, found: FoundFile) -> Iterator[Event]:
        """A file that the library does not hold as it is."""

    @abstractmethod
    def _failed(self, target: Target, cause: str) -> Iterator[Event]:
        """Remember that there is no transcript to be had as long as the file stays as it is."""

    @property
    def note(self) -> str | None:
        """One line, where files were passed over for want of a model."""
        if not self._passed_over or self._unavailable is None:
            return None
        files = "1 file" if self._passed_over == 1 else f"{self._passed_over} files"
        return f"no {self.channel} transcript of {files}: {self._unavailable}"

    def events(self, files: Iterable[FoundFile | Unreadable]) -> Iterator[Event]:
        for found in files:
            if isinstance(found, Unreadable):
                if self._alone:
                    yield Skipped(found.path, found.cause)
            elif (stamp := stamp_now(found.stamp.path)) is not None:
                yield from self._file(replace(found, stamp=stamp))

    def _file(self, found: FoundFile) -> Iterator[Event]:
        stamp = found.stamp
        row = self._store.find_file(stamp.path)
        if row is None or (row.size, row.mtime_ns) != (stamp.size, stamp.mtime_ns):
            yield from self._not_in_library(found)
            return
        video = self._store.find_key(row.key)
        if video is None:
            return
        if video.id not in self._seen and not self._holds(video):
            yield from self._transcribe(Target(stamp, video.key, video))
            return
        self._seen.add(video.id)
        if self._alone or (video.info.sound_only and self.channel == "speech"):
            yield Unchanged(stamp.path)

    def _transcribe(self, target: Target) -> Iterator[Event]:
        path, begun = target.stamp.path, time.perf_counter()
        if target.video is not None:
            self._seen.add(target.video.id)
        try:
            made = yield from self._make(target)
        except MediaError as error:
            yield from self._failed(target, str(error))
            return
        except ModelError as error:
            self._unavailable = str(error)
            yield Untranscribed(path, self.channel, str(error))
            return
        if made is None:
            return
        if stamp_now(path) != target.stamp:
            yield Skipped(path, "it changed while it was read; the next run tries it again")
            return
        transcript, sentences = made.transcript, self._plan.sentences
        passages = None if sentences is None else encode_passages(sentences, self.channel, transcript.segments)
        yield from self._write(target, made, passages)
        seconds = time.perf_counter() - begun
        yield Transcribed(
            path,
            self.channel,
            len(transcript.segments),
            transcript.source,
            transcript.language,
            seconds,
            made.warning,
            made.frames,
        )

    def _write(self, target: Target, made: Made, passages: PassageVectors | None) -> Iterator[Event]:
        self._store.set_transcript(target.key, made.transcript, passages)
        yield from ()


def encode_missing_passages(store: Store, sentences: SentenceEncoder) -> Iterator[Event]:
    """Encode the passages of transcripts that were written without embeddings, or for another encoder."""
    for channel in TRANSCRIPT_CHANNELS:
        missing = store.without_passages(sentences.space(channel))
        for done, video_id in enumerate(missing):
            yield EncodingPassages(done, len(missing))
            segments = [segment for segment in store.transcript(video_id) if segment.channel == channel]
            store.set_passages(video_id, encode_passages(sentences, channel, segments))
