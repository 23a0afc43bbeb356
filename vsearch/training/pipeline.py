"""The whole way, wired top to bottom: sets, features, stages of training, export, checks, card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from vsearch.training.backbone import SIZE, Backbones, load_backbones
from vsearch.training.batches import SetData, Writing
from vsearch.training.card import Findings, write_card
from vsearch.training.check import Folder, milliseconds_a_frame
from vsearch.training.data import TEMPLATES, PictureSet, load_captioned, load_paired_captions, load_training_sets
from vsearch.training.export import Shipped, export_features, export_folder, picture_session, state_score
from vsearch.training.features import cache_name, extract
from vsearch.training.heads import DIM, PictureTower, TextTower
from vsearch.training.imagenet import CLASS_NAMES
from vsearch.training.metrics import in_line
from vsearch.training.minilm import Tokens, encode_sentences, load_minilm
from vsearch.training.precision import choose_precision
from vsearch.training.prepare import prepare_set, settle, written_vectors
from vsearch.training.recipe import WEIGHTS, Recipe, changed, describe
from vsearch.training.train import Towers, text_vectors, train, train_apart
from vsearch.training.validate import evaluate

LABELLED = tuple(TEMPLATES)


def _more_labels(factor: float) -> dict[str, float]:
    return {name: share * (factor if name in LABELLED else 1) for name, share in WEIGHTS.items()}


_TEXT = Recipe(
    steps=400, batch=320, head_rate=2e-4, text_rate=1e-4, warm_up=0.1, typed=0.25, paired=0.4, ema=0.99, views=1
)
_APART = Recipe(steps=600, apart=True, text_head_rate=0.0)
_PICTURES = Recipe(text_head_rate=0.0, each=True, views=6, mix=0.0, weights=_more_labels(2))
_TUNED = replace(_PICTURES, head_rate=4e-4, tail_rate=2e-4, classes=0.5, warm_up=0.2)
TOWERS: tuple[tuple[str, Recipe], ...] = (
    ("heads", Recipe(steps=600, views=1)),
    ("text", replace(_TEXT, seed=3)),
    ("text again", replace(_TEXT, seed=4, views=3, weights=_more_labels(1.8), blend=0.7)),
)
HEADS: tuple[tuple[str, Recipe], ...] = (
    ("another head", replace(_APART, seed=11, weights=_more_labels(1.5))),
    ("a third head", replace(_APART, seed=14, weights=_more_labels(3))),
    ("a fourth head", replace(_APART, seed=21, weights=_more_labels(2), conse=4.0)),
)
"""More picture heads on frozen features: what ships."""
PICTURES: tuple[tuple[str, Recipe], ...] = (
    ("new heads", replace(_PICTURES, steps=200, frames=2, fresh=3, seed=5)),
    ("pictures", replace(_TUNED, steps=400, batch=320, frames=1, seed=105)),
)
"""Instead: new heads together with the picture backbone's last blocks. No better, see docs/experiments.md, where all of
these were chosen on the validation split."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    data: Path
    out: Path
    cache: Path
    held: tuple[str, ...]
    """Validation video ids."""
    added: tuple[tuple[str, Path, Path], ...] = ()
    """More sets: name, pictures, captions."""
    share: float = 0.05
    views: int = 3
    seed: int = 1
    threads: int = 2
    version: str = "1"
    device: str = "cpu"
    locked: bool = False
    """Locked-image tuning: pictures keep the vectors that the first stage, "heads", gave them."""
    tail_rate: float = 0.0
    """Of the picture backbone's last blocks in the stages that tune the sentence encoder: both towers at once."""
    whole_rate: float = 0.0
    """Full tuning: of both picture backbones, from the pixels on, in the stages that tune the sentence encoder."""
    pictures: bool = False
    """Tune the picture backbone's last blocks against the finished text tower, with new heads."""
    frozen: bool = False
    """Heads alone, on frozen networks: what everything else is measured against."""

    @property
    def command(self) -> str:
        """What makes this model again, for its card; folders are left to whoever reads it."""
        chosen = {
            "--lock-pictures": self.locked,
            "--tail-rate": self.tail_rate,
            "--full-rate": self.whole_rate,
            "--tune-pictures": self.pictures,
            "--frozen": self.frozen,
            "--share": self.share if self.added else 0,
        }
        given = [name if value is True else f"{name} {value:g}" for name, value in chosen.items() if value]
        given += [f"--set {name}=IMAGES,CAPTIONS.tsv" for name, _, _ in self.added]
        plain = f"python -m vsearch.training --data DIR --out DIR --views {self.views} --seed {self.seed}"
        return " ".join([plain, *given])


class Follow(Protocol):
    """Told how far a stage is."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None: ...


def extract_all(settings: Settings, sets: list[PictureSet], follow: Follow) -> None:
    """Every view of every set that the cache does not hold yet, the plain view of all sets first."""
    backbone = settings.cache / "backbones.onnx"
    if not backbone.exists():
        export_features(load_backbones(), backbone)
    for view in range(settings.views):
        for pictures in (pictures for place, pictures in enumerate(sets) if view < views_of(place, pictures, settings)):
            total = len(pictures.pictures)
            stage = f"{cache_name(pictures)}, view {view + 1}"
            extract(
                settings.cache,
                pictures,
                backbone,
                view=view,
                threads=settings.threads,
                seed=settings.seed,
                progress=lambda done, stage=stage, total=total: follow(stage, done, total),  # type: ignore[misc]
            )


def views_of(place: int, pictures: PictureSet, settings: Settings) -> int:
    """How many views of a set training draws from. They cost time: photographs of a label are few and get all, the
    frames of the first set also their mirror image, the rest is seen as it is."""
    if pictures.name in TEMPLATES:
        return settings.views
    return min(settings.views, 2) if place == 0 else 1


def stages_of(settings: Settings) -> Iterator[tuple[str, Recipe]]:
    """The stages with this run's seed, views and added sets."""
    added = {name: settings.share for name, _, _ in settings.added}
    stages = TOWERS[:1] if settings.frozen else (*TOWERS, *(PICTURES if settings.pictures else HEADS))
    for name, recipe in stages:
        weights, views = {**recipe.weights, **added}, min(recipe.views, settings.views)
        recipe = replace(recipe, seed=settings.seed + recipe.seed - 1, views=views, weights=weights)
        if recipe.text_rate:
            frames = 1 if settings.whole_rate or settings.tail_rate else recipe.frames  # each costs time and room
            recipe = replace(recipe, tail_rate=settings.tail_rate, whole_rate=settings.whole_rate, frames=frames)
        yield name, recipe


def anchor_classes(towers: Towers, tokens: Tokens) -> None:
    """Tell the picture tower where the text tower puts ImageNet's classes."""
    towers.eval()
    with torch.inference_mode():
        towers.picture.anchor(text_vectors(towers, tokens.ids(CLASS_NAMES)))


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The towers after every stage, and what they were trained and are measured on."""

    towers: Towers
    backbones: Backbones
    sets: list[SetData]
    validation: SetData
    labelled: list[SetData]
    lineage: str
    """Digest of the sets and recipes that led here."""
    reference: dict[str, float]
    lines: list[str]
    recipe_lines: list[str]


def train_towers(settings: Settings, follow: Follow) -> Trained:
    """Features (cached) and all stages of training (checkpointed): run again, it goes on or is done at once."""
    settings.cache.mkdir(parents=True, exist_ok=True)
    sets, validation, labelled = load_training_sets(settings.data, settings.held)
    sets += [load_captioned(name, images, table) for name, images, table in settings.added]
    extract_all(settings, sets, follow)

    encoder, tokens, backbones = load_minilm(), Tokens(), load_backbones()
    follow("sentences", 0, len(sets))
    prepared = []
    for number, pictures in enumerate(sets, 1):
        prepared.append(prepare_set(pictures, settings.cache, encoder, tokens, settings.seed))
        follow("sentences", number, len(sets))
    held = prepare_set(validation, settings.cache, encoder, tokens)
    held_labels = [prepare_set(pictures, settings.cache, encoder, tokens) for pictures in labelled]

    class_vectors = encode_sentences(encoder, tokens, CLASS_NAMES).clone()
    torch.manual_seed(settings.seed)
    towers = Towers(PictureTower(backbones.main, class_vectors), TextTower(encoder))
    features = prepared[0].cache.features
    towers.picture.standardise(torch.from_numpy(features.reshape(-1, features.shape[-1])).float())
    paired = load_paired_captions(settings.data / "msrvtt", settings.held)
    writing = Writing(tokens.ids, [tokens.ids(captions) for captions in paired])
    lines = []
    recipe_lines = []
    reference: dict[str, float] = {}
    lineage = hashlib.sha256(repr([(p.name, len(p.items), len(p.pictures)) for p in sets]).encode())
    for name, recipe in stages_of(settings):
        total = recipe.steps
        locked = settings.locked and bool(recipe.text_rate)
        if recipe.whole_rate and towers.picture.other is None:  # not before: earlier stages are those of any other run
            towers.picture.open_up(backbones)
        if not recipe.text_rate and recipe.text_head_rate == 0 and prepared[0].written is None:
            digest = lineage.hexdigest()[:12]
            prepared = [written_vectors(settings.cache, digest, towers, data) for data in prepared]
            if not settings.pictures:  # which goes on tuning last blocks
                prepared = settle(towers, prepared, settings.views)
        # a stage is resumed only where everything before it was the same
        lineage.update((changed(recipe) + " locked" * locked).encode())
        (train_apart if recipe.apart else train)(
            towers,
            prepared,
            recipe,
            precision=choose_precision(settings.device),
            locked=locked,
            writing=writing,
            checkpoint=settings.cache / f"stage-{name.replace(' ', '-')}-{lineage.hexdigest()[:12]}.pt",
            progress=lambda step, loss, name=name, total=total: follow(name, step, total, f"{loss:.2f}"),  # type: ignore[misc]
        )
        reference = evaluate(towers, held, held_labels)
        lines.append(f"after {name}: {in_line(reference)}")
        recipe_lines.append(f"{name}: {describe(recipe)}")
    towers.cpu()
    anchor_classes(towers, tokens)
    reference = evaluate(towers, held, held_labels)
    lines.append(f"with ImageNet's classes in the text tower's place: {in_line(reference)}")
    digest = lineage.hexdigest()[:12]
    return Trained(towers, backbones, prepared, held, held_labels, digest, reference, lines, recipe_lines)


def build(settings: Settings, follow: Follow) -> list[str]:
    """Run everything and return the lines worth reading. Raises VsearchError where the data is not usable."""
    done = train_towers(settings, follow)
    scale = float(done.towers.log_scale.detach().exp())
    export_folder(settings.out, done.backbones, done.towers, Shipped(settings.version, scale))
    sets = [data.pictures for data in done.sets]
    labelled = [data.pictures for data in done.labelled]
    return done.lines + check_and_describe(
        settings, done.validation.pictures, labelled, sets, done.reference, done.recipe_lines
    )


def check_and_describe(
    settings: Settings,
    validation: PictureSet,
    labelled: list[PictureSet],
    sets: list[PictureSet],
    reference: dict[str, float],
    recipe_lines: list[str],
) -> list[str]:
    """Measure the exported folder by itself and write its card."""
    folder = Folder(settings.out, SIZE, settings.threads)
    shipped, usual = folder.retrieve(validation)
    state_score(settings.out, usual)
    labels = {p.name: (folder.classify(p), len({item.label for item in p.items})) for p in labelled}
    photographs = folder.photographs()
    files = json.loads((settings.out / "config.json").read_text(encoding="utf-8"))["sha256"]
    milliseconds = milliseconds_a_frame(picture_session(settings.out / "image.onnx", threads=1), SIZE)
    found = Findings(
        version=settings.version,
        dim=DIM,
        size=SIZE,
        megabytes=sum((settings.out / name).stat().st_size for name in files) / 1e6,
        gallery=len(validation.items),
        shipped=shipped,
        reference=reference,
        labels=labels,
        photographs=photographs,
        milliseconds=milliseconds,
        sets={p.name: (len(p.items), sum(len(item.captions) for item in p.items)) for p in sets},
        recipe=tuple(recipe_lines),
        command=settings.command,
    )
    write_card(settings.out / "README.md", found)
    return [
        f"shipped: {in_line(shipped)}",
        "labels: " + in_line({name: accuracy for name, (accuracy, _) in labels.items()}),
        f"photographs: {photographs}",
        f"{milliseconds:.1f} ms of CPU a frame; {found.megabytes:.1f} MB",
    ]
