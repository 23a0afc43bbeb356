"""What is written in the pictures of videos: a few large pictures of each scene, and a model that reads them.

This stage runs after the pictures of a run are in the library, so that these can be searched while it reads. Large
pictures that were decoded with the others wait in a spool; those of videos that the library knew before are decoded
for it, at the scenes that are known. Decoding and reading each have a process that may be killed, and whatever goes
wrong costs the text of one video. A video is read again only where its text would be another: the recipe of its
transcript says so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vsearch.errors import MediaError, ModelError
from vsearch.indexer.decode import DEFAULT_DECODERS
from vsearch.indexer.discover import Found, Unreadable, absolute, promises_video, walk
from vsearch.indexer.events import Event, Finished, Reading, Skipped, TextRead, Unchanged, Unread
from vsearch.indexer.keyframes import key_moments
from vsearch.indexer.passages import encode_missing, passages_for
from vsearch.indexer.plan import Store, stamp_now
from vsearch.indexer.process import Correspondent
from vsearch.indexer.reading import DEFAULT_READER, find_reader
from vsearch.indexer.shown import ShownLines
from vsearch.indexer.spool import Spool
from vsearch.indexer.tally import Tally
from vsearch.library.rows import VideoRow
from vsearch.media import Box, FileStamp, Transcript
from vsearch.models.protocols import RecognisedText, SentenceEncoder

log = logging.getLogger(__name__)

CHANNEL = "ocr"
_PICTURES = "pictures 1"
"""Names how pictures are chosen and lines are merged: a part of the recipe."""
_TELL = 0.5
"""Seconds between two tellings of progress."""


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How the text of a run is read. A reader that cannot be had is a ModelError of the first who asks for `recipe`."""

    reader: str = DEFAULT_READER
    """ "module:function": see reading.py."""
    unavailable: str | None = None
    """Why nothing can be read, where a person expects it: one line."""
    only: bool = False
    """Nothing else is done: videos that the library does not hold yet are passed over, and said."""
    retry_failed: bool = False
    hang_seconds: float = 30.0
    decoders: tuple[str, ...] = DEFAULT_DECODERS
    threads: int = 1
    """Decoding threads, where pictures are decoded for this alone."""
    sentences: SentenceEncoder | None = None
    """Makes vectors of passages, so that text is found by its meaning; None: by its letters alone."""

    @property
    def recipe(self) -> str:
        return f"{find_reader(self.reader).recipe}, {_PICTURES}"


def text_options(
    reader: str = DEFAULT_READER,
    *,
    threads: int = 1,
    retry_failed: bool = False,
    sentences: SentenceEncoder | None = None,
) -> TextOptions:
    """Options whose reader can be had, or that say why it cannot: pictures and words do not wait for it."""
    try:
        find_reader(reader)
    except ModelError as error:
        return TextOptions(reader, str(error))
    return TextOptions(reader, retry_failed=retry_failed, threads=threads, sentences=sentences)


class TextStage:
    """`events()` does the work as it is drawn. spool: pictures that this run has decoded already."""

    def __init__(self, store: Store, options: TextOptions, roots: Sequence[Path], spool: Spool | None = None) -> None:
        self._store, self._options, self._roots = store, options, roots
        self._spool = spool or Spool()
        self._decoder = Correspondent(options.hang_seconds)
        self._reader = Correspondent(options.hang_seconds, who="text reader")
        self._seen: set[int] = set()
        self._unread = 0
        self._broken = options.unavailable
        self._recipe = "" if options.unavailable else options.recipe
        self.seconds = 0.0
        """Time spent here."""

    def close(self) -> None:
        self._decoder.close()
        self._reader.close()
        self._spool.close()

    @property
    def note(self) -> str | None:
        """One line, where pictures were not read for want of a reader."""
        if not self._unread or self._broken is None:
            return None
        return f"{self._unread} {'video was' if self._unread == 1 else 'videos were'} not read: {self._broken}"

    def wants(self, key: str) -> bool:
        """Whether large pictures of this content are worth keeping."""
        video = self._store.find_key(key)
        return self._broken is None and (video is None or not self._holds(video.id))

    def events(self) -> Iterator[Event]:
        begun = time.perf_counter()
        try:
            for found in walk(self._roots):
                if isinstance(found, Unreadable):
                    if self._options.only:
                        yield Skipped(found.path, found.cause)
                    continue
                yield from self._file(found)
            yield from encode_missing(self._store, self._options.sentences, [CHANNEL])
        finally:
            self.seconds += time.perf_counter() - begun
            self.close()

    def _file(self, found: Found) -> Iterator[Event]:
        stamp, only = found.stamp, self._options.only
        row = self._store.find_file(stamp.path)
        if row is None or (row.size, row.mtime_ns) != (stamp.size, stamp.mtime_ns):
            if only and (found.named or promises_video(stamp.path)):
                yield Skipped(
                    stamp.path, "its pictures are not indexed as it is: run `vsearch index` without --only first"
                )
            return
        video = self._store.find_key(row.key)
        if video is None:
            return
        if video.info.sound_only or video.id in self._seen or self._holds(video.id):
            if only:
                yield Unchanged(stamp.path)
            return
        self._seen.add(video.id)
        if self._broken is not None:
            self._unread += 1
            return
        yield from self._read_video(stamp, video)

    def _holds(self, video_id: int) -> bool:
        """Whether the text that is there is that which this run would find."""
        row = self._store.find_transcript(video_id, CHANNEL)
        if row is None or (row.cause is not None and self._options.retry_failed):
            return False
        return row.recipe == self._recipe

    def _read_video(self, stamp: FileStamp, video: VideoRow) -> Iterator[Event]:
        begun = time.perf_counter()
        scenes = [(row.start, row.end) for row in self._store.scenes_of(video.id)]
        try:
            kept = self._spool.pictures(video.key)
            if kept is not None:
                transcript, read = yield from self._read(stamp.path, scenes, kept)
            else:
                transcript, read = yield from self._decode_and_read(stamp.path, scenes)
        except MediaError as error:
            if stamp_now(stamp.path) == stamp:
                failed = Transcript((), CHANNEL, self._recipe, channel=CHANNEL, cause=str(error))
                self._store.set_transcript(video.key, failed)
            yield Unread(stamp.path, str(error))
            return
        except ModelError as error:
            self._broken = str(error)
            yield Unread(stamp.path, str(error))
            return
        finally:
            self._spool.drop(video.key)
        if stamp_now(stamp.path) != stamp:
            yield Skipped(stamp.path, "it changed while it was read; the next run tries it again")
            return
        passages = passages_for(self._options.sentences, CHANNEL, transcript.lines)
        self._store.set_transcript(video.key, transcript, passages)
        yield TextRead(stamp.path, len(transcript.lines), read, time.perf_counter() - begun)

    def _decode_and_read(
        self, path: Path, scenes: Sequence[tuple[float, float]]
    ) -> Generator[Event, None, tuple[Transcript, int]]:
        """Ask one decoder after the other. What goes wrong with the reader is not the decoder's fault."""
        cause: MediaError | None = None
        for decoder in self._options.decoders:
            pictures = self._look(path, scenes, decoder)
            try:
                return (yield from self._read(path, scenes, pictures))
            except _ReaderFailed:
                raise
            except MediaError as error:
                log.info("%s: %s", path, error)
                cause = cause or error
            finally:
                pictures.close()
        raise cause or MediaError("there is no decoder")

    def _read(
        self, path: Path, scenes: Sequence[tuple[float, float]], pictures: Iterator[tuple[float, bytes]]
    ) -> Generator[Event, None, tuple[Transcript, int]]:
        """Progress; returns the text and how many pictures were read."""
        lines = ShownLines(scenes)
        end, told, read = scenes[-1][1], 0.0, 0
        for moment, jpeg in pictures:
            read += bool(jpeg)
            lines.see(moment, self._shown(jpeg) if jpeg else None)
            if time.monotonic() - told > _TELL:
                told = time.monotonic()
                yield Reading(path, min(moment, end), end)
        return Transcript(lines.finish(), CHANNEL, self._recipe, channel=CHANNEL), read

    def _shown(self, jpeg: bytes) -> list[RecognisedText]:
        try:
            answer = self._reader.answer({"do": "read", "reader": self._options.reader}, jpeg)
            return [
                RecognisedText(str(text), float(confidence), Box(*map(float, box)))
                for text, confidence, *box in answer.fields["lines"]
            ]
        except MediaError as error:
            raise _ReaderFailed(str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise _ReaderFailed("the text reader sent nonsense") from error

    def _look(
        self, path: Path, scenes: Sequence[tuple[float, float]], decoder: str
    ) -> Generator[tuple[float, bytes], None, None]:
        """Pictures of known scenes, out of the file."""
        answer = self._decoder.answer({"do": "probe", "path": str(path)}).fields
        if answer["is"] != "probed":
            raise MediaError(str(answer.get("cause", "it cannot be decoded")))
        request = {
            "do": "look",
            "path": str(path),
            "probed": answer["probed"],
            "decoder": decoder,
            "threads": self._options.threads,
            "moments": [moment for start, end in scenes for moment in key_moments(start, end)],
        }
        seen = False
        for message in self._decoder.answers(request):
            if message.fields["is"] == "key":
                try:
                    moment = float(message.fields["time"])
                except (KeyError, TypeError, ValueError) as error:
                    raise MediaError("the decoder sent nonsense") from error
                seen = True
                yield moment, message.payload
        if not seen:
            raise MediaError("no frame can be decoded")


def index_text(library: Store, text: TextOptions, paths: Sequence[Path]) -> Iterator[Event]:
    """Text alone: what is written in the pictures of what the library holds under `paths`; no vector changes.

    Events as of Indexer.index. Raises ModelError where there is nothing to read with.
    """
    if text.unavailable:
        raise ModelError(text.unavailable)
    tally = Tally(dry_run=False)
    stage = TextStage(library, replace(text, only=True), list(dict.fromkeys(absolute(path) for path in paths)))
    with library.writing():
        for event in stage.events():
            tally.count(event)
            yield event
        library.save_snapshots()
    tally.text = stage.seconds
    tally.notes += [stage.note] if stage.note else []
    yield Finished(tally.summary())


class _ReaderFailed(MediaError):
    """The reader, not the decoder, could not do it."""
