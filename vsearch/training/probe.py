"""`python -m vsearch.training.probe --data DIR --cache DIR`: what the frozen features know of the labels.

A linear classifier (multinomial logistic regression, L-BFGS) on the cached features of each backbone and of both,
trained on the `train` rows of a labelled set and measured on its `val` rows: what the towers could reach from labels
alone. The cache is that of `python -m vsearch.training`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from vsearch.training.backbone import FEATURES
from vsearch.training.data import PictureSet, load_labels
from vsearch.training.features import open_cache

DECAYS = (0.03, 0.1, 0.3, 1.0)
"""Weights of the squared norm, all of which are reported: the best of them flatters a little."""
SMOOTHING = 0.1
INPUTS = {"Lite2": slice(0, FEATURES), "Lite0": slice(FEATURES, None), "both": slice(None)}


def fit(features: Tensor, labels: Tensor, classes: int, decay: float) -> tuple[Tensor, Tensor]:
    """[N, D] and int64 [N] -> weights [classes, D] and biases [classes]."""
    weights = torch.zeros(classes, features.shape[1], requires_grad=True)
    biases = torch.zeros(classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, biases], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(features @ weights.T + biases, labels, label_smoothing=SMOOTHING)
        value = value + decay / 2 * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call, unused-ignore]
        return value

    optimiser.step(loss)  # type: ignore[arg-type, unused-ignore]
    return weights.detach(), biases.detach()


def probe(train: PictureSet, held: PictureSet, features: NDArray[np.float32], decay: float) -> float:
    """Top-1 in percent over the held items, seen as the product sees them; features [pictures, views, D]."""
    order = {label: number for number, label in enumerate(sorted({item.label for item in train.items}))}
    seen = torch.from_numpy(features[[item.pictures[0] for item in train.items]])
    labels = torch.tensor([order[item.label] for item in train.items]).repeat_interleave(seen.shape[1])
    weights, biases = fit(seen.flatten(0, 1), labels, len(order), decay)
    shown = torch.from_numpy(features[[item.pictures[0] for item in held.items], 0])
    truth = torch.tensor([order.get(item.label, -1) for item in held.items])
    return float(((shown @ weights.T + biases).argmax(1) == truth).float().mean()) * 100


def run(
    data: Annotated[Path, typer.Option(help="Folder with labels.")],
    cache: Annotated[Path, typer.Option(help="Where the features are kept.")],
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
) -> None:
    """Fit and measure a classifier for each labelled set, each input and each weight decay."""
    torch.set_num_threads(threads)
    console = Console(stderr=True)
    train, held = load_labels(data / "labels", "train"), load_labels(data / "labels", "val")
    whole = open_cache(cache, train[0]).features.astype(np.float32)
    centre, spread = whole[:, 0].mean(0), whole[:, 0].std(0) + 1e-3
    whole = np.clip((whole - centre) / spread, -6, 6)
    for name, part in INPUTS.items():
        for one, other in zip(train, held, strict=True):
            found = ", ".join(f"{probe(one, other, whole[..., part], decay):.1f} ({decay:g})" for decay in DECAYS)
            console.print(f"{name}, {one.name}, {whole.shape[1]} views: {found}", highlight=False)


if __name__ == "__main__":
    typer.run(run)
