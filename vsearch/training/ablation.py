"""`python -m vsearch.training.ablation --data DIR --cache DIR`: temporal encoders and matching heads compared.

Every row starts from the towers of `python -m vsearch.training` with the same data, seed and views. They are read from
checkpoints in the cache, or trained first. `--export NAME --out DIR` writes the model folder of a row.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vsearch.errors import InputError
from vsearch.training.command import VALIDATION, console, read_split, run_command

CAPTIONS = 5
"""Captions of each item. All twenty of MSR-VTT take four times as long and did not improve heads of this size."""


def run(
    data: Annotated[Path, typer.Option(help="Folder with msrvtt, flickr8k, coco, youcook2 and labels.")],
    cache: Annotated[Path, typer.Option(help="Where features, word tokens and checkpoints are kept.")],
    out: Annotated[Path | None, typer.Option(help="The model folder that --export writes.")] = None,
    export: Annotated[str | None, typer.Option(help="The row whose model is exported.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Rows to run; default all.")] = None,
    validation: Annotated[Path, typer.Option(help="Video ids of the validation split, one per line.")] = VALIDATION,
    views: Annotated[int, typer.Option(help="Views that the towers were trained with.")] = 3,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    version: Annotated[str, typer.Option(help="Written into config.json of the export.")] = "2",
    device: Annotated[str, typer.Option(help="cpu, cuda (mixed precision) or mps.")] = "cpu",
) -> None:
    """Train each row from the same towers (with checkpoints in the cache) and print its validation metrics."""
    import torch

    from vsearch.training import ablation_rows, stages
    from vsearch.training.precision import choose_precision

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(threads)
    rows = {name: replace(recipe, base=replace(recipe.base, seed=seed)) for name, recipe in ablation_rows.ROWS.items()}
    wanted = [*(only or ([export] if export else rows))]
    unknown = [name for name in wanted if name not in rows]
    if unknown:
        raise InputError(f"rows are {', '.join(rows)}, not {', '.join(unknown)}")
    if export is not None and (out is None or export not in wanted):
        raise InputError("--export needs --out, and a row that runs")
    precision = choose_precision(device)
    held = read_split(validation)
    options = stages.BuildOptions(
        data, out or cache, cache, held, views=views, seed=seed, threads=threads, device=device
    )

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        if done == total:
            console.print(f"{stage} {note}", highlight=False)

    trained = stages.train_towers(options, report)
    sets = ablation_rows.tokenize_sets(trained, options, CAPTIONS)
    for name in wanted:
        towers = copy.deepcopy(trained.towers)
        model, result = ablation_rows.run_row(towers, rows[name], sets, cache, trained.lineage, precision)
        for line in ablation_rows.row_lines(name, result):
            console.print(line, highlight=False)
        if name == export and out is not None:
            from vsearch.training.export_extension import export_extended
            from vsearch.training.export_towers import ExportInfo

            # the ranking loss trained the head for scale * inner product + logit
            export_extended(
                out, trained.backbones, model, ExportInfo(version, result.scale), logit_weight=1 / result.scale
            )
            console.print(f"written: {out}", highlight=False)


def main() -> None:
    run_command(run)


if __name__ == "__main__":
    main()
