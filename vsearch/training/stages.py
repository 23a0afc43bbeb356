"""Building the embedded model: sets, features, stages of training, export, checks, model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vsearch.metrics import in_line
from vsearch.training.backbone import SIZE, Backbones, load_backbones
from vsearch.training.batches import SetData, TextSource
from vsearch.training.card import CardFacts, write_card
from vsearch.training.check import ExportedFolder, milliseconds_per_frame
from vsearch.training.data import TEMPLATES, PictureSet, load_captioned, load_paired_captions, load_training_sets
from vsearch.training.encode import encode_captions
from vsearch.training.export_towers import ExportInfo, export_features, export_folder, picture_session, write_score
from vsearch.training.features import cache_name, extract
from vsearch.training.imagenet import CLASS_NAMES
from vsearch.training.loop import StageProgress
from vsearch.training.minilm import Tokens, encode_sentences, load_minilm
from vsearch.training.precision import choose_precision
from vsearch.training.prepare import encode_set_captions, prepare_set, recompute_features
from vsearch.training.recipe import WEIGHTS, StageRecipe, changed, describe
from vsearch.training.tower_training import train_extra_head, train_stage
from vsearch.training.towers import DIM, PictureTower, TextTower, Towers
from vsearch.training.validate import validate_towers


def _more_labels(factor: float) -> dict[str, float]:
    return {name: share * (factor if name in TEMPLATES else 1) for name, share in WEIGHTS.items()}


_TEXT = StageRecipe(
    steps=400, batch=320, head_rate=2e-4, text_rate=1e-4, warm_up=0.1, typed=0.25, paired=0.4, ema=0.99, views=1
)
_APART = StageRecipe(steps=600, apart=True, text_head_rate=0.0)
_PICTURES = StageRecipe(text_head_rate=0.0, each=True, views=6, mix=0.0, weights=_more_labels(2))
_TUNED = replace(_PICTURES, head_rate=4e-4, tail_rate=2e-4, classes=0.5, warm_up=0.2)
TOWERS: tuple[tuple[str, StageRecipe], ...] = (
    ("heads", StageRecipe(steps=600, views=1)),
    ("text", replace(_TEXT, seed=3)),
    ("text again", replace(_TEXT, seed=4, views=3, weights=_more_labels(1.8), blend=0.7)),
)
HEADS: tuple[tuple[str, StageRecipe], ...] = (
    ("another head", replace(_APART, seed=11, weights=_more_labels(1.5))),
    ("a third head", replace(_APART, seed=14, weights=_more_labels(3))),
    ("a fourth head", replace(_APART, seed=21, weights=_more_labels(2), conse=4.0)),
)
"""Stages after TOWERS that train more picture heads on frozen features; the shipped model has these."""
PICTURES: tuple[tuple[str, StageRecipe], ...] = (
    ("new heads", replace(_PICTURES, steps=200, frames=2, fresh=3, seed=5)),
    ("pictures", replace(_TUNED, steps=400, batch=320, frames=1, seed=105)),
)
"""Stages instead of HEADS with `BuildOptions.pictures`: new heads with Lite2's last blocks. They are no better, see
docs/experiments.md. All recipes were chosen on the validation split."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of `python -m vsearch.training`."""

    data: Path
    out: Path
    cache: Path
    held: tuple[str, ...]
    """Ids of the validation videos."""
    added: tuple[tuple[str, Path, Path], ...] = ()
    """More sets: name, pictures, captions."""
    share: float = 0.05
    """Share of the batches that each added set gets."""
    views: int = 3
    """Views of each picture in the cache."""
    seed: int = 1
    threads: int = 2
    version: str = "1"
    device: str = "cpu"
    locked: bool = False
    """Locked-image tuning: the picture tower is trained by the first stage, "heads", only."""
    tail_rate: float = 0.0
    """Learning rate of Lite2's last blocks in the stages that tune the sentence encoder."""
    whole_rate: float = 0.0
    """Learning rate of both whole picture backbones in the stages that tune the sentence encoder."""
    pictures: bool = False
    """Whether to run the stages of PICTURES instead of HEADS."""
    frozen: bool = False
    """Whether to train heads alone, on frozen networks: the baseline."""

    @property
    def command(self) -> str:
        """The command that builds this model again, for its card, with placeholders for folders."""
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


def extract_all(options: BuildOptions, sets: list[PictureSet], report: StageProgress) -> None:
    """Compute the views that the cache does not hold yet, the plain view of all sets first."""
    backbone = options.cache / "backbones.onnx"
    if not backbone.exists():
        export_features(load_backbones(), backbone)
    for view in range(options.views):
        for pictures in (pictures for place, pictures in enumerate(sets) if view < views_of(place, pictures, options)):
            total = len(pictures.pictures)
            stage = f"{cache_name(pictures)}, view {view + 1}"
            extract(
                options.cache,
                pictures,
                backbone,
                view=view,
                threads=options.threads,
                seed=options.seed,
                progress=lambda done, stage=stage, total=total: report(stage, done, total),  # type: ignore[misc]
            )


def views_of(place: int, pictures: PictureSet, options: BuildOptions) -> int:
    """Views of a set in the cache. Each costs time: labelled photographs, which are few, get all, the first set also
    the mirror image, every other set the plain view only."""
    if pictures.name in TEMPLATES:
        return options.views
    return min(options.views, 2) if place == 0 else 1


def stages_of(options: BuildOptions) -> Iterator[tuple[str, StageRecipe]]:
    """Name and recipe of each stage, with the seed, views and added sets of the options."""
    added = {name: options.share for name, _, _ in options.added}
    stages = TOWERS[:1] if options.frozen else (*TOWERS, *(PICTURES if options.pictures else HEADS))
    for name, recipe in stages:
        weights, views = {**recipe.weights, **added}, min(recipe.views, options.views)
        recipe = replace(recipe, seed=options.seed + recipe.seed - 1, views=views, weights=weights)
        if recipe.text_rate:
            frames = 1 if options.whole_rate or options.tail_rate else recipe.frames  # each costs time and memory
            recipe = replace(recipe, tail_rate=options.tail_rate, whole_rate=options.whole_rate, frames=frames)
        yield name, recipe


def anchor_classes(towers: Towers, tokens: Tokens) -> None:
    """Give the picture tower the text tower's embeddings of ImageNet's class names."""
    towers.eval()
    with torch.inference_mode():
        towers.picture.anchor(encode_captions(towers, tokens.ids(CLASS_NAMES)))


@dataclass(frozen=True, slots=True, eq=False)
class TrainedTowers:
    """The towers after all stages, with their sets and results."""

    towers: Towers
    backbones: Backbones
    sets: list[SetData]
    validation: SetData
    labelled: list[SetData]
    lineage: str
    """Digest of the sets and recipes."""
    reference: dict[str, float]
    """Metrics on the validation split before export."""
    lines: list[str]
    """Results after each stage, for the console."""
    recipe_lines: list[str]
    """One line per stage, for the card."""


def train_towers(options: BuildOptions, report: StageProgress) -> TrainedTowers:
    """Extract features (cached) and run all stages (checkpointed): a second call resumes an interrupted one."""
    options.cache.mkdir(parents=True, exist_ok=True)
    sets, validation, labelled = load_training_sets(options.data, options.held)
    sets += [load_captioned(name, images, table) for name, images, table in options.added]
    extract_all(options, sets, report)

    encoder, tokens, backbones = load_minilm(), Tokens(), load_backbones()
    report("sentences", 0, len(sets))
    prepared = []
    for number, pictures in enumerate(sets, 1):
        prepared.append(prepare_set(pictures, options.cache, encoder, tokens, options.seed))
        report("sentences", number, len(sets))
    held = prepare_set(validation, options.cache, encoder, tokens)
    held_labels = [prepare_set(pictures, options.cache, encoder, tokens) for pictures in labelled]

    class_vectors = encode_sentences(encoder, tokens, CLASS_NAMES).clone()
    torch.manual_seed(options.seed)
    towers = Towers(PictureTower(backbones.main, class_vectors), TextTower(encoder))
    features = prepared[0].cache.features
    towers.picture.standardise(torch.from_numpy(features.reshape(-1, features.shape[-1])).float())
    paired = load_paired_captions(options.data / "msrvtt", options.held)
    source = TextSource(tokens.ids, [tokens.ids(captions) for captions in paired])
    lines = []
    recipe_lines = []
    reference: dict[str, float] = {}
    lineage = hashlib.sha256(repr([(p.name, len(p.items), len(p.pictures)) for p in sets]).encode())
    for name, recipe in stages_of(options):
        locked = options.locked and bool(recipe.text_rate)
        if recipe.whole_rate and towers.picture.other is None:  # only now, so that all runs share earlier checkpoints
            towers.picture.hold_networks(backbones)
        if not recipe.text_rate and recipe.text_head_rate == 0 and prepared[0].caption_vectors is None:
            digest = lineage.hexdigest()[:12]
            prepared = [encode_set_captions(options.cache, digest, towers, data) for data in prepared]
            if not options.pictures:  # those stages tune the last blocks further
                prepared = recompute_features(towers, prepared, options.views)
        # the checkpoint's name contains all earlier stages: it is resumed only if they were the same
        lineage.update((changed(recipe) + " locked" * locked).encode())
        (train_extra_head if recipe.apart else train_stage)(
            towers,
            prepared,
            recipe,
            precision=choose_precision(options.device),
            locked=locked,
            source=source,
            checkpoint=options.cache / f"stage-{name.replace(' ', '-')}-{lineage.hexdigest()[:12]}.pt",
            progress=lambda step, loss, name=name, total=recipe.steps: report(name, step, total, f"{loss:.2f}"),  # type: ignore[misc]
        )
        reference = validate_towers(towers, held, held_labels)
        lines.append(f"after {name}: {in_line(reference)}")
        recipe_lines.append(f"{name}: {describe(recipe)}")
    towers.cpu()
    anchor_classes(towers, tokens)
    reference = validate_towers(towers, held, held_labels)
    lines.append(f"with the text tower's embeddings of ImageNet's classes: {in_line(reference)}")
    digest = lineage.hexdigest()[:12]
    return TrainedTowers(towers, backbones, prepared, held, held_labels, digest, reference, lines, recipe_lines)


def build(options: BuildOptions, report: StageProgress) -> list[str]:
    """Build the model folder and return its results as lines. Raises VsearchError if the data cannot be used."""
    done = train_towers(options, report)
    scale = float(done.towers.log_scale.detach().exp())
    export_folder(options.out, done.backbones, done.towers, ExportInfo(options.version, scale))
    return done.lines + check_export(options, done)


def check_export(options: BuildOptions, done: TrainedTowers) -> list[str]:
    """Measure the exported folder and write its card."""
    validation, sets = done.validation.pictures, [data.pictures for data in done.sets]
    folder = ExportedFolder(options.out, SIZE, options.threads)
    shipped, usual = folder.retrieve(validation)
    write_score(options.out, usual)
    labelled = [data.pictures for data in done.labelled]
    labels = {p.name: (folder.classify(p), len({item.label for item in p.items})) for p in labelled}
    photographs = folder.photographs()
    files = json.loads((options.out / "config.json").read_text(encoding="utf-8"))["sha256"]
    milliseconds = milliseconds_per_frame(picture_session(options.out / "image.onnx", threads=1), SIZE)
    facts = CardFacts(
        version=options.version,
        dim=DIM,
        size=SIZE,
        megabytes=sum((options.out / name).stat().st_size for name in files) / 1e6,
        gallery=len(validation.items),
        shipped=shipped,
        reference=done.reference,
        labels=labels,
        photographs=photographs,
        milliseconds=milliseconds,
        sets={p.name: (len(p.items), sum(len(item.captions) for item in p.items)) for p in sets},
        recipe=tuple(done.recipe_lines),
        command=options.command,
    )
    write_card(options.out / "README.md", facts)
    return [
        f"shipped: {in_line(shipped)}",
        "labels: " + in_line({name: accuracy for name, (accuracy, _) in labels.items()}),
        f"photographs: {photographs}",
        f"{milliseconds:.1f} ms of CPU per frame; {facts.megabytes:.1f} MB",
    ]
