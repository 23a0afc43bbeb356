"""Video files into a library: discover, probe, decode, find scenes, encode, write.

Three kinds of process work at once: one that only probes runs ahead, so that the length of the run is known; one or
more decode, find cuts and choose frames; this one encodes and writes. What lies between them is bounded.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from vsearch.indexer.assemble import SceneAssembler, regroup
from vsearch.indexer.discover import Unreadable, absolute, walk
from vsearch.indexer.events import Discovered, Event, Finished, Indexed, Moved, Progress, Skipped, Started, Unchanged
from vsearch.indexer.illustrate import StillStage
from vsearch.indexer.lanes import INBOX, TICK, DecodingLane, Lane
from vsearch.indexer.ocr import TextOptions, TextStage
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.plan import Job, Planner, SoundFile, Store, stamp_now
from vsearch.indexer.probe import Probed
from vsearch.indexer.process import Inbox
from vsearch.indexer.prune import forget_gone
from vsearch.indexer.spool import Spool
from vsearch.indexer.tally import RunClock, Tally
from vsearch.indexer.transcribe import WordOptions, WordStage
from vsearch.indexer.wire import Message
from vsearch.library.rows import VideoRecord, same_scenes
from vsearch.models.protocols import VideoEncoder

log = logging.getLogger(__name__)

LOOKAHEAD = 1000
"""Files that discovery may be ahead of encoding."""

SNAPSHOT_EVERY = 200
"""Videos after which a snapshot may be due: a run of days that is killed leaves little for queries to replay."""

_DONE = object()


class Indexer:
    """`Indexer(library, encoder).index(paths)` brings the library up to date with those files and folders."""

    def __init__(
        self,
        library: Store,
        encoder: VideoEncoder,
        options: IndexOptions | None = None,
        words: WordOptions | None = None,
        text: TextOptions | None = None,
    ) -> None:
        """words: where the words of videos come from; text: how that in their pictures is read; None: not at all."""
        self._library, self._encoder, self._options = library, encoder, options or IndexOptions()
        self._words, self._text = words, text

    def index(self, paths: Sequence[Path]) -> Iterator[Event]:
        """Events as things happen; the last is Finished. The work is done as they are drawn.

        A file that cannot be used is a Skipped, never an exception. Errors of the library end the run, and so does
        closing the generator: what was written stays, a video in flight is lost. Raises LibraryError, ModelError.
        """
        lock = contextlib.nullcontext() if self._options.dry_run else self._library.writing()
        with lock:
            roots = _distinct(paths)
            run = _Run(self._library, self._encoder, self._options, roots, self._words, self._text)
            try:
                yield from run.events()
            finally:
                run.close()


def _distinct(paths: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(absolute(path) for path in paths))


def _counted(tally: Tally, events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        tally.count(event)
        yield event


class _Run:
    """One call of Indexer.index."""

    def __init__(
        self,
        store: Store,
        encoder: VideoEncoder,
        options: IndexOptions,
        roots: list[Path],
        words: WordOptions | None,
        text: TextOptions | None,
    ) -> None:
        self._store, self._encoder, self._options = store, encoder, options
        self._words = None if options.dry_run else words
        self._sound: set[Path] = set()  # files that turned out to have no pictures
        self._roots = roots
        self._planner = Planner(
            store,
            encoder.space,
            act=not options.dry_run,
            retry_failed=options.retry_failed,
            words=words is not None,
        )
        self._inbox: Inbox = queue.Queue(INBOX)
        self._prober = Lane(self._inbox, options)
        self._spool = Spool()
        self._text = None if text is None or options.dry_run else TextStage(store, text, self._roots, self._spool)
        self._lanes = [DecodingLane(self._inbox, options, encoder, self._spool) for _ in range(options.workers)]
        self._to_probe: deque[Job] = deque()
        self._to_decode: deque[Job] = deque()
        self._finishing: str | None = None
        """Content key of the video that is decoded, but not written."""
        self._discovered_all = False
        self._tally, self._clock = Tally(options.dry_run), RunClock()

    def close(self) -> None:
        """End every process."""
        for lane in (self._prober, *self._lanes):
            lane.kill()
        self._spool.close()

    def events(self) -> Iterator[Event]:
        written = 0
        for event in _counted(self._tally, self._work()):
            yield event
            if isinstance(event, Indexed):
                written += 1
                if written % SNAPSHOT_EVERY == 0:
                    self._store.save_snapshots()
        # What is gone is forgotten last: until then, sound that was moved is recognised by its content.
        stages = chain(self._illustrate(), self._listen_to_sound(), self._read_text(), self._forget_gone())
        yield from _counted(self._tally, stages)
        if not self._options.dry_run:
            self._store.remove_orphans()
            self._store.save_snapshots()  # also what a run that was killed left behind
        yield Finished(self._tally.summary())

    def _illustrate(self) -> Iterator[Event]:
        """Thumbnails for what was indexed before there were any."""
        if not self._options.dry_run:
            yield from StillStage(self._store, self._roots, self._options.hang_seconds).events()

    def _listen_to_sound(self) -> Iterator[Event]:
        if self._words is None:
            return
        self._store.save_snapshots()  # this may take long; the pictures can be searched meanwhile
        for lane in (self._prober, *self._lanes):
            lane.kill()  # their memory is wanted now
        stage = WordStage(self._store, self._words, self._roots, self._sound)
        yield from stage.events()
        self._tally.words = stage.seconds
        self._tally.notes += [stage.note] if stage.note else []

    def _read_text(self) -> Iterator[Event]:
        if self._text is None:
            return
        self._store.save_snapshots()
        for lane in (self._prober, *self._lanes):
            lane.kill()
        yield from self._text.events()
        self._tally.text = self._text.seconds
        self._tally.notes += [self._text.note] if self._text.note else []

    def _forget_gone(self) -> Iterator[Event]:
        return forget_gone(self._store, self._roots, prune=self._options.prune, act=not self._options.dry_run)

    def _work(self) -> Iterator[Event]:
        discovery = self._discover()
        while True:
            far = len(self._to_probe) + len(self._to_decode) >= LOOKAHEAD
            if not self._discovered_all and not far:
                found = next(discovery, _DONE)
                if found is _DONE:
                    self._discovered_all = True
                elif isinstance(found, Job):
                    self._to_probe.append(found)
                    if not self._options.dry_run:
                        self._lanes[0].warm()  # while the file is probed
                elif isinstance(found, Unchanged | Moved | Skipped):
                    yield found
            yield from self._hand_out()
            busy = [lane for lane in (self._prober, *self._lanes) if lane.job]
            if busy:
                yield from self._listen(busy, wait=self._discovered_all or far)
            elif self._discovered_all and not self._to_probe and not self._to_decode:
                break

    def _discover(self) -> Iterator[Job | SoundFile | Unchanged | Moved | Skipped | None]:
        """One step a file; None for a file of no interest."""
        told: set[Path] = set()  # of the roots, those of which something was said
        for found in walk(self._roots):
            if isinstance(found, Unreadable):
                told.update(root for root in self._roots if root == found.path or root in found.path.parents)
                yield Skipped(found.path, found.cause)
                continue
            decision = self._planner.decide(found)
            if decision is not None:
                told.add(found.root)
            yield decision
        for root in self._roots:
            if root in told or not root.is_dir():
                continue
            if not any(other in root.parents for other in self._roots):
                yield Skipped(root, "there are no videos in this folder")

    def _hand_out(self) -> Iterator[Event]:
        """Give idle lanes something to do."""
        if self._prober.job is None and self._to_probe:
            self._prober.probe(self._to_probe.popleft())
        for lane in self._lanes:
            while lane.job is None and (job := self._next_to_decode()) is not None:
                self._to_decode.remove(job)
                twin = self._planner.recognise(job.stamp, job.key)  # the same content, encoded a moment ago
                if twin is not None:
                    self._clock.settle(job.stamp.path, _length(job))
                    yield twin
                    continue
                lane.decode(job, large=self._text is not None and self._text.wants(job.key))
                yield Started(job.stamp.path)

    def _next_to_decode(self) -> Job | None:
        """The first job whose content is not under way already: a copy waits, and is then only noted."""
        under_way = {lane.job.key for lane in self._lanes if lane.job} | {self._finishing}
        return next((job for job in self._to_decode if job.key not in under_way), None)

    def _listen(self, busy: Sequence[Lane], wait: bool) -> Iterator[Event]:
        """Take one message, if there is one, and see who has been silent for too long."""
        begun = time.monotonic()
        sender, message = None, None
        with contextlib.suppress(queue.Empty):
            sender, message = self._inbox.get(timeout=TICK) if wait else self._inbox.get_nowait()
        # a computer that slept, or a caller that stopped us, is not a decoder that hangs
        waited = min(time.monotonic() - begun, 2 * TICK)
        for lane in busy:
            if sender is not None and lane.process is sender:
                started = message is not None and message.fields.get("is") == "started"
                lane.hear(started)
                if not started:
                    yield from self._lost(lane) if message is None else self._hear(lane, message)
            elif (complaint := lane.wait(waited)) is not None:
                yield from self._give_up(lane, complaint)

    def _lost(self, lane: Lane) -> Iterator[Event]:
        yield from self._give_up(lane, lane.process.death() if lane.process else "the decoder ended early")

    def _give_up(self, lane: Lane, cause: str) -> Iterator[Event]:
        """The process of this lane is of no more use."""
        lane.kill()
        if isinstance(lane, DecodingLane):
            yield from self._try_next(lane, cause)
        elif lane.job is not None:
            job, lane.job = lane.job, None
            yield self._fail(job, cause)

    def _hear(self, lane: Lane, message: Message) -> Iterator[Event]:
        job, kind = lane.job, message.fields.get("is")
        assert job is not None  # busy lanes only
        if kind == "unreadable":
            lane.job = None
            self._clock.settle(job.stamp.path, _length(job))
            yield Skipped(job.stamp.path, f"it cannot be read: {str(message.fields['cause']).lower()}")
        elif not isinstance(lane, DecodingLane):
            lane.job = None
            yield from self._probed(job, message.fields)
        elif kind == "failed":
            yield from self._try_next(lane, message.fields["cause"])
        elif kind == "done":
            assembler = lane.release()
            self._finishing = job.key
            yield from self._hand_out()  # the next video decodes while this one is written
            yield from self._finish(job, assembler, message.fields)
            self._finishing = None
        else:
            yield from self._take(lane, job, message)

    def _take(self, lane: DecodingLane, job: Job, message: Message) -> Iterator[Event]:
        try:
            reached = lane.take(message)
        except (KeyError, TypeError, ValueError):
            yield from self._give_up(lane, "the decoder sent nonsense")
            return
        if lane.assembler.full:
            lane.assembler.encode()
        if reached is not None:
            self._clock.reach(job.stamp.path, reached, _length(job))
            settled = self._discovered_all and not self._to_probe and self._prober.job is None
            yield Progress(job.stamp.path, reached, _length(job), self._clock.done, self._clock.total, settled)

    def _probed(self, job: Job, answer: dict[str, Any]) -> Iterator[Event]:
        if answer["is"] == "probed":
            job = replace(job, probed=Probed.from_json(answer["probed"]))
            self._clock.discover(_length(job))
            if not self._options.dry_run:
                self._to_decode.append(job)
            yield Discovered(job.stamp.path, _length(job))
        elif answer.get("sound") and self._words is not None:
            self._sound.add(job.stamp.path)
        elif job.reported or answer.get("is_video", True):
            yield self._fail(job, answer["cause"])
        else:
            self._planner.forget(job.stamp.path)

    def _try_next(self, lane: DecodingLane, cause: str) -> Iterator[Event]:
        job = lane.job
        assert job is not None
        log.info("%s: %s", job.stamp.path, cause)
        if not lane.try_next(cause):
            lane.job = None
            yield self._fail(job, lane.cause or cause)

    def _fail(self, job: Job, cause: str) -> Skipped:
        self._clock.settle(job.stamp.path, _length(job))
        if stamp_now(job.stamp.path) == job.stamp:
            self._planner.fail(job.stamp, cause)
        return Skipped(job.stamp.path, cause)

    def _finish(self, job: Job, assembler: SceneAssembler, answer: dict[str, Any]) -> Iterator[Event]:
        """All frames are here: encode the rest and write."""
        assembler.encode()
        if not assembler.scenes:
            yield self._fail(job, "no frame can be decoded")
            return
        self._tally.decode += answer["decode_seconds"]
        self._tally.scenes += answer["scene_seconds"]
        self._tally.encode += assembler.seconds
        if stamp_now(job.stamp.path) != job.stamp:
            self._clock.settle(job.stamp.path, _length(job))
            yield Skipped(job.stamp.path, "it changed while it was read; the next run tries it again")
            return
        twin = self._planner.recognise(job.stamp, job.key)
        if twin is None:
            begun = time.perf_counter()
            written = self._write(job, assembler, answer["end"])
            self._tally.write += time.perf_counter() - begun
            if not written:
                self._clock.settle(job.stamp.path, _length(job))
                yield Skipped(job.stamp.path, "less of it can be decoded than before; what is known of it is kept")
                return
        self._clock.settle(job.stamp.path, _length(job))
        start = assembler.scenes[0].scene.start
        yield twin or Indexed(
            job.stamp.path,
            scenes=len(assembler.scenes),
            seconds=answer["end"] - start,
            replaced=job.replaces,
            warning=None if answer["moved"] else _warning(job, answer["end"]),
        )

    def _write(self, job: Job, assembler: SceneAssembler, end: float) -> bool:
        """False where it does not fit what is known of this content."""
        assert job.probed is not None
        space, scenes = self._encoder.space, tuple(assembler.scenes)
        video = self._store.find_key(job.key)
        if video is not None:  # known in another space
            self._store.touch_file(job.stamp, job.key)  # first: scenes are told of videos that have a file
            known = [(row.start, row.end) for row in self._store.scenes_of(video.id)]
            if known and not video.info.sound_only:
                # Another decoder or version may see other cuts. Those that are known stay: other spaces have them.
                fitting = scenes if same_scenes(known, scenes) else regroup(self._encoder, scenes, known)
                if fitting is not None:
                    self._store.add_encoding(job.key, space, fitting)
                return fitting is not None
        info = replace(job.probed.info, duration=end)  # headers guess, and sound may go on for longer
        self._store.add_video(VideoRecord(job.stamp, job.key, info, space, scenes))
        return True


def _length(job: Job) -> float:
    return job.probed.info.duration if job.probed else 0.0


def _warning(job: Job, end: float) -> str | None:
    """Containers and their streams disagree by fractions, and by pictures that wait to be reordered; a second, a
    fiftieth and three pictures are damage."""
    if job.probed is None or end >= job.probed.declared_end - max(
        1.0, job.probed.declared_end / 50, 3 * job.probed.step
    ):
        return None
    return f"only the first {end:.0f} of {job.probed.declared_end:.0f} s can be decoded: it is damaged or cut off"
