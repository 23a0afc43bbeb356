"""Frames of stretches of videos, without a library: what training on a person's own clips looks at.

Decoding runs in a process that may crash or hang, as in the pipeline; frames come as the index samples them, one a
second and the middle of shots that are shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from vsearch.errors import MediaError
from vsearch.indexer.content_key import content_key
from vsearch.indexer.conversation import NONSENSE, FileUnreadable, decoded, new_inbox, probe_file
from vsearch.indexer.discover import absolute
from vsearch.indexer.lanes import Lane, decode_request
from vsearch.indexer.options import IndexOptions
from vsearch.indexer.plan import Job
from vsearch.media import Pixels
from vsearch.models.padding import spread
from vsearch.models.protocols import FrameSize

NOT_WORTH = 30.0
"""Seconds of video after the last stretch that are decoded rather than starting a new process."""
SHORTEST_STEP = 0.04
"""Seconds between frames, at least, where a stretch is shorter than the usual step."""

Span = tuple[float, float]
"""[start, end) in seconds; the end may be infinite."""


@dataclass(slots=True)
class _Stretch:
    """What is kept of one span: at most twice `most` frames, evenly, however long it is."""

    span: Span
    most: int
    frames: list[Pixels] = field(default_factory=list)
    nearest: tuple[float, Pixels] | None = None
    """The frame nearest to the middle, for a span that no sample falls into."""
    _seen: int = 0
    _stride: int = 1

    def see(self, when: float, pixels: Pixels) -> None:
        start, end = self.span
        if start <= when < end:
            if self._seen % self._stride == 0:
                self.frames.append(pixels)
                if len(self.frames) > 2 * self.most:
                    self.frames = self.frames[::2]
                    self._stride *= 2
            self._seen += 1
        elif not self.frames and end != float("inf"):
            away = abs(when - (start + end) / 2)
            if away <= end - start and (self.nearest is None or away < self.nearest[0]):
                self.nearest = (away, pixels)

    def chosen(self, size: FrameSize) -> Pixels:
        """[T, H, W, 3], at most `most`; none where the span lies outside of the video."""
        kept = self.frames or ([self.nearest[1]] if self.nearest else [])
        if not kept:
            return np.empty((0, size.height, size.width, 3), np.uint8)
        return np.stack([kept[at] for at in spread(len(kept), min(len(kept), self.most))])


class ClipReader:
    """One file at a time. A context manager: leaving it ends the process."""

    def __init__(self, options: IndexOptions | None = None) -> None:
        self._options = options or IndexOptions()
        self._lane = _ClipLane(new_inbox(), self._options)

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lane.kill()

    def key(self, file: Path) -> str:
        """The same for copies of one video. Raises MediaError."""
        try:
            return content_key(file, file.stat().st_size)
        except OSError as error:
            raise FileUnreadable(error.strerror or str(error)) from error

    def frames(self, file: Path, spans: Sequence[Span], size: FrameSize, most: int) -> list[Pixels]:
        """For each span, at most `most` frames [T, H, W, 3] in time order, evenly; T is 0 where the video is shorter.

        Raises MediaError with the first decoder's cause where no decoder can read the file.
        """
        job = probe_file(self._lane, absolute(file))
        shortest = min(end - start for start, end in spans)
        step = min(self._options.frame_interval, max(shortest / 2, SHORTEST_STEP))
        first: MediaError | None = None
        for decoder in self._options.decoders:
            try:
                return self._decode(job, decoder, [_Stretch(span, most) for span in spans], size, step)
            except MediaError as error:
                first = first or error
            except (KeyError, TypeError, ValueError):
                self._lane.kill()
                first = first or MediaError(NONSENSE)
        assert first is not None
        raise first

    def _decode(self, job: Job, decoder: str, stretches: list[_Stretch], size: FrameSize, step: float) -> list[Pixels]:
        """Raises DecoderFailed; KeyError, TypeError or ValueError on a message that no sound worker sends."""
        assert job.probed is not None
        self._lane.decode(job, decoder, size, step)
        last = max(stretch.span[1] for stretch in stretches)
        pixels: Pixels | None = None
        for message in decoded(self._lane):
            if message.fields["is"] != "sample":
                continue
            if message.payload:
                pixels = np.frombuffer(message.payload, np.uint8).reshape(size.height, size.width, 3)
            when = float(message.fields["time"])
            if pixels is not None:
                for stretch in stretches:
                    stretch.see(when, pixels)
            if when > last and job.probed.info.duration - when > NOT_WORTH:
                self._lane.kill()
                break
        return [stretch.chosen(size) for stretch in stretches]


class _ClipLane(Lane):
    def decode(self, job: Job, decoder: str, size: FrameSize, step: float) -> None:
        """Begin a probed file, with a sample every `step` seconds."""
        self._ask(job, decode_request(job, decoder, size, replace(self._options, frame_interval=step)))
