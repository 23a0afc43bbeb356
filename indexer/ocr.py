"""The OCR stage: recognise the text in a few large frames of each scene, and join it to segments.

Key frames of videos that this run has decoded wait in a spool. Those of other videos are decoded for it, at the scenes
that are known. Decoding and recognition have a process each.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from vsearch.child_messages import Message
from vsearch.child_process import Child
from vsearch.errors import MediaError, ModelError
from vsearch.indexer.decisions import stamp_now
from vsearch.indexer.discover import FoundFile, promises_video
from vsearch.indexer.events import Event, Skipped, Transcribing, Untranscribed
from vsearch.indexer.keyframes import key_moments
from vsearch.indexer.messages import (
    FindKeyFrames,
    KeyFrameFound,
    Probe,
    RecogniseText,
    TextRecognised,
    VideoProbed,
    VideoRejected,
)
from vsearch.indexer.ocr_segments import OcrSegments
from vsearch.indexer.options import IndexPlan, OcrOptions
from vsearch.indexer.spool import Spool
from vsearch.indexer.transcript_stage import Made, Target, TranscriptStage
from vsearch.indexer.worker import find_reader
from vsearch.library.rows import VideoRow
from vsearch.library.store import Store
from vsearch.media import Segment, Transcript
from vsearch.models.protocols import RecognisedText

log = logging.getLogger(__name__)

_RECIPE = "pictures 1"
"""Names how frames are chosen and text is joined to segments: a part of the recipe."""
_REPORT = 0.5
"""Seconds between two reports of progress."""


def ocr_options(reader: str) -> OcrOptions:
    """Options with a reader that can be loaded, or with the reason why it cannot."""
    try:
        find_reader(reader)
    except ModelError as error:
        return OcrOptions(reader, str(error))
    return OcrOptions(reader)


class OcrStage(TranscriptStage):
    """Adds OCR transcripts. `spool` gets the key frames that the video stage decodes."""

    channel = "ocr"

    def __init__(self, store: Store, plan: IndexPlan, options: OcrOptions) -> None:
        super().__init__(store, plan, options.unavailable)
        self._reader_name = options.reader
        hang_seconds = plan.options.hang_seconds
        self._decoder = Child("vsearch.indexer.worker", hang_seconds)
        self._reader = Child("vsearch.indexer.worker", hang_seconds, name="text reader")
        self._recipe = "" if options.unavailable else f"{find_reader(options.reader).recipe}, {_RECIPE}"
        self.spool = Spool()

    def close(self) -> None:
        self._decoder.kill()
        self._reader.kill()
        self.spool.close()

    def begin_key_frames(self, key: str) -> bool:
        """Whether this stage needs the key frames of a video that is decoded now; if so, the spool expects them."""
        video = self._store.find_key(key)
        needed = self._unavailable is None and (video is None or not self._holds(video))
        if needed:
            self.spool.begin(key)
        return needed

    def _not_in_library(self, found: FoundFile) -> Iterator[Event]:
        if self._alone and (found.named or promises_video(found.stamp.path)):
            cause = "its frames are not indexed as it is now: run `vsearch index` without --only first"
            yield Skipped(found.stamp.path, cause)

    def _holds(self, video: VideoRow) -> bool:
        if video.info.sound_only:
            return True
        row = self._store.find_transcript(video.id, self.channel)
        if row is None or (row.cause is not None and self._plan.options.retry_failed):
            return False
        return row.recipe == self._recipe

    def _make(self, target: Target) -> Generator[Event, None, Made | None]:
        assert target.video is not None
        if self._unavailable is not None:
            self._passed_over += 1
            return None
        scenes = [(row.start, row.end) for row in self._store.scenes_of(target.video.id)]
        path, spooled = target.stamp.path, self.spool.frames(target.key)
        try:
            if spooled is not None:
                return (yield from self._recognise(path, scenes, spooled))
            return (yield from self._decode_and_recognise(path, scenes))
        finally:
            self.spool.drop(target.key)

    def _failed(self, target: Target, cause: str) -> Iterator[Event]:
        path = target.stamp.path
        if stamp_now(path) == target.stamp:
            self._store.set_transcript(target.key, self._transcript((), cause))
        yield Untranscribed(path, self.channel, cause)

    def _transcript(self, segments: Sequence[Segment], cause: str | None = None) -> Transcript:
        return Transcript(tuple(segments), self.channel, self._recipe, channel=self.channel, cause=cause)

    def _decode_and_recognise(self, path: Path, scenes: Sequence[tuple[float, float]]) -> Generator[Event, None, Made]:
        """Try one decoder after the other."""
        first_error: MediaError | None = None
        for decoder in self._plan.options.decoders:
            frames = self._decode(path, scenes, decoder)
            try:
                return (yield from self._recognise(path, scenes, frames))
            except _ReaderFailed:  # another decoder would not help
                raise
            except MediaError as error:
                log.info("%s: %s", path, error)
                first_error = first_error or error
            finally:
                frames.close()
        assert first_error is not None
        raise first_error

    def _decode(
        self, path: Path, scenes: Sequence[tuple[float, float]], decoder: str
    ) -> Generator[tuple[float, bytes], None, None]:
        """Seconds and JPEG of the key frames of known scenes."""
        probed = self._decoder.answer(Probe(path), Message)
        if isinstance(probed, VideoRejected):
            raise MediaError(probed.cause)
        assert isinstance(probed, VideoProbed)
        moments = tuple(moment for start, end in scenes for moment in key_moments(start, end))
        request = FindKeyFrames(path, probed.probed, decoder, self._plan.options.decoding_threads, moments)
        empty = True
        for reply in self._decoder.replies(request):
            if isinstance(reply, KeyFrameFound):
                empty = False
                yield reply.time, reply.payload
        if empty:
            raise MediaError("no frame can be decoded")

    def _recognise(
        self, path: Path, scenes: Sequence[tuple[float, float]], frames: Iterator[tuple[float, bytes]]
    ) -> Generator[Event, None, Made]:
        segments = OcrSegments(scenes)
        end, reported, count = scenes[-1][1], 0.0, 0
        for moment, jpeg in frames:
            count += bool(jpeg)
            segments.add(moment, self._text_in(jpeg) if jpeg else None)
            if time.monotonic() - reported > _REPORT:
                reported = time.monotonic()
                yield Transcribing(path, self.channel, min(moment, end), end)
        return Made(self._transcript(segments.finish()), frames=count)

    def _text_in(self, jpeg: bytes) -> Sequence[RecognisedText]:
        try:
            return self._reader.answer(RecogniseText(self._reader_name, jpeg), TextRecognised).lines
        except MediaError as error:
            raise _ReaderFailed(str(error)) from error


class _ReaderFailed(MediaError):
    """Recognition failed, not decoding."""
