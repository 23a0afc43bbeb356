"""The model of a benchmark: by name or folder, with the user's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vsearch.models.protocols import Model

if TYPE_CHECKING:
    from vsearch.models.whisper_transcriber import WhisperTranscriber


def open_model(name: str) -> Model:
    """Any model that the commands of vsearch know too; VSEARCH_WEIGHTS, VSEARCH_DEVICE and the rest hold for it.

    Raises UnknownModel, ModelDamaged, ModelError.
    """
    from vsearch.models.registry import load_model
    from vsearch.settings import read_settings

    return load_model(name, read_settings())


def open_transcriber(name: str | None) -> WhisperTranscriber:
    """A Whisper model by name or folder, None as the settings say. Raises what load_transcriber does."""
    from vsearch.models.whisper_transcriber import load_transcriber
    from vsearch.settings import read_settings

    settings = read_settings()
    return load_transcriber(
        name or settings.speech_model, cache=settings.cache, download=settings.download, threads=settings.threads
    )
