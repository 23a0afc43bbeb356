"""What one stage of training does, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

WEIGHTS = {
    "msrvtt": 0.62,
    "flickr8k": 0.14,
    "coco": 0.05,
    "youcook2": 0.03,
    "actions": 0.04,
    "events": 0.04,
    "sports": 0.04,
    "places": 0.04,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One stage of training. Learning rates of 0 leave a part frozen."""

    steps: int = 480
    batch: int = 512
    head_rate: float = 7e-4
    text_head_rate: float | None = None
    """Of the text tower's head; None: that of the heads."""
    text_rate: float = 0.0
    """Of the sentence encoder's layers; its word table stays as it is, so that rare words keep their meaning."""
    tail_rate: float = 0.0
    """Of the picture backbone's last blocks."""
    whole_rate: float = 0.0
    """Of all layers of both picture backbones, from the pixels on: a step then looks at pictures, not at the cache."""
    weight_decay: float = 0.1
    text_decay: float = 0.01
    """The same for the sentence encoder, which has seen far more than these sets."""
    warm_up: float = 0.3
    """Share of the steps in which the rate rises (one-cycle)."""
    soft_share: float = 0.3
    soft_temperature: float = 0.05
    mix: float = 0.4
    """Beta parameter of the mixture of two captions of one item; 0 mixes none. Frozen sentences only."""
    keep_frame: float = 0.7
    views: int = 4
    """Views of the cache that training draws from."""
    typed: float = 0.0
    """Share of captions that are rewritten the way people type queries. Tuned sentence encoders only."""
    paired: float = 0.0
    """Weight of the loss that brings two captions of one video together, every second step: it also learns from videos
    whose frames are not there. Tuned sentence encoders only."""
    pairs: int = 128
    """Videos of which that loss takes two captions each."""
    ema: float = 0.0
    """Decay of the averaged weights that evaluation and export use; 0 averages none."""
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    blend: float = 1.0
    """Share of this stage's weights in what it leaves behind; the rest are those that it began with (a model soup,
    Wortsman et al. 2022)."""
    conse: float = 1.0
    """How much more a head that is trained apart leans on ImageNet's classes."""
    apart: bool = False
    """A new picture head is trained, against everything else as it is, and joins the others."""
    fresh: int = 0
    """So many new picture heads take the place of all that there are."""
    each: bool = False
    """Every picture head is trained, each by a loss of its own; otherwise the first one is, and the mean of all is what
    the loss sees."""
    frames: int = 0
    """Frames of a video that a step looks at, at most; 0: all that are kept."""
    classes: float = 0.0
    """Weight of the loss that holds tuned blocks to the ImageNet classes that they told before (learning without
    forgetting, Li and Hoiem 2016)."""
    seed: int = 1
    """Stages of one run need different ones, or they see the same batches."""


def describe(recipe: Recipe) -> str:
    """One paragraph that says what a stage did."""
    rates = (
        ("heads", recipe.head_rate),
        ("sentence encoder", recipe.text_rate),
        ("last blocks", recipe.tail_rate),
        ("both picture backbones", recipe.whole_rate),
    )
    finished = recipe.apart or recipe.each  # the text is: its captions are taken as they are
    shares = ", ".join(f"{name} {share:.0%}" for name, share in recipe.weights.items())
    return (
        f"{recipe.steps} batches of up to {recipe.batch} items, one set a batch ({shares}); AdamW, one-cycle, "
        f"{', '.join(f'{part} {rate:g}' for part, rate in rates if rate)}, weight decay {recipe.weight_decay:g}; soft "
        f"targets {recipe.soft_share:g} at temperature {recipe.soft_temperature:g}; "
        f"{f'captions mixed by Beta({recipe.mix:g}); ' if recipe.mix and not (recipe.text_rate or finished) else ''}"
        f"{f'{recipe.typed:.0%} of the captions as people type; ' if recipe.typed and recipe.text_rate else ''}"
        f"{f'pairs of captions {recipe.paired:g} x {recipe.pairs}; ' if recipe.paired and recipe.text_rate else ''}"
        f"{f'weights averaged by {recipe.ema:g}; ' if recipe.ema else ''}"
        f"{f'{recipe.blend:.0%} of them blended with those before; ' if recipe.blend < 1 else ''}"
        f"{'one more picture head, by itself; ' if recipe.apart else ''}"
        f"{f'{recipe.fresh} new picture heads; ' if recipe.fresh else ''}"
        f"{'a loss for each head; ' if recipe.each else ''}"
        f"{f'ImageNet classes held by {recipe.classes:g}; ' if recipe.classes else ''}"
        f"frames kept {recipe.keep_frame:.0%}, up to {recipe.views} views; seed {recipe.seed}."
    )


def changed(recipe: Recipe) -> str:
    """What a recipe says that the plain one does not: stays what it is when recipes learn to say more."""
    usual = plain(Recipe())
    return repr({name: value for name, value in plain(recipe).items() if value != usual[name]})


def plain(recipe: Recipe) -> dict[str, Any]:
    return {f.name: dict(v) if isinstance(v := asdict(recipe)[f.name], Mapping) else v for f in fields(recipe)}
