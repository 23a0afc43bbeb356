"""A clip to ask with: decoded in a process that may crash or hang, as videos are, and encoded to one vector a model."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from vsearch.errors import MediaError, PathError
from vsearch.indexer.conversation import NONSENSE, DecoderFailed, FileUnreadable, decoded, new_inbox, probe_file
from vsearch.indexer.discover import absolute
from vsearch.indexer.lanes import DecodingLane
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.plan import Job
from vsearch.media import Vectors
from vsearch.models.protocols import VideoEncoder
from vsearch.search.example import ClipExample

LONGEST_CLIP = 120.0
"""Seconds: one vector says little of more."""


def encode_clip(path: Path, encoders: Sequence[VideoEncoder], options: IndexOptions | None = None) -> ClipExample:
    """A file's frames, one a second and at least one a shot, aggregated as those of one scene, by each encoder.

    Raises PathError where the file cannot be read, MediaError where it is no video or longer than LONGEST_CLIP.
    """
    path = absolute(path)
    options = options or IndexOptions()
    return ClipExample({encoder.space: _encode(path, encoder, options) for encoder in encoders})


def _encode(path: Path, encoder: VideoEncoder, options: IndexOptions) -> Vectors:
    """[D], unit length."""
    lane = DecodingLane(new_inbox(), options, encoder)
    try:
        lane.decode(_probe(path, lane))
        while (cause := _decode(path, lane)) is not None:
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


def _probe(path: Path, lane: DecodingLane) -> Job:
    with suppress(OSError):  # what cannot be looked at is told below
        if not stat.S_ISREG(path.stat().st_mode):
            raise PathError(f"{path} is not a file: give a clip, such as one that a phone takes.")
    try:
        job = probe_file(lane, path)
    except FileUnreadable as error:
        raise PathError(f"{path} cannot be read: {error.reason}.") from error
    except MediaError as error:
        raise MediaError(f"{path} cannot be used as a clip: {error}.") from error
    assert job.probed is not None
    _check_length(path, job.probed.info.duration)
    return job


def _decode(path: Path, lane: DecodingLane) -> str | None:
    """Take all that this decoder sends. Why it could not do it; None: it is done."""
    messages = decoded(lane)
    while True:
        try:
            reached = lane.take(next(messages))
        except StopIteration:
            return None
        except DecoderFailed as error:
            return str(error)
        except (KeyError, TypeError, ValueError):
            lane.kill()
            return NONSENSE
        _check_length(path, reached or 0.0)
        if lane.assembler.full:
            lane.assembler.encode()


def _check_length(path: Path, seconds: float) -> None:
    if seconds > LONGEST_CLIP:
        raise MediaError(
            f"{path} lasts longer than {LONGEST_CLIP:.0f} s, too long for a query: cut out the part that you mean."
        )
