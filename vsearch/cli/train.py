"""`vsearch train`."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vsearch.cli.base import JsonOption, WeightsOption, app, console_of, given_paths, print_json, settings_of
from vsearch.errors import InputError, ModelError

if TYPE_CHECKING:
    from rich.progress import Progress

    from vsearch.settings import Settings
    from vsearch.training.finetune.clip_ranks import ClipRanks, RankSummary
    from vsearch.training.finetune.finetune import FinetuneReport, TrainOptions
    from vsearch.training.finetune.start import Method, StartingModel
    from vsearch.training.loop import StageProgress

RATES = {"adapter": 1e-3, "temporal": 3e-4, "lora": 2e-4, "coop": 2e-3}
METHODS = ", ".join(RATES)
TOWER_BATCH, TOWER_FRAMES = 16, 0.35
"""Clips in a step and share of their frames where frames go through a trained tower, which takes gigabytes."""


@app.command()
def train(
    data: Annotated[
        str, typer.Option("--data", help="Table of file and caption (and start, end in seconds), .csv or .tsv.")
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="The model folder to write.")],
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            help="The model to start from; for lora and coop an open_clip model.",
            show_default="VSEARCH_MODEL, else mini",
        ),
    ] = None,
    method: Annotated[str, typer.Option("--method", help=f"What is trained: {METHODS}.")] = "adapter",
    temporal: Annotated[
        str, typer.Option("--temporal", help="Temporal encoder of --method temporal: tdb, seqtransf or seqlstm.")
    ] = ("tdb"),
    rank: Annotated[int, typer.Option("--rank", min=1, max=512, help="Rank of adapter and lora.")] = 8,
    vectors: Annotated[int, typer.Option("--vectors", min=1, max=64, help="Prompt vectors of --method coop.")] = 4,
    validation: Annotated[
        float, typer.Option("--validation", min=0.01, max=0.9, help="Share of the videos for validation only.")
    ] = 0.2,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Maximum number of steps.")] = 400,
    batch: Annotated[
        int | None, typer.Option("--batch", min=2, help="Clips in a step.", show_default="lora 16, others 64")
    ] = None,
    rate: Annotated[float | None, typer.Option("--rate", help="Learning rate.", show_default="by method")] = None,
    patience: Annotated[
        int,
        typer.Option(
            "--patience", min=1, help="Stop after this many checks without gain; there is one every 20 steps."
        ),
    ] = 6,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 1,
    # cpu by default: adapters and temporal encoders are too small to profit from a GPU
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or mps.")] = "cpu",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a model on your own clips and captions. The same command resumes an interrupted run."""
    if method not in RATES:
        raise InputError(f"--method takes {METHODS}, not {method!r}.")
    if rate is not None and not 0 < rate < 1:
        raise InputError(f"--rate must be between 0 and 1, not {rate:g}.")
    for module in ("torch", "onnx", "onnxscript"):
        if find_spec(module) is None:
            raise ModelError(f"Training needs {module}: pip install 'vsearch[train]'.")
    from vsearch.training.finetune.adapters import TEMPORAL
    from vsearch.training.finetune.finetune import TrainOptions
    from vsearch.training.finetune.fit import FitPlan
    from vsearch.training.finetune.start import Method
    from vsearch.training.precision import choose_precision

    if temporal not in TEMPORAL:
        raise InputError(f"--temporal takes {', '.join(TEMPORAL)}, not {temporal!r}.")
    table, folder = given_paths([data, out])
    settings = settings_of(None, base, weights=weights)
    plan = FitPlan(steps=steps, rate=rate or RATES[method], patience=patience, seed=seed)
    if method == "lora":
        plan = replace(plan, batch=TOWER_BATCH, keep_frame=TOWER_FRAMES)
    if batch is not None:
        plan = replace(plan, batch=batch)
    options = TrainOptions(
        data=table,
        out=folder,
        cache=settings.cache,
        method=Method(method, temporal, rank, vectors),
        plan=plan,
        share=validation,
        precision=choose_precision(device),
        threads=settings.threads,
    )
    report = _run(settings, options)
    if as_json:
        print_json(_as_json(report, folder))
    else:
        _print(report, folder)
    if report.fitted.interrupted:
        typer.echo("vsearch: interrupted. The same command resumes it.", err=True)
        raise typer.Exit(130)
    if report.after is None:
        raise InputError(
            "Training did not improve the model, and no folder is written: "
            "use more videos and captions, or another --method."
        )


def _run(settings: Settings, options: TrainOptions) -> FinetuneReport:
    import torch

    from vsearch.indexer.stretches import ClipReader
    from vsearch.training.finetune.finetune import finetune

    if settings.threads:
        torch.set_num_threads(settings.threads)
    with _bar() as progress, ClipReader() as source:
        try:
            base = _base(settings, options.method, options.precision.device)
            return finetune(options, base, source, _report_to(progress))
        except KeyboardInterrupt:
            progress.stop()
            typer.echo("vsearch: interrupted. Decoded frames are kept; the same command resumes it.", err=True)
            raise typer.Exit(130) from None


def _base(settings: Settings, method: Method, device: str) -> StartingModel:
    from vsearch.models.openclip import OpenClipModel
    from vsearch.models.registry import load_model
    from vsearch.training.finetune.openclip_start import start_from_openclip
    from vsearch.training.finetune.start import start_from_folder

    exact = settings.model_copy(update={"device": device, "precision": "fp32", "compile": False})
    model = load_model(settings.model, exact)
    return start_from_openclip(model, method) if isinstance(model, OpenClipModel) else start_from_folder(model, method)


def _bar() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<36}", markup=False), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console_of(stderr=True), transient=True)


def _report_to(progress: Progress) -> StageProgress:
    tasks: dict[str, Any] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in tasks:
            tasks[stage] = progress.add_task(stage, total=total)
        progress.update(tasks[stage], completed=done, description=f"{stage}: {note}" if note else stage)

    return report


def _rows(report: FinetuneReport) -> list[tuple[str, RankSummary]]:
    rows = [("text to video, before", report.before.text_to_video)]
    rows += [("text to video, after", report.after.text_to_video)] if report.after else []
    rows += [("video to text, before", report.before.video_to_text)]
    return rows + ([("video to text, after", report.after.video_to_text)] if report.after else [])


def _print(report: FinetuneReport, out: Path) -> None:
    from rich.table import Table

    from vsearch.report import readable

    console = console_of()
    for line in report.skipped[:10]:
        console.print(f"skipped: {readable(line)}", markup=False, soft_wrap=True)
    if len(report.skipped) > 10:
        console.print(f"skipped: {len(report.skipped) - 10} more")
    for line in report.notes:
        console.print(f"note: {readable(line)}", markup=False, soft_wrap=True)
    (clips, videos), (held, held_videos) = report.training, report.validation
    console.print(
        f"{report.method} on {readable(report.base)}: trained on {clips} clips of {videos} videos, "
        f"validated on {held} clips of {held_videos} others; {len(report.skipped)} rows or files skipped",
        markup=False,
        soft_wrap=True,
    )
    table = Table("", "queries", "gallery", "R@1", "R@5", "R@10", "MdR", "MnR", box=None)
    for name, row in _rows(report):
        figures = [f"{value:.1f}" for value in row.metrics.values()]
        table.add_row(name, str(row.queries), str(row.gallery), *figures)
    console.print(table)
    if report.after is not None:
        console.print(
            f"best at step {report.fitted.best_step} of {report.fitted.steps}, chosen on these validation clips\n"
            f"written: {readable(out)}; to use it: vsearch index --model {readable(out)} VIDEOS",
            markup=False,
            soft_wrap=True,
        )


def _as_json(report: FinetuneReport, out: Path) -> dict[str, Any]:
    def plain(row: RankSummary) -> dict[str, Any]:
        return {"queries": row.queries, "gallery": row.gallery, **row.metrics}

    def both(ranks: ClipRanks) -> dict[str, Any]:
        return {"t2v": plain(ranks.text_to_video), "v2t": plain(ranks.video_to_text)}

    return {
        "base": report.base,
        "method": report.method,
        "training": dict(zip(("clips", "videos"), report.training, strict=True)),
        "validation": dict(zip(("clips", "videos"), report.validation, strict=True)),
        "skipped": list(report.skipped),
        "notes": list(report.notes),
        "steps": report.fitted.steps,
        "best_step": report.fitted.best_step,
        "before": both(report.before),
        "after": both(report.after) if report.after else None,
        "folder": None if report.after is None else str(out),
    }
