"""`python -m vsearch.training --data DIR --out DIR`: builds the embedded model from sets of pictures and captions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vsearch.errors import InputError
from vsearch.training.command import VALIDATION, console, read_split, run_command


def _bar() -> Progress:
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def _parse_set(given: str) -> tuple[str, Path, Path]:
    name, _, rest = given.partition("=")
    images, _, table = rest.partition(",")
    if not (name and images and table):
        raise InputError(f"--set {given!r} is not NAME=IMAGES,CAPTIONS.tsv (IMAGES is a tar file or a folder)")
    return name, Path(images), Path(table)


def run(
    data: Annotated[Path, typer.Option(help="Folder with msrvtt, flickr8k, coco, youcook2 and labels.")],
    out: Annotated[Path, typer.Option(help="Where the model folder is written.")],
    cache: Annotated[
        Path | None, typer.Option(help="Where features and checkpoints are kept; default OUT/cache.")
    ] = None,
    validation: Annotated[Path, typer.Option(help="Video ids of the validation split, one per line.")] = VALIDATION,
    added: Annotated[list[str] | None, typer.Option("--set", help="One more set: NAME=IMAGES,CAPTIONS.tsv.")] = None,
    share: Annotated[float, typer.Option(help="Share of the batches that each added set gets.")] = 0.05,
    views: Annotated[
        int,
        typer.Option(help="Views of labelled photographs (of frames at most 2): 1 plain, 2 mirrored, others crops."),
    ] = 3,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
    version: Annotated[str, typer.Option(help="Written into config.json and the card.")] = "1",
    locked: Annotated[
        bool, typer.Option("--lock-pictures", help="Locked-image tuning: later stages tune text only.")
    ] = (False),
    tail_rate: Annotated[
        float,
        typer.Option(help="Learning rate of Lite2's last blocks while the sentence encoder is tuned."),
    ] = 0.0,
    whole_rate: Annotated[
        float,
        typer.Option("--full-rate", help="Rate of both whole picture backbones while the sentence encoder is tuned."),
    ] = 0.0,
    pictures: Annotated[
        bool, typer.Option("--tune-pictures", help="Tune the last blocks after the text tower, with new heads.")
    ] = False,
    frozen: Annotated[bool, typer.Option("--frozen", help="Train heads alone, on frozen networks.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda (mixed precision) or mps.")] = "cpu",
) -> None:
    """Extract features, train, export and check a model folder. The same command resumes an interrupted run."""
    import torch

    from vsearch.training import stages
    from vsearch.training.precision import keep_memory

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    options = stages.BuildOptions(
        data=data,
        out=out,
        cache=cache or out / "cache",
        held=read_split(validation),
        added=tuple(_parse_set(given) for given in added or ()),
        share=share,
        views=views,
        seed=seed,
        threads=threads,
        version=version,
        device=device,
        locked=locked,
        tail_rate=tail_rate,
        whole_rate=whole_rate,
        pictures=pictures,
        frozen=frozen,
    )
    if frozen and (locked or pictures or tail_rate or whole_rate):
        raise InputError("--frozen trains heads alone: leave out the options that tune more.")
    if locked and (pictures or tail_rate or whole_rate):
        raise InputError("--lock-pictures freezes the picture tower: leave out the options that tune it.")
    if pictures and whole_rate:
        raise InputError("--tune-pictures tunes on cached maps, which --full-rate makes invalid: use one of the two.")
    torch.set_num_threads(threads)
    keep_memory()
    with _bar() as progress:

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            tasks = {task.description.split(" · ")[0]: task.id for task in progress.tasks}
            task = tasks.get(stage) if stage in tasks else progress.add_task(stage, total=total)
            assert task is not None
            progress.update(task, completed=done, description=f"{stage} · {note}" if note else stage)

        lines = stages.build(options, report)
    for line in lines:
        console.print(line, highlight=False)


def main() -> None:
    run_command(run)


if __name__ == "__main__":
    main()
