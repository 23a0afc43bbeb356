"""Where somebody speaks: Silero's voice detector, and how its probabilities become utterances to be transcribed.

Silence, noise and most music never reach the speech model: that saves its time, and it cannot invent words for them.
The weights come with faster-whisper; ONNX Runtime runs them 512 samples (32 ms) at a time, and the state is kept
between blocks, so that an hour of sound needs no more memory than a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.models.protocols import SAMPLE_RATE, AudioBlock

STEP = 512
"""Samples of one probability."""
_CONTEXT = 64

Samples = NDArray[np.float32]
Detector = Callable[[Samples], NDArray[np.float32]]
"""[N * STEP] samples that follow those of the last call -> [N] probabilities that somebody speaks."""


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """How probabilities become utterances; times in seconds."""

    begin: float = 0.5
    """An utterance begins where the probability reaches this."""
    end: float = 0.35
    """And ends where it stays below this."""
    silence: float = 0.6
    """For so long."""
    shortest: float = 0.2
    """Less is a click or a cough."""
    longest: float = 28.0
    """Then it is cut at its least voiced moment: the speech model hears 30 s at once."""
    padding: float = 0.25
    """Kept before and after."""


class SileroDetector:
    """The detector for one stream of sound."""

    def __init__(self) -> None:
        from faster_whisper.vad import get_vad_model

        self._session = get_vad_model().session
        self._state = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)
        self._before: Samples = np.zeros(_CONTEXT, np.float32)

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        rows = samples.reshape(-1, STEP)  # [N, 512]
        tails = np.concatenate([self._before[None], rows[:-1, -_CONTEXT:]])  # [N, 64]
        self._before = rows[-1, -_CONTEXT:].copy()
        inputs = {"input": np.concatenate([tails, rows], axis=1), "h": self._state, "c": self._cell}
        voiced, self._state, self._cell = self._session.run(None, inputs)
        return np.asarray(voiced, np.float32).reshape(-1)


def utterances(
    blocks: Iterable[AudioBlock], detector: Callable[[], Detector], options: VoiceOptions | None = None
) -> Iterator[AudioBlock]:
    """The stretches of sound in which somebody speaks, at most `longest` each, in time order.

    Blocks that follow one another without a gap are one stream; after a gap a new detector listens.
    """
    chosen = options or VoiceOptions()
    cutter: _Cutter | None = None
    for block in blocks:
        if cutter is not None and abs(block.start - cutter.now) > 0.05:
            yield from cutter.finish()
            cutter = None
        if cutter is None:
            cutter = _Cutter(block.start, detector(), chosen)
        yield from cutter.push(block.samples)
    if cutter is not None:
        yield from cutter.finish()


class _Cutter:
    """One stream without gaps. Positions are in steps from its start; sound is held as far back as it may count."""

    def __init__(self, start: float, detector: Detector, options: VoiceOptions) -> None:
        self._start, self._detector, self._options = start, detector, options
        self._rest: Samples = np.zeros(0, np.float32)  # less than a step
        self._sound: Samples = np.zeros(0, np.float32)  # from step _base on
        self._voice: list[float] = []  # a probability each
        self._base = 0
        self._begun: int | None = None
        self._quiet = 0  # steps since somebody spoke
        self._free = 0  # where the utterance before ended
        self.now = start
        """Seconds: the end of what was pushed."""

    def push(self, samples: Samples) -> Iterator[AudioBlock]:
        self.now += len(samples) / SAMPLE_RATE
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // STEP * STEP
        self._rest = samples[whole:]
        if whole:
            yield from self._take(samples[:whole])

    def finish(self) -> Iterator[AudioBlock]:
        """The sound has ended."""
        if len(self._rest):
            yield from self._take(np.pad(self._rest, (0, STEP - len(self._rest))))
        if self._begun is not None:
            yield from self._cut(self._base + len(self._voice) - self._quiet)

    def _take(self, samples: Samples) -> Iterator[AudioBlock]:
        first = self._base + len(self._voice)
        voiced = self._detector(samples)
        self._sound = np.concatenate([self._sound, samples])
        self._voice += voiced.tolist()
        options = self._options
        silence, longest = _steps(options.silence), _steps(options.longest - 2 * options.padding)
        for at, probability in enumerate(voiced.tolist(), start=first):
            if self._begun is None:
                if probability >= options.begin:
                    self._begun, self._quiet = at, 0
                continue
            self._quiet = self._quiet + 1 if probability < options.end else 0
            if self._quiet >= silence:
                yield from self._cut(at + 1 - self._quiet)
                self._begun = None
            elif at + 1 - self._begun >= longest:
                half = self._begun + longest // 2
                least = half + int(np.argmin(self._voice[half - self._base : at + 1 - self._base]))
                yield from self._cut(least)
                self._begun = least
        self._forget()

    def _cut(self, end: int) -> Iterator[AudioBlock]:
        """Hand out from _begun to `end`, with as much around it as is there and was not handed out before."""
        assert self._begun is not None
        if end - self._begun < _steps(self._options.shortest):
            return
        padding = _steps(self._options.padding)
        first = max(self._begun - padding, self._free, self._base)
        last = min(end + padding, self._base + len(self._voice))
        self._free = last
        sound = self._sound[(first - self._base) * STEP : (last - self._base) * STEP]
        yield AudioBlock(self._start + first * STEP / SAMPLE_RATE, sound.copy())

    def _forget(self) -> None:
        """Let go of what no utterance can need any more."""
        end = self._base + len(self._voice)
        keep = (end if self._begun is None else self._begun) - _steps(self._options.padding)
        drop = max(0, keep - self._base)
        self._sound, self._voice = self._sound[drop * STEP :].copy(), self._voice[drop:]
        self._base += drop


def _steps(seconds: float) -> int:
    return max(1, round(seconds * SAMPLE_RATE / STEP))
