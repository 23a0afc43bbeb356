"""A clip to ask with: decoded in a process that may crash or hang, as videos are, and encoded to one vector a model."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from indexer.discover import absolute
from indexer.lanes import DecodingLane
from indexer.options import IndexOptions
from indexer.plan import Job
from indexer.probe import Probed
from indexer.process import Inbox
from indexer.wire import Message
from vsearch.errors import MediaError, PathError
from vsearch.media import FileStamp, Vectors
from vsearch.models.base import VideoEncoder
from vsearch.search.example import ClipExample

LONGEST_CLIP = 120.0
"""Seconds: one vector says little of more."""

_TICK = 0.25
_INBOX = 24


def encode_clip(path: Path, encoders: Sequence[VideoEncoder], options: IndexOptions | None = None) -> ClipExample:
    """A file's frames, one a second and at least one a shot, aggregated as those of one scene, by each encoder.

    Raises PathError where the file cannot be read, MediaError where it is no video or longer than LONGEST_CLIP.
    """
    path = absolute(path)
    options = options or IndexOptions()
    return ClipExample({encoder.space: _encode(path, encoder, options) for encoder in encoders})


def _encode(path: Path, encoder: VideoEncoder, options: IndexOptions) -> Vectors:
    """[D], unit length."""
    inbox: Inbox = queue.Queue(_INBOX)
    lane = DecodingLane(inbox, options, encoder)
    try:
        job = _probe(path, lane, inbox)
        lane.decode(job)
        while (cause := _decode(path, lane, inbox)) is not None:
            if not lane.try_next(cause):
                raise MediaError(f"{path} cannot be used as a clip: {lane.cause}.")
        assembler = lane.release()
    finally:
        lane.kill()
    assembler.encode()
    if not assembler.scenes:
        raise MediaError(f"{path} cannot be used as a clip: no frame can be decoded.")
    frames = np.concatenate([scene.frame_vectors for scene in assembler.scenes]).astype(np.float32)
    vector: Vectors = encoder.aggregate([frames])[0]
    return vector


def _probe(path: Path, lane: DecodingLane, inbox: Inbox) -> Job:
    try:
        status = path.stat()
        if not path.is_file():
            raise PathError(f"{path} is not a file: give a clip, such as one that a phone takes.")
    except OSError as error:
        raise PathError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    job = Job(FileStamp(path, status.st_size, status.st_mtime_ns), "", reported=True, replaces=False)
    lane.probe(job)
    for message in _messages(lane, inbox):
        if isinstance(message, str):
            raise MediaError(f"{path} cannot be used as a clip: {message}.")
        fields = message.fields
        if fields["is"] == "unreadable":
            raise PathError(f"{path} cannot be read: {str(fields['cause']).lower()}.")
        if fields["is"] != "probed":
            raise MediaError(f"{path} cannot be used as a clip: {fields.get('cause', 'the decoder sent nonsense')}.")
        probed = Probed.from_json(fields["probed"])
        _check_length(path, probed.info.duration)
        return Job(job.stamp, "", reported=True, replaces=False, probed=probed)
    raise AssertionError("unreachable: a process that ends says so")


def _decode(path: Path, lane: DecodingLane, inbox: Inbox) -> str | None:
    """Take all that this decoder sends. Why it could not do it; None: it is done."""
    for message in _messages(lane, inbox):
        if isinstance(message, str):
            return message
        if message.fields["is"] == "done":
            return None
        if message.fields["is"] in ("failed", "unreadable"):
            return str(message.fields["cause"])
        try:
            reached = lane.take(message)
        except (KeyError, TypeError, ValueError):
            lane.kill()
            return "the decoder sent nonsense"
        _check_length(path, reached or 0.0)
        if lane.assembler.full:
            lane.assembler.encode()
    raise AssertionError("unreachable: a process that ends says so")


def _messages(lane: DecodingLane, inbox: Inbox) -> Iterator[Message | str]:
    """What the process says. A text, always the last: it is gone, and why."""
    while True:
        try:
            sender, message = inbox.get(timeout=_TICK)
        except queue.Empty:
            complaint = lane.wait(_TICK)
            if complaint is None:
                continue
            lane.kill()
            yield complaint
            return
        if sender is not lane.process:
            continue  # the last words of a process that was killed
        if message is None:
            death = sender.death()
            lane.kill()
            yield death
            return
        started = message.fields.get("is") == "started"
        lane.hear(started)
        if not started:
            yield message


def _check_length(path: Path, seconds: float) -> None:
    if seconds > LONGEST_CLIP:
        raise MediaError(
            f"{path} lasts longer than {LONGEST_CLIP:.0f} s, too long for a query: cut out the part that you mean."
        )
