"""The rows of the ablation, and the training and measuring of one row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vsearch.metrics import in_line
from vsearch.training.batches import SetData
from vsearch.training.data import load_msrvtt
from vsearch.training.extension import ExtendedModel, ExtensionRecipe, TokenizedSet
from vsearch.training.extension_training import ExtensionCheck, check_extension, train_extension
from vsearch.training.minilm import Tokens, load_minilm
from vsearch.training.precision import PLAIN, Precision
from vsearch.training.prepare import prepare_set, recompute_features
from vsearch.training.recipe import StageRecipe
from vsearch.training.stages import BuildOptions, TrainedTowers
from vsearch.training.towers import Towers
from vsearch.training.word_tokens import keep_captions, read_words

VIEWS = 2
"""Views of the cache that every row draws from."""
_FROZEN = StageRecipe(steps=150, batch=384, head_rate=0, weight_decay=0.1, warm_up=0.1, mix=0, views=VIEWS)
_TUNED = replace(_FROZEN, head_rate=2e-4)
_PAIRS = replace(_FROZEN, steps=250, batch=192, weight_decay=0.05)
_UNTRAINED = ExtensionRecipe(base=replace(_FROZEN, steps=0), itm=0)
_ITC = ExtensionRecipe(base=_TUNED, itm=0, rate=3e-4)
_TEMPORAL = replace(_ITC, base=_FROZEN)
_ITM = ExtensionRecipe(base=_PAIRS, negatives=5)

ROWS: Mapping[str, ExtensionRecipe] = {
    "towers": _UNTRAINED,
    "itc": _ITC,
    "single": replace(_UNTRAINED, temporal="single"),
    "kmeans": replace(_UNTRAINED, temporal="kmeans"),
    **{name: replace(_TEMPORAL, temporal=name) for name in ("tdb", "seqlstm", "seqtransf", "tab", "clip2video")},
    "itm": _ITM,
    "itm-fast": replace(_ITM, rate=3e-3),
    "itm-quiet": replace(_ITM, noisy=False),
    "itm-binary": replace(_ITM, itm_loss="binary"),
}
"""Name -> recipe; each starts from the same towers."""


@dataclass(frozen=True, slots=True, eq=False)
class AblationSets:
    """The sets that a row is trained and measured on."""

    sets: Sequence[TokenizedSet]
    validation: TokenizedSet
    """The validation videos with several captions each; the first is the protocol's."""
    labelled: Sequence[TokenizedSet]


def tokenize_sets(trained: TrainedTowers, options: BuildOptions, captions: int) -> AblationSets:
    """Word tokens (cached) for `captions` captions of each item; labelled sets keep every template."""
    encoder = trained.towers.text.encoder

    def tokenize(data: SetData) -> TokenizedSet:
        labelled = any(item.label >= 0 for item in data.pictures.items)
        kept = data if labelled else keep_captions(data, captions)
        return TokenizedSet(kept, read_words(options.cache, encoder, kept.ids))

    whole, held = load_msrvtt(options.data / "msrvtt"), set(options.held)
    videos = whole.take(replace(i, captions=i.captions[:captions]) for i in whole.items if i.key in held)
    validation = prepare_set(videos, options.cache, load_minilm(), Tokens())
    count, every = len(trained.sets), [*trained.sets, validation, *trained.labelled]
    tokenized = [tokenize(data) for data in recompute_features(trained.towers, every, VIEWS)]
    return AblationSets(tokenized[:count], tokenized[count], tokenized[count + 1 :])


def run_row(
    towers: Towers,
    recipe: ExtensionRecipe,
    sets: AblationSets,
    cache: Path,
    lineage: str,
    precision: Precision = PLAIN,
) -> tuple[ExtendedModel, ExtensionCheck]:
    """Train one row from these towers (they are changed) and measure it with its labels."""
    torch.manual_seed(recipe.base.seed)
    model = ExtendedModel(towers, recipe)
    digest = hashlib.sha256(repr((lineage, recipe)).encode()).hexdigest()[:12]
    train_extension(model, sets.sets, sets.validation, precision=precision, checkpoint=cache / f"row-{digest}.pt")
    return model, check_extension(model, sets.validation, sets.labelled)


def row_lines(name: str, result: ExtensionCheck) -> list[str]:
    """A row as text: recall and labels, then re-ranking by each weight of the matching head."""
    recall, every = in_line(result.recall), in_line(result.recall_all)
    lines = [f"{name}: {recall} | all captions {every} | {in_line(result.labels)}"]
    for weight, (first, every_caption) in result.reranked.items():
        lines.append(f"{name}, logit x {weight}/scale: {in_line(first)} | all captions {in_line(every_caption)}")
    return lines
