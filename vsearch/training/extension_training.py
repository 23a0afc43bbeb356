"""Training of a temporal encoder and a matching head, and what they reach on the validation split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsearch.metrics import accuracy, ranks, summarize
from vsearch.training.extension import MAX_FRAMES, ExtendedModel, TokenizedSet, extension_loss
from vsearch.training.loop import LoopPlan, run_loop
from vsearch.training.matching import Masked, match_best, reranked
from vsearch.training.precision import PLAIN, Precision
from vsearch.training.tower_training import one_cycle, set_shares
from vsearch.training.validate import label_phrases

RECALL = 100
"""Candidates that the matching head re-ranks."""
WEIGHTS_TRIED = (0.25, 0.5, 1.0, 1.5)
"""Weights of the logit that are measured, in units of 1/scale; the ranking loss trains for 1."""

Metrics = Mapping[str, float]
"""R@1, R@5, R@10, MdR, MnR."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSet:
    """A whole set: queries [C, D], videos [N, D], words and frames with their masks, video of each caption [C]."""

    text: Tensor
    video: Tensor
    words: Masked
    frames: Masked
    owner: Tensor


@torch.inference_mode()
def encode_set(model: ExtendedModel, tokenized: TokenizedSet, chunk: int = 512) -> EncodedSet:
    """Every caption, and every item with all its frames in view 0, as the product encodes them."""
    model.eval()
    device = model.towers.log_scale.device
    data, items = tokenized.data, tokenized.data.pictures.items

    def take(rows: NDArray[np.int64]) -> Masked:
        words, mask = tokenized.words.take(rows)
        return words.to(device), mask.to(device)

    starts = range(0, len(data.ids), chunk)
    texts = [model.query_vectors(*take(np.arange(start, min(start + chunk, len(data.ids))))) for start in starts]
    kept = [item.pictures[:MAX_FRAMES] for item in items]
    mask = torch.arange(max(map(len, kept)))[None] < torch.tensor([len(pictures) for pictures in kept])[:, None]
    places = np.concatenate([np.array(pictures) for pictures in kept])
    mask = mask.to(device)
    frames = model.frame_vectors(torch.from_numpy(data.cache.features[places, 0]).float().to(device), mask)
    owner = torch.repeat_interleave(torch.arange(len(items)), torch.from_numpy(np.diff(data.first)))
    words = take(np.arange(len(data.ids)))
    return EncodedSet(torch.cat(texts), model.aggregator(frames, mask), words, (frames, mask), owner)


@dataclass(frozen=True, slots=True)
class ExtensionCheck:
    """What a check on the validation split measured."""

    recall: Metrics
    """Text-to-video by inner product, over the first caption of each video, as the protocol has it."""
    recall_all: Metrics
    """Text-to-video by inner product, over every caption."""
    reranked: Mapping[float, tuple[Metrics, Metrics]]
    """Weight of the logit (in units of 1/scale) -> both after re-ranking. Empty without a matching head."""
    labels: Mapping[str, float]
    """Labelled set -> zero-shot top-1 in percent."""
    scale: float

    @property
    def merit(self) -> float:
        """R@1 + R@5 + R@10 over all captions, re-ranked if there is a matching head: decides early stopping."""
        best = self.reranked[1.0][1] if self.reranked else self.recall_all
        return best["R@1"] + best["R@5"] + best["R@10"]


@torch.inference_mode()
def check_extension(
    model: ExtendedModel, validation: TokenizedSet, labelled: Sequence[TokenizedSet] = ()
) -> ExtensionCheck:
    """Measure recall, re-ranking and labels. A video's first caption must be the protocol's."""
    encoded = encode_set(model, validation)
    on_device = model.aggregator.score(encoded.text, encoded.video)
    similarity = on_device.cpu()
    first, owner = validation.data.first[:-1], encoded.owner.numpy()
    scale = float(model.towers.log_scale.exp())

    def both(scores: Tensor) -> tuple[Metrics, Metrics]:
        every = ranks(scores.numpy(), owner)
        return summarize(every[first]), summarize(every)

    after = {}
    if model.head is not None:
        best, logits = (part.cpu() for part in match_best(model.head, encoded.words, encoded.frames, on_device, RECALL))
        after = {weight: both(reranked(similarity, best, logits, weight / scale)) for weight in WEIGHTS_TRIED}
    labels = {tokenized.data.pictures.name: classify(model, tokenized) for tokenized in labelled}
    return ExtensionCheck(*both(similarity), after, labels, scale)


def classify(model: ExtendedModel, tokenized: TokenizedSet) -> float:
    """Zero-shot top-1 (percent) over a labelled set's phrases."""
    encoded = encode_set(model, tokenized)
    phrases, truth = label_phrases(tokenized.data, encoded.text)
    return accuracy(model.aggregator.score(phrases, encoded.video).T.cpu().numpy(), truth)


def train_extension(
    model: ExtendedModel,
    sets: Sequence[TokenizedSet],
    validation: TokenizedSet,
    *,
    precision: Precision = PLAIN,
    checkpoint: Path | None = None,
    progress: Callable[[int, float, ExtensionCheck | None], None] = lambda step, loss, checked: None,
) -> ExtensionCheck:
    """Train in place and check the weights that the model ends with. It stays on the precision's device.

    With patience those are the weights of the best check, else the last. checkpoint: see `run_loop`.
    """
    recipe, base = model.recipe, model.recipe.base
    model.to(precision.device)
    groups = model.groups()
    if groups:  # without any, the towers are measured as they are
        shares = set_shares([tokenized.data.pictures.name for tokenized in sets], base)

        def loss_of(step: int, rng: np.random.Generator) -> Tensor:
            model.set_mode()
            return extension_loss(model, sets[int(rng.choice(len(sets), p=shares))], rng, precision)

        result = run_loop(
            model,
            groups,
            loss_of,
            LoopPlan(base.steps, base.seed, lambda step: one_cycle(step, base), recipe.check_every, recipe.patience),
            precision=precision,
            validate=(lambda: check_extension(model, validation)) if recipe.patience else None,
            checkpoint=checkpoint,
            run_id=repr((recipe, precision)),
            progress=progress,
        )
        if result.interrupted:
            raise KeyboardInterrupt
    return check_extension(model, validation)
