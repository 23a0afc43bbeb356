"""A whole fine-tuning run: captions, frames, the split, training, the model folder, and a report."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from vsearch.clip_table import ClipCaption, read_clips
from vsearch.errors import InputError, MediaError, PathError
from vsearch.models.model_folder import FolderModel
from vsearch.training.finetune.clip_frames import (
    CaptionedClip,
    ClipSource,
    FrameStore,
    Gathered,
    gather,
    split_by_video,
)
from vsearch.training.finetune.clip_ranks import ClipRanks, distinct_captions
from vsearch.training.finetune.fit import ClipCheck, FitPlan, FitResult, fit
from vsearch.training.finetune.start import TEMPORAL, Method, StartingModel, measure
from vsearch.training.loop import StageProgress
from vsearch.training.precision import PLAIN, Precision

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The options of `vsearch train`."""

    data: Path
    """Table of files and captions."""
    out: Path
    """Model folder to write."""
    cache: Path
    """Folder for decoded frames."""
    method: Method = field(default_factory=Method)
    plan: FitPlan = field(default_factory=FitPlan)
    share: float = 0.2
    """Share of the videos for validation."""
    precision: Precision = PLAIN
    threads: int = 0
    """CPU threads; 0: automatic."""


@dataclass(frozen=True, slots=True)
class FinetuneReport:
    """Outcome of a fine-tuning run."""

    base: str
    """Name of the model that training started from."""
    method: str
    training: tuple[int, int]
    """Number of training clips and of their videos."""
    validation: tuple[int, int]
    """Number of validation clips and of their videos."""
    skipped: tuple[str, ...]
    """Rows and files that could not be used, with causes."""
    notes: tuple[str, ...]
    fitted: FitResult
    before: ClipRanks
    after: ClipRanks | None
    """Measured with the model folder that was written; None: no step was better, and no folder was written."""


def finetune(options: TrainOptions, base: StartingModel, source: ClipSource, report: StageProgress) -> FinetuneReport:
    """Train and write the model folder. Raises InputError or PathError for an unusable table or folder, ModelError."""
    checkpoint = options.out / CHECKPOINT
    _check_out(options.out, checkpoint)
    table = read_clips(options.data)
    gathered = gather(
        table.captions,
        source,
        FrameStore(options.cache / "train" / base.fingerprint, base.size, base.encode),
        lambda done, total: report("frames", done, total),
    )
    training, held = _split(gathered, options)
    _create(options.out)
    before, after = base.measure(held), None
    torch.manual_seed(options.plan.seed)
    learner = base.learner(distinct_captions(gathered.clips)).to(options.precision.device)
    best = 0.0

    def progress(step: int, loss: float, checked: ClipCheck | None) -> None:
        nonlocal best
        best = max(best, checked.ranks.reciprocal) if checked is not None else best
        report("training", step, options.plan.steps, f"loss {loss:.2f}, best {best:.2f}")

    fitted = fit(
        learner,
        training,
        held,
        options.plan,
        precision=options.precision,
        checkpoint=checkpoint,
        lineage=_lineage(base, options, training, held),
        baseline=before,
        progress=progress,
    )
    if fitted.best_step:
        record = {
            "base": base.name,
            "base_fingerprint": base.fingerprint,
            "method": options.method.name,
            "clips": len(training),
            "validation_clips": len(held),
            "seed": options.plan.seed,
            "steps": fitted.best_step,
        }
        base.write(options.out, learner, record)
        after = _measure_folder(options, held, table.captions, source)
    if not fitted.interrupted:
        checkpoint.unlink(missing_ok=True)
    return FinetuneReport(
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
        raise InputError(f"{out} already exists and has no training to resume: name a new folder with --out.")
    if out.exists() and not out.is_dir():
        raise PathError(f"{out} is a file: name a new folder with --out.")


def _create(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"The folder {out} cannot be created: {error.strerror}") from error


def _split(gathered: Gathered, options: TrainOptions) -> tuple[list[CaptionedClip], list[CaptionedClip]]:
    try:
        return split_by_video(gathered.clips, options.share, options.plan.seed)
    except InputError as error:
        cause = f" First one skipped: {gathered.skipped[0]}" if gathered.skipped else ""
        raise InputError(f"{error}{cause}") from error


def _lineage(
    base: StartingModel, options: TrainOptions, training: list[CaptionedClip], held: list[CaptionedClip]
) -> str:
    """Digest of everything besides its plan that a run depends on."""
    clips = [[(clip.identity, clip.captions) for clip in part] for part in (training, held)]
    inputs = repr((base.fingerprint, options.method, options.precision, clips))
    return hashlib.sha256(inputs.encode("utf-8", "surrogatepass")).hexdigest()


def _measure_folder(
    options: TrainOptions, held: list[CaptionedClip], captions: tuple[ClipCaption, ...], source: ClipSource
) -> ClipRanks:
    """Measure the written folder on the validation clips, loaded as the product loads it."""
    model = FolderModel(options.out, threads=options.threads)
    if options.method.name == TEMPORAL:  # the cached frames are still valid
        return measure(model, held, [np.asarray(clip.load(), np.float32) for clip in held])
    videos = {clip.video for clip in held}
    rows = [row for row in captions if _key(source, row.file) in videos]
    with tempfile.TemporaryDirectory(prefix="vsearch-train-") as scratch:
        decoded = gather(rows, source, FrameStore(Path(scratch), model.frame_size, model.encode_frames))
        return measure(model, decoded.clips, [clip.load() for clip in decoded.clips])


def _key(source: ClipSource, file: Path) -> str | None:
    try:
        return source.key(file)
    except MediaError:
        return None
