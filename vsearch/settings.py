"""Settings: the library, the model, devices, weights of channels.

The value of a field comes from an option of the command, else from the environment variable `VSEARCH_` + its name in
upper case, else from its default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vsearch.errors import InputError

SPEECH_WEIGHT, OCR_WEIGHT = 2.0, 2.0
"""Default weights in fusion, against 1 of the visual channel; chosen with eval/fusion.py (docs/experiments.md)."""


def data_folder() -> Path:
    """The data folder of vsearch on this platform."""
    return user_data_path("vsearch", appauthor=False)


class Settings(BaseSettings):
    """All settings; see `read_settings`."""

    model_config = SettingsConfigDict(env_prefix="VSEARCH_", env_ignore_empty=True, frozen=True, extra="ignore")

    library: Path = Field(default_factory=lambda: data_folder() / "library")
    """Folder of the catalog and the snapshots."""
    model: str = "mini"
    """Name of a model, or path of a model folder."""
    weights: Path | None = None
    """File of weights for an architecture of open_clip."""
    device: str = "auto"
    """Device of torch models: "auto", or a name that torch knows, such as "cuda:1"."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Number format in which torch models multiply."""
    compile: bool = False
    """Whether torch models are compiled when they are loaded."""
    models: Path = Field(default_factory=lambda: data_folder() / "models")
    """Folder of model folders, which are found there by name."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads of the model; 0 chooses automatically."""
    speech_model: str = "base"
    """Name of a Whisper model, or folder of its weights."""
    speech_weight: float = Field(default=SPEECH_WEIGHT, ge=0)
    """Weight of the speech channel in fusion; that of the visual channel is 1."""
    ocr_weight: float = Field(default=OCR_WEIGHT, ge=0)
    """Weight of the OCR channel in fusion; that of the visual channel is 1."""
    download: bool = False
    """Whether weights may be downloaded. Nothing else uses the network."""
    cache: Path = Field(default_factory=lambda: user_cache_path("vsearch", appauthor=False))
    """Folder of files that can be recreated at any time."""
    token: SecretStr = SecretStr("")
    """Token that clients of `vsearch serve` must send; empty: none."""


def read_settings(
    library: Path | None = None, model: str | None = None, *, weights: Path | None = None, device: str | None = None
) -> Settings:
    """Read the settings; the arguments take precedence over the environment.

    Raises InputError for an invalid environment variable.
    """
    options = {"library": library, "model": model, "weights": weights, "device": device}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if model is not None and weights is None:
        given["weights"] = None  # VSEARCH_WEIGHTS belongs to VSEARCH_MODEL
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "VSEARCH_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"{name} is set to {first['input']!r}: {first['msg']}.") from error
    # Absolute: the working directory may change later.
    folders = {name: getattr(settings, name).expanduser().absolute() for name in ("library", "models")}
    if settings.weights is not None:
        folders["weights"] = settings.weights.expanduser().absolute()
    return settings.model_copy(update=folders)
