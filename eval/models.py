"""The model of a benchmark: by name or folder, with the person's own settings."""

from __future__ import annotations

from vsearch.models.base import Model


def open_model(name: str) -> Model:
    """Any model that the commands of vsearch know too; VSEARCH_WEIGHTS, VSEARCH_DEVICE and the rest hold for it.

    Raises UnknownModel, ModelDamaged, ModelError.
    """
    from vsearch.models.registry import load_from
    from vsearch.settings import read_settings

    settings = read_settings()
    return load_from(settings.model_copy(update={"model": name}))
