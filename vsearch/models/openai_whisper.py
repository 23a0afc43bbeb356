"""Whisper through openai-whisper (torch): the same windows, guards and lines as with faster-whisper.

Its weights are .pt files, which it reads with torch's weights_only: tensors, never code.
"""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import numpy as np

from vsearch.errors import ModelDamaged, ModelError
from vsearch.models.whisper_transcriber import Spoken, WhisperTranscriber


class OpenAITranscriber(WhisperTranscriber):
    """One Whisper model, run by openai-whisper. Voice is still detected by Silero, which comes with faster-whisper."""

    @property
    def recipe(self) -> str:
        return f"openai {super().recipe}"

    def _languages(self) -> Collection[str]:
        from whisper.tokenizer import LANGUAGES

        codes: Collection[str] = LANGUAGES
        return codes

    def _run(self, samples: np.ndarray[Any, np.dtype[np.float32]], language: str | None) -> Spoken:
        model = self._loaded()
        try:
            sure = 1.0
            if language is None:
                language, sure = self._detect(model, samples)
            found = model.transcribe(
                samples,
                language=language,
                task="translate" if self._translate else "transcribe",
                beam_size=5,
                temperature=(0.0, 0.4, 0.8),
                condition_on_previous_text=False,
                word_timestamps=True,
                fp16=model.device.type == "cuda",
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"Whisper failed: {' '.join(str(error).split())[:200]}") from error
        return Spoken([_segment(segment) for segment in found["segments"]], language, sure)

    def _detect(self, model: Any, samples: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[str, float]:
        if not model.is_multilingual:
            return "en", 1.0
        from whisper.audio import log_mel_spectrogram, pad_or_trim

        mel = log_mel_spectrogram(pad_or_trim(samples), model.dims.n_mels).to(model.device)
        probabilities: dict[str, float] = model.detect_language(mel)[1]
        best = max(probabilities, key=lambda code: probabilities[code])
        return best, float(probabilities[best])

    def _loaded(self) -> Any:
        if self._model is None:
            import torch
            import whisper

            if self._threads:
                torch.set_num_threads(self._threads)
            try:
                self._model = whisper.load_model(str(self._weights.folder))
            except Exception as error:  # torch raises its own unpickling errors for what is no checkpoint
                why = " ".join(str(error).split())[:200]
                raise ModelDamaged(f"the Whisper weights {self._weights.folder} cannot be loaded: {why}") from error
        return self._model


def _segment(raw: dict[str, Any]) -> SimpleNamespace:
    """A segment with faster-whisper's names."""
    words = [SimpleNamespace(**word) for word in raw.get("words", ())]
    return SimpleNamespace(**{**raw, "words": words})
