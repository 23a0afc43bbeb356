"""The video stage of an index run: find files, probe, decode, find scenes, encode, write.

Three kinds of process work at the same time. One only probes and runs ahead, so that the length of the run is known.
One or more decode, find cuts and choose frames. This one encodes and writes. The queues between them are bounded.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vsearch.child_messages import Alive, Failed, Message
from vsearch.child_process import Child, Inbox, receive, to_error
from vsearch.indexer.assemble import SceneAssembler, regroup
from vsearch.indexer.decisions import FileDecider, Job, SoundFile, stamp_now
from vsearch.indexer.discover import FoundFile, Unreadable, walk
from vsearch.indexer.events import Discovered, Event, Indexed, Moved, Progress, Skipped, Started, Unchanged
from vsearch.indexer.messages import Decode, Decoded, KeyFrameFound, Probe, VideoProbed, VideoRejected, Warm
from vsearch.indexer.ocr import OcrStage
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.state import RunState
from vsearch.library.rows import VideoRecord, same_scenes
from vsearch.library.store import Store
from vsearch.models.protocols import VideoEncoder

log = logging.getLogger(__name__)

WORKER = "vsearch.indexer.worker"
"""The program of the child processes."""
INBOX = 24
"""Messages in flight, mostly frames: a batch and a half."""
LOOKAHEAD = 1000
"""Files that discovery may be ahead of encoding."""
SNAPSHOT_EVERY = 200
"""Videos after which a snapshot may be due: a killed run of days leaves few changes for queries to replay."""


class _Lane:
    """One decoding process, and the video that it decodes."""

    def __init__(self, inbox: Inbox, hang_seconds: float) -> None:
        self.child = Child(WORKER, hang_seconds, inbox=inbox)
        self.job: Job | None = None
        self.attempt = 0
        """Index of the decoder that is trying."""
        self.first_cause = ""
        """Why the first decoder failed."""
        self.assembler: SceneAssembler | None = None


class VideoStage:
    """`events()` does the work while its events are drawn. A context manager: leaving it ends every process.

    ocr: the stage that follows gets the key frames of the videos that it wants. seconds: see RunState.seconds.
    """

    def __init__(
        self,
        store: Store,
        encoder: VideoEncoder,
        options: IndexOptions,
        roots: Sequence[Path],
        state: RunState,
        *,
        speech: bool,
        ocr: OcrStage | None,
    ) -> None:
        self._store, self._encoder, self._options, self._roots = store, encoder, options, roots
        self._seconds, self._speech, self._ocr = state.seconds, speech, ocr
        self._act = not options.dry_run
        self._decider = FileDecider(
            store, encoder.space, act=self._act, retry_failed=options.retry_failed, speech=speech
        )
        self._inbox: Inbox = queue.Queue(INBOX)
        self._prober = Child(WORKER, options.hang_seconds, inbox=self._inbox)
        self._probing: Job | None = None
        self._lanes = [_Lane(self._inbox, options.hang_seconds) for _ in range(options.workers)]
        self._to_probe: deque[Job] = deque()
        self._to_decode: deque[Job] = deque()
        self._finishing: str | None = None
        """Content key of the video that is decoded, but not written."""
        self._discovered_all = False
        self._total = self._settled = 0.0
        """Seconds of all discovered videos, and of those that are done with, indexed or not."""
        self._written = 0
        self.files: list[FoundFile] = []
        """Files that later stages may use: all but those of other kinds."""
        self.sound_files: set[Path] = set()
        """Files that turned out to have sound, but no frames."""

    def __enter__(self) -> VideoStage:
        return self

    def __exit__(self, *error: object) -> None:
        for child in (self._prober, *(lane.child for lane in self._lanes)):
            child.kill()

    def events(self) -> Iterator[Event]:
        discovery = self._discover()
        while True:
            far_ahead = len(self._to_probe) + len(self._to_decode) >= LOOKAHEAD
            if not self._discovered_all and not far_ahead:
                try:
                    decision = next(discovery)
                except StopIteration:
                    self._discovered_all = True
                else:
                    if isinstance(decision, Job):
                        self._to_probe.append(decision)
                        if self._act:
                            self._lanes[0].child.warm(Warm())  # while the file is probed
                    elif isinstance(decision, Unchanged | Moved | Skipped):
                        yield decision
            yield from self._hand_out()
            if self._probing or any(lane.job for lane in self._lanes):
                yield from self._receive(wait=self._discovered_all or far_ahead)
            elif self._discovered_all and not self._to_probe and not self._to_decode:
                return

    def _discover(self) -> Iterator[Job | SoundFile | Unchanged | Moved | Skipped | None]:
        """One step a file; None for a file of another kind."""
        reported: set[Path] = set()  # roots about which there is an event
        for found in walk(self._roots):
            if isinstance(found, Unreadable):
                reported.update(root for root in self._roots if root == found.path or root in found.path.parents)
                yield Skipped(found.path, found.cause)
                continue
            decision = self._decider.decide(found)
            if decision is not None:
                reported.add(found.root)
                self.files.append(found)
            yield decision
        for root in self._roots:
            if root in reported or not root.is_dir():
                continue
            if not any(other in root.parents for other in self._roots):
                yield Skipped(root, "there are no videos in this folder")

    def _hand_out(self) -> Iterator[Event]:
        """Give idle processes something to do."""
        if self._probing is None and self._to_probe:
            self._probing = self._to_probe.popleft()
            self._prober.send(Probe(self._probing.path))
        for lane in self._lanes:
            while lane.job is None and (job := self._next_to_decode()) is not None:
                self._to_decode.remove(job)
                known = self._decider.recognise(job.stamp, job.key)  # a copy of a video that was written since
                if known is not None:
                    self._settled += job.duration
                    yield known
                    continue
                lane.job, lane.attempt, lane.first_cause = job, 0, ""
                self._decode(lane, job)
                yield Started(job.path)

    def _next_to_decode(self) -> Job | None:
        """The first job whose content is not in work already: a copy waits, and then only its path is noted."""
        in_work = {lane.job.key for lane in self._lanes if lane.job} | {self._finishing}
        return next((job for job in self._to_decode if job.key not in in_work), None)

    def _decode(self, lane: _Lane, job: Job) -> None:
        assert job.probed is not None  # only probed jobs are decoded
        lane.assembler = SceneAssembler(self._encoder, self._options.batch_size)
        key_frames = self._ocr is not None and self._ocr.begin_key_frames(job.key)
        options = self._options
        decoder, size = options.decoders[lane.attempt], self._encoder.frame_size
        interval, threads = options.frame_interval, options.decoding_threads
        lane.child.send(Decode(job.path, job.probed, decoder, size, interval, threads, key_frames))

    def _receive(self, wait: bool) -> Iterator[Event]:
        lanes = {lane.child: lane for lane in self._lanes}
        for child, reply in receive(self._inbox, [self._prober, *lanes], wait=wait):
            if child is self._prober:
                assert self._probing is not None
                job, self._probing = self._probing, None
                yield from self._probed(job, reply)
            else:
                yield from self._decoded(lanes[child], reply)

    def _probed(self, job: Job, reply: Message) -> Iterator[Event]:
        if isinstance(reply, VideoProbed):
            job = replace(job, probed=reply.probed)
            self._total += job.duration
            if self._act:
                self._to_decode.append(job)
            yield Discovered(job.path, job.duration)
        elif isinstance(reply, Failed) and reply.kind in ("system", "import"):
            yield Skipped(job.path, str(to_error(reply)))  # not the file's fault: the next run tries it again
        elif isinstance(reply, VideoRejected) and reply.sound and self._speech and self._act:
            self.sound_files.add(job.path)
        elif isinstance(reply, VideoRejected) and not (job.reported or reply.is_video):
            self._decider.forget(job.path)
        else:
            assert isinstance(reply, VideoRejected | Failed)
            yield self._fail(job, reply.cause)

    def _decoded(self, lane: _Lane, reply: Message) -> Iterator[Event]:
        job, assembler = lane.job, lane.assembler
        assert job is not None and assembler is not None  # a lane that decodes
        if isinstance(reply, Failed):
            yield from self._try_next(lane, job, reply)
        elif isinstance(reply, Decoded):
            lane.job = lane.assembler = None
            self._finishing = job.key
            yield from self._hand_out()  # the next video is decoded while this one is written
            yield from self._finish(job, assembler, reply)
            self._finishing = None
        elif isinstance(reply, KeyFrameFound):
            if self._ocr is not None:
                self._ocr.spool.add(job.key, reply.time, reply.payload)
        else:
            assembler.add(reply)
            if isinstance(reply, Alive) or assembler.full:
                yield self._progress(job, assembler.reached)
            if assembler.full:
                assembler.encode()

    def _progress(self, job: Job, done: float) -> Progress:
        in_work = ((lane.job, lane.assembler) for lane in self._lanes)
        reached = sum(min(assembler.reached, job.duration) for job, assembler in in_work if job and assembler)
        final = self._discovered_all and not self._to_probe and self._probing is None
        return Progress(job.path, done, job.duration, self._settled + reached, self._total, final)

    def _try_next(self, lane: _Lane, job: Job, failed: Failed) -> Iterator[Event]:
        """Begin the video again with the next decoder."""
        log.info("%s: %s", job.path, failed.cause)
        if failed.kind == "system":
            lane.job = lane.assembler = None
            self._settled += job.duration
            yield Skipped(job.path, str(to_error(failed)))
            return
        lane.first_cause = lane.first_cause or failed.cause
        lane.attempt += 1
        if lane.attempt < len(self._options.decoders):
            self._decode(lane, job)
            return
        lane.job = lane.assembler = None
        yield self._fail(job, lane.first_cause)

    def _fail(self, job: Job, cause: str) -> Skipped:
        self._settled += job.duration
        if stamp_now(job.path) == job.stamp:
            self._decider.fail(job.stamp, cause)
        return Skipped(job.path, cause)

    def _finish(self, job: Job, assembler: SceneAssembler, decoded: Decoded) -> Iterator[Event]:
        """Encode the rest of a video and write it."""
        assembler.encode()
        if not assembler.scenes:
            yield self._fail(job, "no frame can be decoded")
            return
        self._spend("decode", decoded.decode_seconds)
        self._spend("scenes", decoded.scene_seconds)
        self._spend("encode", assembler.seconds)
        self._settled += job.duration
        if stamp_now(job.path) != job.stamp:
            yield Skipped(job.path, "it changed while it was read; the next run tries it again")
            return
        if self._ocr is not None:
            self._ocr.spool.complete(job.key)
        known = self._decider.recognise(job.stamp, job.key)
        if known is not None:
            yield known
            return
        begun = time.perf_counter()
        written = self._write(job, assembler, decoded.end)
        self._spend("write", time.perf_counter() - begun)
        if not written:
            yield Skipped(job.path, "less of it can be decoded than before; what is known of it is kept")
            return
        seconds = decoded.end - assembler.scenes[0].scene.start
        warning = None if decoded.clock_jumped else _warning(job, decoded.end)
        yield Indexed(job.path, len(assembler.scenes), seconds, job.replaces, warning)
        self._written += 1
        if self._written % SNAPSHOT_EVERY == 0:
            self._store.save_snapshots()

    def _write(self, job: Job, assembler: SceneAssembler, end: float) -> bool:
        """False where the scenes do not fit those that the library knows of this video."""
        assert job.probed is not None
        space, scenes = self._encoder.space, tuple(assembler.scenes)
        video = self._store.find_key(job.key)
        if video is not None:  # known in another space
            self._store.touch_file(job.stamp, job.key)  # first: scenes_of returns those of videos that have a file
            known = [(row.start, row.end) for row in self._store.scenes_of(video.id)]
            if known and not video.info.sound_only:
                # Another decoder or version may find other cuts. The known ones stay: other spaces have them.
                fitting = scenes if same_scenes(known, scenes) else regroup(self._encoder, scenes, known)
                if fitting is not None:
                    self._store.add_encoding(job.key, space, fitting)
                return fitting is not None
        info = replace(job.probed.info, duration=end)  # headers guess, and sound may be longer than the frames
        self._store.add_video(VideoRecord(job.stamp, job.key, info, space, scenes))
        return True

    def _spend(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds


def _warning(job: Job, end: float) -> str | None:
    """Containers and their streams disagree by fractions, and by frames that wait to be reordered. More than a second,
    a fiftieth of the video and three frames is damage."""
    assert job.probed is not None
    declared = job.probed.declared_end
    if end >= declared - max(1.0, declared / 50, 3 * job.probed.step):
        return None
    return f"only the first {end:.0f} of {declared:.0f} s can be decoded: it is damaged or cut off"
