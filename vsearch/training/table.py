"""The rows of the ablation, and how one is run: what is compared, apart from who asks for it (ablation.py)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vsearch.training.batches import SetData
from vsearch.training.data import load_msrvtt
from vsearch.training.metrics import in_line
from vsearch.training.minilm import Tokens, load_minilm
from vsearch.training.pipeline import Settings, Trained
from vsearch.training.precision import PLAIN, Precision
from vsearch.training.prepare import prepare_set, settle
from vsearch.training.recipe import Recipe
from vsearch.training.second import Second, SecondRecipe, StageSet
from vsearch.training.second_loop import Check, check, first_captions, run
from vsearch.training.train import Towers
from vsearch.training.words import keep_captions, read_words

VIEWS = 2
"""Of the cache, that every row draws from."""
_FROZEN = Recipe(steps=150, batch=384, head_rate=0, weight_decay=0.1, warm_up=0.1, mix=0, views=VIEWS)
_TUNED = replace(_FROZEN, head_rate=2e-4)
_PAIRS = replace(_FROZEN, steps=250, batch=192, weight_decay=0.05)
_ITC = SecondRecipe(base=_TUNED, itm=0, rate=3e-4)

ROWS: Mapping[str, SecondRecipe] = {
    "towers": SecondRecipe(base=replace(_FROZEN, steps=0), itm=0),
    "itc": _ITC,
    "itc-queue": replace(_ITC, queue=2048),
    "tdb": replace(_ITC, base=_FROZEN, temporal="tdb"),
    "single": SecondRecipe(base=replace(_FROZEN, steps=0), itm=0, temporal="single"),
    "kmeans": SecondRecipe(base=replace(_FROZEN, steps=0), itm=0, temporal="kmeans"),
    "seqlstm": replace(_ITC, base=_FROZEN, temporal="seqlstm"),
    "seqtransf": replace(_ITC, base=_FROZEN, temporal="seqtransf"),
    "tab": replace(_ITC, base=_FROZEN, temporal="tab"),
    "clip2video": replace(_ITC, base=_FROZEN, temporal="clip2video"),
    "tdb-mfm": replace(_ITC, base=_FROZEN, temporal="tdb", mfm=0.1),
    "tdb-itc-queue": replace(_ITC, temporal="tdb", queue=2048),
    "itm": SecondRecipe(base=_PAIRS, negatives=5),
    "itm-fast": SecondRecipe(base=_PAIRS, negatives=5, rate=3e-3),
    "itm-quiet": SecondRecipe(base=_PAIRS, negatives=5, noisy=False),
    "itm-binary": SecondRecipe(base=_PAIRS, negatives=5, itm_loss="binary"),
}
"""Name -> recipe; each starts at the same towers."""


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """What a row trains on and is measured on."""

    sets: Sequence[StageSet]
    validation: StageSet
    """The validation videos with several captions each; the first is the protocol's."""
    labelled: Sequence[StageSet]


def stage_sets(trained: Trained, settings: Settings, captions: int) -> Stages:
    """Word tokens (cached) for `captions` captions an item; labelled sets keep every template."""
    encoder = trained.towers.text.encoder

    def stage(data: SetData) -> StageSet:
        labelled = any(item.label >= 0 for item in data.pictures.items)
        kept = keep_captions(data, 10**6 if labelled else captions)
        return StageSet(kept, read_words(settings.cache, encoder, kept.ids))

    whole, held = load_msrvtt(settings.data / "msrvtt"), set(settings.held)
    several = first_captions(whole.take(item for item in whole.items if item.key in held), captions)
    validation = prepare_set(several, settings.cache, load_minilm(), Tokens())
    count, every = len(trained.sets), [*trained.sets, validation, *trained.labelled]
    stages = [stage(data) for data in settle(trained.towers, every, VIEWS)]
    return Stages(stages[:count], stages[count], stages[count + 1 :])


def run_row(
    towers: Towers,
    recipe: SecondRecipe,
    stages: Stages,
    cache: Path,
    lineage: str,
    precision: Precision = PLAIN,
) -> tuple[Second, Check]:
    """Train one row from these towers (they are changed) and measure it, labels too."""
    torch.manual_seed(recipe.base.seed)
    model = Second(towers, recipe, [stage.data.pictures.name for stage in stages.sets])
    digest = hashlib.sha256(repr((lineage, recipe)).encode()).hexdigest()[:12]
    run(model, stages.sets, stages.validation, precision=precision, checkpoint=cache / f"second-{digest}.pt")
    return model, check(model, stages.validation, stages.labelled)


def lines(name: str, found: Check) -> list[str]:
    """A row as text: recall, labels, then each weight of the matching head."""
    shown = [f"{name}: {in_line(found.recall)} | all captions {in_line(found.recall_all)} | {in_line(found.labels)}"]
    for weight, (first, every) in found.reranked.items():
        shown.append(f"{name}, logit x {weight}/scale: {in_line(first)} | all captions {in_line(every)}")
    return shown
