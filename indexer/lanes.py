"""A lane is a place for one file at a time: a process, started when it is first needed, and what it is busy with."""

from __future__ import annotations

from typing import Any

import numpy as np

from vsearch.indexer.assemble import SceneAssembler
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.plan import Job
from vsearch.indexer.process import START_SECONDS, DecodingProcess, Inbox
from vsearch.indexer.spool import Spool
from vsearch.indexer.thumbnails import checked_thumbnail
from vsearch.indexer.wire import Message
from vsearch.media import Scene
from vsearch.models.protocols import FrameSize, VideoEncoder

INBOX = 24
"""Messages in flight, mostly frames: a batch and a half."""

TICK = 0.25
"""Seconds between looks at processes that say nothing."""

SLOWEST_DISK = 20_000_000
"""Bytes a second: some backends read a whole file before they say a word."""

PROCESS_JOBS = 256
"""Files after which a process is replaced: decoders leak."""


def decode_request(job: Job, decoder: str, size: FrameSize, options: IndexOptions) -> dict[str, Any]:
    """What a process is asked to decode a probed file."""
    assert job.probed is not None  # only probed jobs are decoded
    return {
        "do": "decode",
        "path": str(job.stamp.path),
        "probed": job.probed.as_json(),
        "decoder": decoder,
        "width": size.width,
        "height": size.height,
        "fit": size.fit,
        "filter": size.filter,
        "interval": options.frame_interval,
        "threads": options.decoding_threads,
    }


class Lane:
    """Asks its process one thing at a time."""

    def __init__(self, inbox: Inbox, options: IndexOptions) -> None:
        self.inbox, self._options = inbox, options
        self._served = 0
        self._patience = 0.0
        self._silent = 0.0
        self.process: DecodingProcess | None = None
        self.job: Job | None = None

    def probe(self, job: Job) -> None:
        self._ask(job, {"do": "probe", "path": str(job.stamp.path)})

    def warm(self) -> None:
        """Start the process, and have it import what it will need, before there is work for it."""
        if self.process is None:
            self.process, self._served = DecodingProcess(self.inbox), 0
            self.process.ask({"do": "warm"})

    def hear(self, started: bool = False) -> None:
        """It has spoken: from now on only the plain limit holds, and that for opening the file if it only started."""
        self._silent, self._patience = 0.0, self._options.hang_seconds
        if started and self.job is not None:
            self._patience += self.job.stamp.size / SLOWEST_DISK

    def wait(self, seconds: float) -> str | None:
        """Add to its silence. What to say of it once that is too long."""
        self._silent += seconds
        if self.job is None or self._silent <= self._patience:
            return None
        return f"the decoder hung (no sign of life for {self._patience:.0f} s)"

    def kill(self) -> None:
        """End its process. The job stays: the caller decides what becomes of it."""
        if self.process is not None:
            self.process.kill()
        self.process = None

    def _ask(self, job: Job, request: dict[str, Any]) -> None:
        if self._served >= PROCESS_JOBS:
            self.kill()
        if self.process is not None and not self.process.alive:
            self.kill()
        if self.process is None:
            self.process, self._served = DecodingProcess(self.inbox), 0
        self._served += 1
        self.job, self._silent = job, 0.0
        self._patience = self._options.hang_seconds + START_SECONDS
        self.process.ask(request)


class DecodingLane(Lane):
    """A lane that decodes, with what has come of its video so far."""

    def __init__(self, inbox: Inbox, options: IndexOptions, encoder: VideoEncoder, spool: Spool | None = None) -> None:
        """spool: where large pictures go, if any are wanted."""
        super().__init__(inbox, options)
        self._encoder, self._spool = encoder, spool or Spool()
        self._large = False
        self._attempt = 0
        self.assembler = SceneAssembler(encoder, options.batch_size)
        self.cause: str | None = None
        """Why the first decoder that was asked could not do it."""

    def decode(self, job: Job, large: bool = False) -> None:
        """Begin a video with the first decoder. large: pictures to be read go into the spool."""
        self._attempt, self.cause, self._large = 0, None, large
        self._begin(job)

    def try_next(self, cause: str) -> bool:
        """This decoder could not: begin again with the next. False where there is none."""
        self.cause = self.cause or cause
        self._attempt += 1
        if self.job is None or self._attempt >= len(self._options.decoders):
            return False
        self._begin(self.job)
        return True

    def release(self) -> SceneAssembler:
        """The video is decoded: hand over what has come of it, so that nothing here keeps its vectors alive."""
        assembler, self.assembler = self.assembler, SceneAssembler(self._encoder, self._options.batch_size)
        if self._large and self.job is not None:
            self._spool.complete(self.job.key)
        self.job = None
        return assembler

    def take(self, message: Message) -> float | None:
        """A sample, a scene or a sign of life. Seconds of the video that are done, where that is worth telling.

        Raises KeyError, TypeError or ValueError on a message that no sound worker sends.
        """
        fields = message.fields
        if fields["is"] == "key" and self._large and self.job is not None:
            self._spool.add(self.job.key, float(fields["time"]), message.payload)
            return None
        if fields["is"] == "scene":
            self.assembler.add_scene(Scene(fields["start"], fields["end"]), checked_thumbnail(message.payload))
            return None
        if fields["is"] == "sample":
            size = self._encoder.frame_size
            pixels = None
            if message.payload:
                pixels = np.frombuffer(message.payload, np.uint8).reshape(size.height, size.width, 3)
            self.assembler.add_sample(fields["time"], pixels)
            if not self.assembler.full:
                return None
        return float(fields["time"])

    def _begin(self, job: Job) -> None:
        self.assembler = SceneAssembler(self._encoder, self._options.batch_size)
        if self._large:
            self._spool.begin(job.key)
        decoder = self._options.decoders[self._attempt]
        request = decode_request(job, decoder, self._encoder.frame_size, self._options)
        self._ask(job, {**request, "large": self._large})
