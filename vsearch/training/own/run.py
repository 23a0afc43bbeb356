"""`vsearch train`, wired top to bottom: captions, frames, the split, training, the folder, the table."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from vsearch.clip_table import ClipCaption, read_clips
from vsearch.errors import InputError, PathError
from vsearch.models.model_folder import FolderModel
from vsearch.training.own.base import TEMPORAL, Base, Method, measure
from vsearch.training.own.fit import Fitted, Plan, fit
from vsearch.training.own.gather import Clip, ClipSource, FrameStore, Gathered, gather, split_by_video
from vsearch.training.own.scores import BothWays, sentences
from vsearch.training.precision import PLAIN, Precision

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What the command line says."""

    data: Path
    out: Path
    cache: Path
    """Frames are kept there."""
    method: Method = field(default_factory=Method)
    plan: Plan = field(default_factory=Plan)
    share: float = 0.2
    """Of the videos, for validation."""
    precision: Precision = PLAIN
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run."""

    base: str
    method: str
    training: tuple[int, int]
    """Clips and videos."""
    validation: tuple[int, int]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    fitted: Fitted
    before: BothWays
    after: BothWays | None
    """Through the folder that was written; None: nothing was learnt that is better, and nothing written."""


class Follow(Protocol):
    """Told how far a stage is."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None: ...


def train_own(options: TrainOptions, base: Base, source: ClipSource, follow: Follow) -> Report:
    """The whole way. Raises InputError or PathError where the table or the folder cannot be used, ModelError."""
    checkpoint = options.out / CHECKPOINT
    _check_out(options.out, checkpoint)
    table = read_clips(options.data)
    folder = options.cache / "train" / base.fingerprint
    gathered = gather(
        table.captions,
        source,
        FrameStore(folder, base.size, base.encode),
        lambda done, total: follow("frames", done, total),
    )
    training, held = _split(gathered, options)
    _create(options.out)
    before, after = base.measure(held), None
    torch.manual_seed(options.plan.seed)
    learner = base.learner(sentences(gathered.clips)).to(options.precision.device)
    best = [0.0]

    def progress(step: int, loss: float, found: BothWays | None) -> None:
        if found is not None:
            best[0] = max(best[0], found.merit)
        follow("training", step, options.plan.steps, f"loss {loss:.2f}, best {best[0]:.2f}")

    fitted = fit(
        learner,
        training,
        held,
        options.plan,
        precision=options.precision,
        checkpoint=checkpoint,
        lineage=_lineage(base, options, training, held),
        beaten=before,
        progress=progress,
    )
    if fitted.step:
        card = _card(base, options, training, held, fitted)
        base.write(options.out, learner, card)
        after = _measured(options, held, table.captions, source)
    if not fitted.stopped:
        checkpoint.unlink(missing_ok=True)
    return Report(
        base=base.name,
        method=options.method.name,
        training=(len(training), len({clip.video for clip in training})),
        validation=(len(held), len({clip.video for clip in held})),
        skipped=(*table.skipped, *gathered.skipped),
        notes=base.notes,
        fitted=fitted,
        before=before,
        after=after,
    )


def _check_out(out: Path, checkpoint: Path) -> None:
    if checkpoint.is_file():
        return
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is there already, and no training to go on with: name a new folder with --out.")
    if out.exists() and not out.is_dir():
        raise PathError(f"{out} is a file: name a new folder with --out.")


def _create(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"The folder {out} cannot be made: {error.strerror}") from error


def _split(gathered: Gathered, options: TrainOptions) -> tuple[list[Clip], list[Clip]]:
    try:
        return split_by_video(gathered.clips, options.share, options.plan.seed)
    except InputError as error:
        cause = f" The first that cannot: {gathered.skipped[0]}" if gathered.skipped else ""
        raise InputError(f"{error}{cause}") from error


def _lineage(base: Base, options: TrainOptions, training: list[Clip], held: list[Clip]) -> str:
    """All that a run follows from besides its plan."""
    clips = [[(clip.identity, clip.captions) for clip in part] for part in (training, held)]
    told = repr((base.fingerprint, options.method, options.precision, clips))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _card(base: Base, options: TrainOptions, training: list[Clip], held: list[Clip], fitted: Fitted) -> dict[str, Any]:
    return {
        "base": base.name,
        "base_fingerprint": base.fingerprint,
        "method": options.method.name,
        "clips": len(training),
        "validation_clips": len(held),
        "seed": options.plan.seed,
        "steps": fitted.step,
    }


def _measured(
    options: TrainOptions, held: list[Clip], captions: tuple[ClipCaption, ...], source: ClipSource
) -> BothWays:
    """The folder as the product reads it, on the validation clips: no figure is of anything that is not in there."""
    model = FolderModel(options.out, threads=options.threads)
    if options.method.name == TEMPORAL:  # frames are the base's
        return measure(model, held, [np.asarray(clip.load(), np.float32) for clip in held])
    videos = {clip.video for clip in held}
    rows = [row for row in captions if _key(source, row.file) in videos]
    with tempfile.TemporaryDirectory(prefix="vsearch-train-") as scratch:
        found = gather(rows, source, FrameStore(Path(scratch), model.frame_size, model.encode_frames))
        return measure(model, found.clips, [clip.load() for clip in found.clips])


def _key(source: ClipSource, file: Path) -> str | None:
    from vsearch.errors import MediaError

    try:
        return source.key(file)
    except MediaError:
        return None
