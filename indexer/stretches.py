"""Frames of spans of videos, without a library: for training on the user's own clips.

Decoding runs in a child process. Frames are sampled as for the index: one a second, and the middle of shorter shots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vsearch.child_process import Child, ChildFailed
from vsearch.errors import MediaError
from vsearch.indexer.content_key import content_key
from vsearch.indexer.discover import absolute
from vsearch.indexer.messages import Decode, FrameSampled
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.probe_file import probe_file
from vsearch.media import Pixels
from vsearch.models.padding import spread
from vsearch.models.protocols import FrameSize

NOT_WORTH = 30.0
"""Seconds of video after the last span that are decoded rather than starting a new process."""
SHORTEST_STEP = 0.04
"""Seconds between frames, at least, where a span is shorter than the usual step."""

Span = tuple[float, float]
"""[start, end) in seconds; the end may be infinite."""


@dataclass(slots=True)
class _SpanFrames:
    """The frames of one span: at most twice `most`, evenly, however long the span is."""

    span: Span
    most: int
    frames: list[Pixels] = field(default_factory=list)
    nearest: tuple[float, Pixels] | None = None
    """The frame nearest to the middle, for a span that no sample falls into."""
    _seen: int = 0
    _stride: int = 1

    def add(self, time: float, pixels: Pixels) -> None:
        start, end = self.span
        if start <= time < end:
            if self._seen % self._stride == 0:
                self.frames.append(pixels)
                if len(self.frames) > 2 * self.most:
                    self.frames = self.frames[::2]
                    self._stride *= 2
            self._seen += 1
        elif not self.frames and end != float("inf"):
            distance = abs(time - (start + end) / 2)
            if distance <= end - start and (self.nearest is None or distance < self.nearest[0]):
                self.nearest = (distance, pixels)

    def chosen(self, size: FrameSize) -> Pixels:
        """[T, H, W, 3], at most `most`; none where the span lies outside of the video."""
        kept = self.frames or ([self.nearest[1]] if self.nearest else [])
        if not kept:
            return np.empty((0, size.height, size.width, 3), np.uint8)
        return np.stack([kept[at] for at in spread(len(kept), min(len(kept), self.most))])


class ClipReader:
    """Reads one file at a time. A context manager: leaving it ends the child process."""

    def __init__(self, options: IndexOptions | None = None) -> None:
        self._options = options or IndexOptions()
        self._child = Child("vsearch.indexer.worker", self._options.hang_seconds)

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._child.kill()

    def key(self, file: Path) -> str:
        """The content key. Raises MediaError."""
        try:
            return content_key(file, file.stat().st_size)
        except OSError as error:
            raise ChildFailed(error.strerror or str(error), "system") from error

    def frames(self, file: Path, spans: Sequence[Span], size: FrameSize, most: int) -> list[Pixels]:
        """For each span, at most `most` frames [T, H, W, 3] in time order, evenly; T is 0 where the video is shorter.

        Raises MediaError with the first decoder's cause where no decoder can read the file.
        """
        path = absolute(file)
        probed = probe_file(self._child, path)
        shortest = min(end - start for start, end in spans)
        step = min(self._options.frame_interval, max(shortest / 2, SHORTEST_STEP))
        first_error: MediaError | None = None
        for decoder in self._options.decoders:
            request = Decode(path, probed, decoder, size, step, self._options.decoding_threads)
            try:
                return self._decode(request, [_SpanFrames(span, most) for span in spans])
            except ChildFailed as error:
                first_error = first_error or error
        assert first_error is not None
        raise first_error

    def _decode(self, request: Decode, spans: Sequence[_SpanFrames]) -> list[Pixels]:
        """Raises ChildFailed."""
        size, duration = request.frame_size, request.probed.info.duration
        last = max(span.span[1] for span in spans)
        pixels: Pixels | None = None
        replies = self._child.replies(request)
        for reply in replies:
            if not isinstance(reply, FrameSampled):
                continue
            fresh = reply.pixels(size)
            pixels = pixels if fresh is None else fresh
            if pixels is not None:
                for span in spans:
                    span.add(reply.time, pixels)
            if reply.time > last and duration - reply.time > NOT_WORTH:
                break
        replies.close()
        return [span.chosen(size) for span in spans]
