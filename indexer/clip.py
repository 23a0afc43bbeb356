"""A clip used as the example of a query: decoded in a child process, as videos are, to one embedding a model."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from vsearch.child_process import Child, ChildFailed
from vsearch.errors import MediaError, PathError
from vsearch.indexer.assemble import SceneAssembler
from vsearch.indexer.discover import absolute
from vsearch.indexer.messages import Decode
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.probe import Probed
from vsearch.indexer.probe_file import probe_file
from vsearch.media import Vectors
from vsearch.models.protocols import VideoEncoder
from vsearch.search.example import ClipExample

LONGEST_CLIP = 120.0
"""Seconds: one embedding describes little of a longer clip."""


class _TooLong(MediaError):
    """The clip is too long: another decoder would not help."""


def encode_clip(path: Path, encoders: Sequence[VideoEncoder], options: IndexOptions | None = None) -> ClipExample:
    """A file's frames, sampled as those of a video and aggregated as those of one scene, by each encoder.

    Raises PathError where the file cannot be read, MediaError where it is no video or longer than LONGEST_CLIP.
    """
    path, options = absolute(path), options or IndexOptions()
    with suppress(OSError):  # probing reports a file that cannot be read
        if not stat.S_ISREG(path.stat().st_mode):
            raise PathError(f"{path} is not a file: give a clip, such as one that a phone takes.")
    try:
        with Child("vsearch.indexer.worker", options.hang_seconds) as child:
            probed = probe_file(child, path)
            _check_length(path, probed.info.duration)
            return ClipExample({encoder.space: _encode(child, path, probed, encoder, options) for encoder in encoders})
    except _TooLong:
        raise
    except ChildFailed as error:
        if error.kind == "system":
            raise PathError(f"{path} cannot be read: {error.cause.lower()}.") from error
        raise MediaError(f"{path} cannot be used as a clip: {error}.") from error
    except MediaError as error:
        raise MediaError(f"{path} cannot be used as a clip: {error}.") from error


def _encode(child: Child, path: Path, probed: Probed, encoder: VideoEncoder, options: IndexOptions) -> Vectors:
    """[D], unit length. Raises MediaError with the first decoder's cause where none can read the file."""
    first_error: MediaError | None = None
    for decoder in options.decoders:
        assembler = SceneAssembler(encoder, options.batch_size)
        threads = options.decoding_threads
        request = Decode(path, probed, decoder, encoder.frame_size, options.frame_interval, threads)
        try:
            for reply in child.replies(request):
                assembler.add(reply)
                _check_length(path, assembler.reached)
                if assembler.full:
                    assembler.encode()
        except ChildFailed as error:
            first_error = first_error or error
            continue
        assembler.encode()
        if not assembler.scenes:
            raise MediaError("no frame can be decoded")
        frames = np.concatenate([scene.frame_vectors for scene in assembler.scenes]).astype(np.float32)
        embedding: Vectors = encoder.aggregate([frames])[0]
        return embedding
    assert first_error is not None
    raise first_error


def _check_length(path: Path, seconds: float) -> None:
    if seconds > LONGEST_CLIP:
        raise _TooLong(
            f"{path} lasts longer than {LONGEST_CLIP:.0f} s, too long for a query: cut out the part that you mean."
        )
