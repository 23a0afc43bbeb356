"""The model that training starts from: what training needs of it, and how a model folder provides it."""

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
from vsearch.training.finetune.adapters import Adapter, TemporalHead
from vsearch.training.finetune.clip_frames import CaptionedClip
from vsearch.training.finetune.clip_ranks import ClipRanks, distinct_captions, matches, rank_both_ways
from vsearch.training.finetune.tuned_folder import Record, write_tuned

ADAPTER, TEMPORAL, LORA, COOP = ("adapter", "temporal", "lora", "coop")
TOWERS = (LORA, COOP)
"""Methods that train inside an open_clip model; the others need a model folder."""


@dataclass(frozen=True, slots=True)
class Method:
    """What is trained, and its size."""

    name: str = ADAPTER
    temporal: str = "tdb"
    """The temporal encoder: one of adapters.TEMPORAL."""
    rank: int = 8
    """Rank of the matrices of an adapter and of LoRA."""
    vectors: int = 4
    """Number of prompt vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class StartingModel:
    """A model that training starts from, under one method."""

    name: str
    fingerprint: str
    """Identifies the model and the contents of its frame cache."""
    size: FrameSize
    encode: Callable[[Pixels], NDArray[Any]]
    """Pixels [T, H, W, 3] -> the cached frames of a clip [T, ...]."""
    learner: Callable[[Sequence[str]], Any]
    """All sentences of the run -> the learner, an nn.Module with `log_scale` and two methods that return unit vectors:
    `clip_vectors` of cached frames ([T_b, ...] of B clips -> [B, D]), and `text_vectors` of Q sentences (-> [Q, D]).

    It may change the model, so it is called last."""
    measure: Callable[[Sequence[CaptionedClip]], ClipRanks]
    """Ranks by the original model; to be called before `learner`."""
    write: Callable[[Path, Any, Record], None]
    """Write the tuned model folder: path, learner, record of the training for config.json."""
    notes: tuple[str, ...] = field(default=())
    """Remarks for the user."""


def measure(model: Model, clips: Sequence[CaptionedClip], frames: Sequence[Vectors]) -> ClipRanks:
    """Ranks by a model, given its frame embeddings [T, F] of each clip."""
    texts = distinct_captions(clips)
    return rank_both_ways(model.encode_texts(texts), model.aggregate(frames), matches(texts, clips))


def start_from_folder(model: Model, method: Method) -> StartingModel:
    """A model folder with a temporal encoder or an adapter to train. Raises InputError for other models."""
    if not isinstance(model, FolderModel):
        raise InputError(f"{model.space.model} is no model folder: --base takes mini or the path of a model folder.")
    config = model.config
    if method.name in TOWERS:
        raise InputError(
            f"--method {method.name} trains inside an open_clip model, such as --base ViT-B-32/openai; "
            f"{config.name} consists of frozen graphs: use --method {ADAPTER} or {TEMPORAL}."
        )
    beside = {f"{config.image_file}{BESIDE}", f"{config.text_file}{BESIDE}"}
    if method.name == ADAPTER and beside & set(config.files):
        raise InputError(f"The graphs of {config.name} are too large for an adapter: use --method {TEMPORAL}.")
    pooled = method.name == ADAPTER and config.temporal is not None
    notes = []
    if pooled:
        notes.append(f"{config.name} has a temporal encoder: only the text side is trained")
    elif method.name == ADAPTER and config.itm is not None:
        notes.append(f"the matching head of {config.name} does not fit other frames: the new model has none")
    if method.name == TEMPORAL and config.temporal is not None:
        notes.append(f"the temporal encoder of {config.name} is replaced by a new one, which starts as mean pooling")

    def encode(pixels: Pixels) -> Vectors:
        frames = model.encode_frames(pixels)
        return model.aggregate([frames]) if pooled else frames

    def learner(texts: Sequence[str]) -> TemporalHead | Adapter:
        vectors = dict(zip(texts, model.encode_texts(texts), strict=True))
        if method.name == TEMPORAL:
            if config.dim != config.frame_dim:
                raise InputError(
                    f"The embeddings of {config.name} come from TAB, which no other temporal encoder can replace."
                )
            return TemporalHead(method.temporal, vectors)
        return Adapter(vectors, pooled=pooled, rank=method.rank)

    def before(clips: Sequence[CaptionedClip]) -> ClipRanks:
        frames = [np.asarray(clip.load(), np.float32) for clip in clips]
        if not pooled:
            return measure(model, clips, frames)
        texts = distinct_captions(clips)
        return rank_both_ways(model.encode_texts(texts), np.concatenate(frames), matches(texts, clips))

    return StartingModel(
        name=config.name,
        fingerprint=f"{config.fingerprint}{'-pooled' if pooled else ''}",
        size=config.frame_size,
        encode=encode,
        learner=learner,
        measure=before,
        write=lambda out, learnt, record: write_tuned(out, model.folder, config, learnt, record),
        notes=tuple(notes),
    )
