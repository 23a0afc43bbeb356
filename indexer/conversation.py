"""One file after another, asked of one decoding process, by a caller that has nothing else to do meanwhile.

The pipeline has many lanes and listens to all of them at once; whoever wants one clip, or stretches of one, asks here.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vsearch.errors import MediaError
from vsearch.indexer.lanes import INBOX, TICK, Lane
from vsearch.indexer.plan import Job
from vsearch.indexer.probe import Probed
from vsearch.indexer.process import Inbox
from vsearch.indexer.wire import Message
from vsearch.media import FileStamp

NONSENSE = "the decoder sent nonsense"


class FileUnreadable(MediaError):
    """The file cannot be read, whatever decodes it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason.lower()
        super().__init__(f"it cannot be read: {self.reason}")


class DecoderFailed(MediaError):
    """This decoder could not do it, died, hung or sent nonsense: the next one may do better."""


def new_inbox() -> Inbox:
    """For a lane that is spoken with here: nobody else's process may speak into it."""
    return queue.Queue(INBOX)


def probe_file(lane: Lane, path: Path) -> Job:
    """A file (absolute) that is ready to be decoded. Raises FileUnreadable, or MediaError where it is no video."""
    try:
        status = path.stat()
    except OSError as error:
        raise FileUnreadable(error.strerror or str(error)) from error
    job = Job(FileStamp(path, status.st_size, status.st_mtime_ns), "", reported=True, replaces=False)
    lane.probe(job)
    fields = next(answers(lane)).fields
    if fields.get("is") == "unreadable":
        raise FileUnreadable(str(fields.get("cause", "unknown error")))
    if fields.get("is") != "probed":
        raise MediaError(str(fields.get("cause", NONSENSE)))
    try:
        return replace(job, probed=Probed.from_json(fields["probed"]))
    except (KeyError, TypeError, ValueError) as error:
        raise MediaError(NONSENSE) from error


def decoded(lane: Lane) -> Iterator[Message]:
    """All that comes of the video whose decoding was begun, until it is done. Raises DecoderFailed."""
    for message in answers(lane):
        kind = message.fields.get("is")
        if kind == "done":
            return
        if kind in ("failed", "unreadable"):
            raise DecoderFailed(str(message.fields.get("cause", NONSENSE)))
        yield message


def answers(lane: Lane) -> Iterator[Message]:
    """What the process says, endlessly. DecoderFailed where it dies or hangs; then it is killed."""
    while True:
        begun = time.monotonic()
        try:
            sender, message = lane.inbox.get(timeout=TICK)
        except queue.Empty:
            # a computer that slept is not a decoder that hangs
            complaint = lane.wait(min(time.monotonic() - begun, 2 * TICK))
            if complaint is not None:
                lane.kill()
                raise DecoderFailed(complaint) from None
            continue
        if sender is not lane.process:
            continue  # the last words of a process that was killed
        if message is None:
            cause = sender.death()
            lane.kill()
            raise DecoderFailed(cause)
        started = message.fields.get("is") == "started"
        lane.hear(started)
        if not started:
            yield message
