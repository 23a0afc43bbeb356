"""Detect utterances: Silero's voice detector, and the spans that its probabilities give.

Silence, noise and most music are not passed to the speech model, which saves time and prevents invented text. The
weights come with faster-whisper; ONNX Runtime processes 512 samples (32 ms) at a time and keeps the state between
blocks, so memory does not grow with the length of the audio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsearch.models.protocols import SAMPLE_RATE, AudioBlock

STEP = 512
"""Samples per probability."""
_CONTEXT = 64

Samples = NDArray[np.float32]
Detector = Callable[[Samples], NDArray[np.float32]]
"""Samples float32 [N * STEP] that follow those of the last call -> probabilities of speech float32 [N]."""


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """Parameters of utterances; times in seconds."""

    begin: float = 0.5
    """Probability at which an utterance begins."""
    end: float = 0.35
    """An utterance ends where the probability stays below this for `silence` seconds."""
    silence: float = 0.6
    """Seconds below `end` that end an utterance."""
    shortest: float = 0.2
    """Shorter sounds, such as clicks, are dropped."""
    longest: float = 28.0
    """A longer utterance is split where the probability is lowest: the speech model processes 30 s at once."""
    padding: float = 0.25
    """Seconds of audio added before and after an utterance."""


class SileroDetector:
    """The detector for one audio stream."""

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
    """Yield the spans of audio with speech, each at most `longest` seconds, in time order.

    Blocks without a gap between them are one stream; a gap starts a new detector.
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
    """Splits one stream without gaps. Positions are in steps from its start; audio is kept while it is needed."""

    def __init__(self, start: float, detector: Detector, options: VoiceOptions) -> None:
        self._start, self._detector, self._options = start, detector, options
        self._rest: Samples = np.zeros(0, np.float32)  # audio of less than a step
        self._sound: Samples = np.zeros(0, np.float32)  # audio from step _base
        self._voice: list[float] = []  # a probability per step
        self._base = 0
        self._begun: int | None = None
        self._quiet = 0  # steps since the last speech
        self._free = 0  # end of the previous utterance
        self.now = start
        """End of the audio received so far, seconds."""

    def push(self, samples: Samples) -> Iterator[AudioBlock]:
        self.now += len(samples) / SAMPLE_RATE
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // STEP * STEP
        self._rest = samples[whole:]
        if whole:
            yield from self._take(samples[:whole])

    def finish(self) -> Iterator[AudioBlock]:
        """Yield the last utterance at the end of the stream."""
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
        """Yield the audio from _begun to `end` with padding that overlaps no other utterance."""
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
        """Drop audio that no later utterance needs."""
        end = self._base + len(self._voice)
        keep = (end if self._begun is None else self._begun) - _steps(self._options.padding)
        drop = max(0, keep - self._base)
        self._sound, self._voice = self._sound[drop * STEP :].copy(), self._voice[drop:]
        self._base += drop


def _steps(seconds: float) -> int:
    return max(1, round(seconds * SAMPLE_RATE / STEP))
