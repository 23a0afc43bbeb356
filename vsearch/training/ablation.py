"""`python -m vsearch.training.ablation --data DIR --cache DIR`: what each part of the second act brings, one line each.

The towers are those of `python -m vsearch.training` with the same data, seed and views: where their checkpoints lie in
the cache they are used, else they are trained first. `--export NAME --out DIR` writes that row's model folder.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vsearch.errors import InputError, VsearchError

ROOT = Path(__file__).parents[2]
CAPTIONS = 5
"""Of each item: reading all of MSR-VTT's twenty takes four times as long and brought nothing to heads this small."""
console = Console(stderr=True)


def run(
    data: Annotated[Path, typer.Option(help="Folder with msrvtt, flickr8k, coco, youcook2 and labels.")],
    cache: Annotated[Path, typer.Option(help="Where features, word tokens and checkpoints are kept.")],
    out: Annotated[Path | None, typer.Option(help="Where --export writes its folder.")] = None,
    export: Annotated[str | None, typer.Option(help="The row whose model is written.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Rows to run; all if not given.")] = None,
    validation: Annotated[Path, typer.Option(help="Video ids of the validation split, one a line.")] = (
        ROOT / "eval" / "splits" / "msrvtt_val.txt"
    ),
    views: Annotated[int, typer.Option(help="Views that the towers were trained with.")] = 3,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    version: Annotated[str, typer.Option(help="Written into config.json of the export.")] = "2",
    device: Annotated[str, typer.Option(help="cpu, cuda (mixed precision) or mps.")] = "cpu",
) -> None:
    """Train each row from the same towers, checkpointed in the cache, and print what it scores on validation."""
    import torch

    from vsearch.training import pipeline, table
    from vsearch.training.precision import choose_precision

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(threads)
    rows = {name: replace(recipe, base=replace(recipe.base, seed=seed)) for name, recipe in table.ROWS.items()}
    wanted = [*(only or ([export] if export else rows))]
    unknown = [name for name in wanted if name not in rows]
    if unknown or (export is not None and (out is None or export not in wanted)):
        raise InputError(f"rows are {', '.join(rows)}; --export needs one of those that run, and --out: {unknown}")
    if not validation.is_file():
        raise InputError(f"{validation} is missing: give --validation a list of video ids")
    precision = choose_precision(device)
    held = tuple(validation.read_text(encoding="utf-8").split())
    settings = pipeline.Settings(
        data, out or cache, cache, held, views=views, seed=seed, threads=threads, device=device
    )

    def follow(stage: str, done: int, total: int, note: str = "") -> None:
        if done == total:
            console.print(f"{stage} {note}", highlight=False)

    trained = pipeline.train_towers(settings, follow)
    stages = table.stage_sets(trained, settings, CAPTIONS)
    for name in wanted:
        model, found = table.run_row(
            copy.deepcopy(trained.towers), rows[name], stages, cache, trained.lineage, precision
        )
        for line in table.lines(name, found):
            console.print(line, highlight=False)
        if name == export and out is not None:
            from vsearch.training.export import Shipped
            from vsearch.training.second_export import export_second

            # what the ranking loss trained: scale * itc + logit
            shipped = Shipped(version, found.scale)
            export_second(out, trained.backbones, model, shipped, weight=1 / found.scale)
            console.print(f"written: {out}", highlight=False)


def main() -> None:
    app = typer.Typer(add_completion=False)
    app.command()(run)
    try:
        app(standalone_mode=True)
    except VsearchError as error:
        console.print(f"error: {error}", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
