"""Where the library lives, which model answers, how many threads: one frozen object, read once.

Each field is set by an option of the command, else by a `VSEARCH_...` variable of the environment, else by its default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vsearch.errors import InputError


def data_folder() -> Path:
    """The platform's folder for this program's data."""
    return user_data_path("vsearch", appauthor=False)


class Settings(BaseSettings):
    """VSEARCH_LIBRARY, VSEARCH_MODEL, VSEARCH_WEIGHTS, VSEARCH_DEVICE, VSEARCH_PRECISION, VSEARCH_COMPILE,
    VSEARCH_THREADS, VSEARCH_MODELS, VSEARCH_SPEECH_MODEL, VSEARCH_DOWNLOAD, VSEARCH_CACHE, VSEARCH_TOKEN."""

    model_config = SettingsConfigDict(env_prefix="VSEARCH_", env_ignore_empty=True, frozen=True, extra="ignore")

    library: Path = Field(default_factory=lambda: data_folder() / "library")
    """The folder that holds catalog.db and its snapshots."""
    model: str = "mini"
    """A model's name or the path of a model folder."""
    weights: Path | None = None
    """A file of weights for an architecture of open_clip."""
    device: str = "auto"
    """Where models run that run on torch: "auto", or a device as torch names it."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """How those multiply."""
    compile: bool = False
    """Whether those are compiled first."""
    models: Path = Field(default_factory=lambda: data_folder() / "models")
    """Where a person keeps model folders, to call them by name."""
    threads: int = Field(default=0, ge=0, le=256)
    """Threads for the model; 0 leaves the choice to the program."""
    speech_model: str = "base"
    """A Whisper model's name, or the folder that holds its weights."""
    speech_weight: float = Field(default=2.0, ge=0)
    """What spoken words weigh against pictures, which weigh 1."""
    ocr_weight: float = Field(default=2.0, ge=0)
    """What words that are written in pictures weigh, likewise."""
    download: bool = False
    """Whether weights may be fetched from a hub. Nothing else ever uses the network."""
    cache: Path = Field(default_factory=lambda: user_cache_path("vsearch", appauthor=False))
    """What can always be made again."""
    token: SecretStr = SecretStr("")
    """What clients of `vsearch serve` must say; empty: nothing."""


def read_settings(
    library: Path | None = None, model: str | None = None, *, weights: Path | None = None, device: str | None = None
) -> Settings:
    """Settings with a command's own options on top.

    Raises InputError where a variable of the environment cannot be read.
    """
    options = {"library": library, "model": model, "weights": weights, "device": device}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if model is not None and weights is None:
        given["weights"] = None  # a file of the environment belongs to the model of the environment
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = "VSEARCH_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InputError(f"{name} is set to {first['input']!r}: {first['msg']}.") from error
    # A folder is one place however it is spelt, and the working directory may change later.
    folders = {name: getattr(settings, name).expanduser().absolute() for name in ("library", "models")}
    if settings.weights is not None:
        folders["weights"] = settings.weights.expanduser().absolute()
    return settings.model_copy(update=folders)
