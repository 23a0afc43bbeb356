"""The model of a benchmark: by name or folder, with the person's own settings."""

from __future__ import annotations

from vsearch.models.base import Model


def open_model(name: str) -> Model:
    """Any model that the commands of vsearch know too. Raises UnknownModel, ModelDamaged."""
    from vsearch.models.registry import load_model
    from vsearch.settings import read_settings

    settings = read_settings()
    return load_model(name, models=settings.models, threads=settings.threads)
