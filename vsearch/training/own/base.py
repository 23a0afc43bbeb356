"""What training needs of the model that it starts from, and how a model folder that stays frozen gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.errors import InputError
from vsearch.media import Pixels, Vectors
from vsearch.models.graphs import BESIDE
from vsearch.models.model_folder import FolderModel
from vsearch.models.protocols import FrameSize, Model
from vsearch.training.own.folder import Card, write_tuned
from vsearch.training.own.gather import Clip
from vsearch.training.own.heads import Adapter, TemporalHead
from vsearch.training.own.scores import BothWays, both_ways, matches, sentences

ADAPTER, TEMPORAL, LORA, COOP = ("adapter", "temporal", "lora", "coop")
TOWERS = (LORA, COOP)
"""Those that learn inside an open_clip model; the others take a model folder."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is trained, and how large it is."""

    name: str = ADAPTER
    temporal: str = "tdb"
    """The temporal encoder: one of heads.TEMPORAL."""
    rank: int = 8
    """Of the matrices of an adapter and of LoRA."""
    vectors: int = 4
    """Of a prompt."""


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A model that training starts from."""

    name: str
    fingerprint: str
    """Of the model and of what the cache keeps of its frames."""
    size: FrameSize
    encode: Callable[[Pixels], NDArray[Any]]
    """Pixels [T, H, W, 3] to what the learner reads of a clip."""
    learner: Callable[[Sequence[str]], Any]
    """Every sentence that it will meet -> what learns (fit.Learner). It may take the model over: called last."""
    measure: Callable[[Sequence[Clip]], BothWays]
    """How the model ranks these clips before any training, and before `learner` is called."""
    write: Callable[[Path, Any, Card], None]
    """The model folder with what was learnt."""
    notes: tuple[str, ...] = field(default=())
    """What a person should know before."""


def measure(model: Model, clips: Sequence[Clip], frames: Sequence[Vectors]) -> BothWays:
    """How a model ranks clips, given its own vectors [T, F] of their frames."""
    texts = sentences(clips)
    read, seen = model.encode_texts(texts), model.aggregate(frames)
    return both_ways(read, seen, matches(texts, clips))


def frozen_base(model: Model, method: Method) -> Base:
    """A model folder under a temporal encoder or an adapter. Raises InputError for a model that is no folder."""
    if not isinstance(model, FolderModel):
        raise InputError(f"{model.space.model} is no model folder: --base takes mini, or the path of one.")
    config = model.config
    if method.name in TOWERS:
        raise InputError(
            f"--method {method.name} learns in the towers of an open_clip model, such as --base ViT-B-32/openai; "
            f"those of {config.name} are frozen graphs: --method {ADAPTER} or {TEMPORAL}."
        )
    beside = {f"{config.image_file}{BESIDE}", f"{config.text_file}{BESIDE}"}
    if method.name == ADAPTER and beside & set(config.files):
        raise InputError(f"The graphs of {config.name} are too large to take an adapter: --method {TEMPORAL}.")
    pooled = method.name == ADAPTER and config.temporal is not None
    notes = []
    if pooled:
        notes.append(f"{config.name} has a temporal encoder: frames stay as they are, only sentences learn")
    elif method.name == ADAPTER and config.itm is not None:
        notes.append(f"the matching head of {config.name} knows other frames: the new model has none")
    if method.name == TEMPORAL and config.temporal is not None:
        notes.append(f"the temporal encoder of {config.name} is replaced by one that starts as the mean of frames")

    def encode(pixels: Pixels) -> Vectors:
        frames = model.encode_frames(pixels)
        return model.aggregate([frames]) if pooled else frames

    def learner(texts: Sequence[str]) -> TemporalHead | Adapter:
        known = dict(zip(texts, model.encode_texts(texts), strict=True))
        if method.name == TEMPORAL:
            if config.dim != config.frame_dim:
                raise InputError(f"The vectors of {config.name} have two parts: no temporal head takes their place.")
            return TemporalHead(method.temporal, known)
        return Adapter(known, pooled=pooled, rank=method.rank)

    def before(clips: Sequence[Clip]) -> BothWays:
        kept = [np.asarray(clip.load(), np.float32) for clip in clips]
        if not pooled:
            return measure(model, clips, kept)
        texts = sentences(clips)
        return both_ways(model.encode_texts(texts), np.concatenate(kept), matches(texts, clips))

    return Base(
        name=config.name,
        fingerprint=f"{config.fingerprint}{'-pooled' if pooled else ''}",
        size=config.frame_size,
        encode=encode,
        learner=learner,
        measure=before,
        write=lambda out, learnt, card: write_tuned(out, model.folder, config, learnt, card),
        notes=tuple(notes),
    )
