"""The recipe of one stage of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

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
class StageRecipe:
    """One stage of training. Learning rates of 0 leave a part frozen."""

    steps: int = 480
    batch: int = 512
    head_rate: float = 7e-4
    text_head_rate: float | None = None
    """Learning rate of the text tower's head; None: `head_rate`."""
    text_rate: float = 0.0
    """Learning rate of the sentence encoder's layers; its word table stays frozen, which keeps rare words usable."""
    tail_rate: float = 0.0
    """Learning rate of Lite2's last blocks."""
    whole_rate: float = 0.0
    """Learning rate of all layers of both picture backbones; features are then computed from pixels, not cached."""
    weight_decay: float = 0.1
    text_decay: float = 0.01
    """Weight decay of the sentence encoder, smaller because it was trained on far more text than these sets have."""
    warm_up: float = 0.3
    """Share of the steps in which the rate rises (one-cycle)."""
    soft_share: float = 0.3
    """Share of the ITC target that follows the similarity of captions."""
    soft_temperature: float = 0.05
    mix: float = 0.4
    """Beta parameter of the mixture of two captions of one item; 0: no mixture. Frozen sentence encoders only."""
    keep_frame: float = 0.7
    """Probability that a frame is used in a step."""
    views: int = 4
    """Views of the cache that training draws from."""
    typed: float = 0.0
    """Share of captions that are rewritten like typed queries. Tuned sentence encoders only."""
    paired: float = 0.0
    """Weight of the ITC between two captions of one video, every second step. It also uses videos without frames. Tuned
    sentence encoders only."""
    pairs: int = 128
    """Videos in a batch of that loss."""
    ema: float = 0.0
    """Decay of the exponential average of weights that the stage ends with; 0: no average."""
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    """Set -> share of the batches."""
    blend: float = 1.0
    """Share of the trained weights in the final ones; the rest are from before the stage (model soup)."""
    conse: float = 1.0
    """Factor of the ConSE vector while an extra head is trained: above 1 it relies more on ImageNet's classes."""
    apart: bool = False
    """Whether one more picture head is trained, with everything else frozen, and added."""
    fresh: int = 0
    """Number of new picture heads that replace the existing ones; 0 keeps them."""
    each: bool = False
    """Whether each picture head is trained by its own loss; else the first is, by the loss of the mean of all."""
    frames: int = 0
    """Maximum frames of a video in a step; 0: no limit."""
    classes: float = 0.0
    """Weight of the loss that keeps the ImageNet classes that tuned blocks predict (learning without forgetting, Li and
    Hoiem 2016)."""
    seed: int = 1
    """Different for each stage of a run, which would otherwise draw the same batches."""


def describe(recipe: StageRecipe) -> str:
    """A paragraph that describes a stage, for the model card."""
    rates = (
        ("heads", recipe.head_rate),
        ("sentence encoder", recipe.text_rate),
        ("last blocks", recipe.tail_rate),
        ("both picture backbones", recipe.whole_rate),
    )
    finished = recipe.apart or recipe.each  # the text tower is, so captions are not mixed
    shares = ", ".join(f"{name} {share:.0%}" for name, share in recipe.weights.items())
    return (
        f"{recipe.steps} batches of up to {recipe.batch} items, one set a batch ({shares}); AdamW, one-cycle, "
        f"{', '.join(f'{part} {rate:g}' for part, rate in rates if rate)}, weight decay {recipe.weight_decay:g}; soft "
        f"targets {recipe.soft_share:g} at temperature {recipe.soft_temperature:g}; "
        f"{f'captions mixed by Beta({recipe.mix:g}); ' if recipe.mix and not (recipe.text_rate or finished) else ''}"
        f"{f'{recipe.typed:.0%} of the captions as typed queries; ' if recipe.typed and recipe.text_rate else ''}"
        f"{f'pairs of captions {recipe.paired:g} x {recipe.pairs}; ' if recipe.paired and recipe.text_rate else ''}"
        f"{f'weights averaged by {recipe.ema:g}; ' if recipe.ema else ''}"
        f"{f'{recipe.blend:.0%} of them blended with those before; ' if recipe.blend < 1 else ''}"
        f"{'one more picture head, trained separately; ' if recipe.apart else ''}"
        f"{f'{recipe.fresh} new picture heads; ' if recipe.fresh else ''}"
        f"{'a loss for each head; ' if recipe.each else ''}"
        f"{f'ImageNet classes kept by weight {recipe.classes:g}; ' if recipe.classes else ''}"
        f"frames kept {recipe.keep_frame:.0%}, up to {recipe.views} views; seed {recipe.seed}."
    )


def changed(recipe: StageRecipe) -> str:
    """The fields that differ from the defaults, as text. New fields with defaults leave it as it was."""
    usual = asdict(StageRecipe())
    return repr({name: value for name, value in asdict(recipe).items() if value != usual[name]})
