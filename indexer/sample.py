"""Which frames of a shot are encoded: one every `interval` seconds, on a grid that starts with the shot.

Works on a stream of frames of any length: it holds the frames that the cut detector has not judged yet, and pixels of a
shot's first moments in case the shot turns out too short for the grid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from vsearch.indexer.decode import DecodedFrame
from vsearch.indexer.scenes import LONGEST_SCENE, SHORTEST_SCENE, split_shot
from vsearch.indexer.thumbnails import Thumbnails
from vsearch.media import Pixels, Scene

EARLY_FRAMES = 16
"""Pixels kept of a shot's beginning: its middle is known to a sixteenth when it is that short."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The frame that is on screen at `time`."""

    time: float
    pixels: Pixels | None
    """[H, W, 3] RGB; None: the same frame as the sample before."""
    large: Pixels | None = None
    """The same frame, large enough to be read: see DecodedFrame.large. None: it is not one of those."""


class Sampler:
    """Push frames in time order; samples come out in time order, a scene after the samples that lie in it.

    Scenes tile [first frame, end of the last) without gaps. Inside a shot [s, e) samples are taken at
    s + (k + 0.5) * interval; a shot that is over before the first of these gives its middle.
    """

    def __init__(
        self,
        interval: float = 1.0,
        latency: int = 2,
        longest: float = LONGEST_SCENE,
        shortest: float = SHORTEST_SCENE,
        thumbnails: Thumbnails | None = None,
        large_every: int | None = None,
    ) -> None:
        """thumbnails: is shown every frame, and told where shots begin. large_every: the first sample of a shot, and
        each so many further on, come large as well; None: none do."""
        if not 0 < interval <= longest / 2:
            # parts of a long shot are longer than half of the longest scene: each holds a point of the grid
            raise ValueError(f"interval must be in (0, {longest / 2}] seconds: {interval = }")
        self._interval, self._longest, self._shortest = interval, longest, shortest
        self._thumbnails = thumbnails
        self._unjudged: deque[DecodedFrame] = deque()
        self._latency = latency
        self._large_every = large_every
        self._shown: DecodedFrame | None = None
        """The frame judged last."""
        self._sent: DecodedFrame | None = None
        self._start = 0.0
        self._points = 0
        """Grid points of the open shot that were sampled."""
        self._early: list[tuple[float, Pixels, Pixels | None]] = []
        self._stride = 1
        self._age = 0
        self._held: tuple[float, float] | None = None
        """The shot before the open one: it grows if the open one ends too soon."""

    def push(self, frame: DecodedFrame, cut: bool) -> Iterator[Sample | Scene]:
        """`cut`: the frame `latency` frames before this one begins a shot."""
        self._unjudged.append(frame)
        if len(self._unjudged) > self._latency:
            yield from self._judge(self._unjudged.popleft(), cut)

    def finish(self) -> Iterator[Sample | Scene]:
        """No more frames. The last scene ends where the last frame does."""
        while self._unjudged:
            yield from self._judge(self._unjudged.popleft(), False)
        if self._shown is None:
            return
        end = max(self._shown.end, self._shown.time + 1e-3)
        yield from self._grid(end)
        if self._held and end - self._start < self._shortest:
            self._held = (self._held[0], end)
        else:
            yield from self._close(end)
        yield from self._release()

    def _judge(self, frame: DecodedFrame, cut: bool) -> Iterator[Sample | Scene]:
        if self._shown is None:
            self._open(frame.time)
        else:
            yield from self._grid(frame.time)
            if cut:
                yield from self._cut(frame.time)
        self._shown = frame
        self._keep_early(frame)
        if self._thumbnails is not None:
            self._thumbnails.see(frame)

    def _grid(self, until: float) -> Iterator[Sample]:
        """Samples of the frame on screen for every grid point before `until`."""
        while (point := self._start + (self._points + 0.5) * self._interval) < until:
            self._points += 1
            self._early = []
            assert self._shown is not None
            same = self._sent is self._shown
            self._sent = self._shown
            wanted = self._large_every is not None and (self._points - 1) % self._large_every == 0
            yield Sample(point, None if same else self._shown.pixels(), self._shown.large() if wanted else None)

    def _cut(self, time: float) -> Iterator[Sample | Scene]:
        if time - self._start >= self._shortest:
            yield from self._close(time)
        elif self._held:
            self._held = (self._held[0], time)
        else:
            return  # a flash at the very beginning belongs to what follows it
        self._open(time)

    def _close(self, end: float) -> Iterator[Sample | Scene]:
        """The open shot is a scene of its own; the one before it is settled."""
        yield from self._release()
        if not self._points:
            middle = (self._start + end) / 2
            _, pixels, large = [early for early in self._early if early[0] <= middle][-1]
            self._sent = None
            yield Sample(middle, pixels, large)
        self._held = (self._start, end)

    def _release(self) -> Iterator[Scene]:
        if self._held:
            yield from split_shot(*self._held, self._longest)
        self._held = None

    def _open(self, time: float) -> None:
        self._start, self._points, self._early, self._stride, self._age = time, 0, [], 1, 0
        if self._thumbnails is not None:
            self._thumbnails.begin(time)

    def _keep_early(self, frame: DecodedFrame) -> None:
        if self._points:
            return
        if self._age % self._stride == 0:
            large = None if self._large_every is None else frame.large()
            self._early.append((frame.time, frame.pixels(), large))
            if len(self._early) > EARLY_FRAMES:
                self._early = self._early[::2]
                self._stride *= 2
        self._age += 1
