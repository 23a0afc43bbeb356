"""The model card, README.md of a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsearch.metrics import in_line
from vsearch.training.check import REPORTED

_CARD = """# mini {version}: the embedded text-video model

Two towers with embeddings of {dim} dimensions. A frame (the whole picture, squashed to a square) goes through
EfficientNet-Lite2 at {size} px and -Lite0 at 224 px, then a head whose input also contains its ConSE vector: the
sentence embeddings of ImageNet's classes, weighted by their probabilities. Four such heads are averaged, three of
them trained separately, and the text tower's embeddings of the predicted classes are added with a small weight. A
sentence goes through MiniLM and a head. The embedding of a scene is the mean of its frames.
{megabytes:.1f} MB in all, ONNX Runtime, no torch.

## Numbers

Measured on the files of this folder, through ONNX Runtime.

| | result |
|---|---|
| MSR-VTT validation, text to video, gallery {gallery} | {retrieval} |
| before export, float32 | {reference} |
{labels}
{photographs}
| CPU time per frame, batch 16, one thread | {milliseconds:.0f} ms |

The validation split is {gallery} of MSR-VTT's training videos (`eval/splits/msrvtt_val.txt`), the first caption of
each. A tie counts against the query. Recipes were chosen on this split, so expect slightly lower results elsewhere.
The videos of the 1k-A test list were not used. Labels are held-out photographs; every phrase of the set is a candidate,
and prompt templates are averaged. The same phrases were trained on with other photographs, so the results do not cover
new phrases.

## Data and licence

* Starting weights: EfficientNet-Lite2 and -Lite0 (ImageNet) and all-MiniLM-L6-v2, all Apache-2.0.
* TrainedTowers on: {sets}.
* These are research data sets: MSR-VTT (Microsoft Research, research use), Flickr8k (research use), MS-COCO captions,
  YouCook2, Stanford 40, WIDER, MiniPlaces and sports photographs, each under its own terms. The weights are given under
  Apache-2.0 as far as the project can grant it. Before building a product on them, check what the terms of the
  training data mean for that use.

## Limits

* English sentences, best as plain descriptions ("a man is playing guitar"). It does not understand counting, who does
  what to whom, written words, names or faces.
* A scene embedding is a mean over frames: the order of events is ignored.
* It is small: among {gallery} MSR-VTT videos it ranks the right one first for about one query in {odds:.0f}. Large CLIP
  models do far better; vsearch runs them as well.
* Its data are web videos and photographs from before about 2017, with their biases about people.

## StageRecipe

`{command}`

{recipe}
"""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """The measurements that the card states."""

    version: str
    dim: int
    size: int
    megabytes: float
    gallery: int
    shipped: Mapping[str, float]
    """Retrieval metrics of the exported folder."""
    reference: Mapping[str, float]
    """Retrieval metrics before export."""
    labels: Mapping[str, tuple[float, int]]
    """Group -> zero-shot top-1 (percent), number of phrases."""
    photographs: Mapping[str, int]
    """Photograph -> its rank for its caption."""
    milliseconds: float
    """CPU time per frame."""
    sets: Mapping[str, tuple[int, int]]
    """Set -> items, captions."""
    recipe: tuple[str, ...]
    """One line per stage."""
    command: str


def _photographs(ranks: Mapping[str, int]) -> str:
    """Two rows of the table: the reported photographs by name, and all."""
    if not ranks:
        return "| scikit-image photographs | not measured |"
    reported = list(ranks)[:REPORTED]
    names = ", ".join(f"{Path(name).stem} at {ranks[name]}" for name in reported)
    first = sum(ranks[name] == 1 for name in reported)
    every = sum(rank == 1 for rank in ranks.values())
    return (
        f"| scikit-image photographs by plain captions ({names} of {len(ranks)}) | {first} of {len(reported)} first |"
        f"\n| all {len(ranks)} of them | {every} first |"
    )


def write_card(path: Path, facts: CardFacts) -> None:
    """README.md of a model folder."""
    text = _CARD.format(
        version=facts.version,
        dim=facts.dim,
        size=facts.size,
        megabytes=facts.megabytes,
        gallery=facts.gallery,
        retrieval=in_line(facts.shipped),
        reference=in_line({name: facts.reference[name] for name in facts.shipped}),
        labels="\n".join(
            f"| {group}, top-1 of {count} phrases | {accuracy:.1f} |"
            for group, (accuracy, count) in facts.labels.items()
        ),
        photographs=_photographs(facts.photographs),
        milliseconds=facts.milliseconds,
        sets="; ".join(
            f"{name} ({items:,} items, {captions:,} sentences)" for name, (items, captions) in facts.sets.items()
        ),
        odds=100 / max(facts.shipped["R@1"], 1.0),
        command=facts.command,
        recipe="\n".join(f"{number}. {line}" for number, line in enumerate(facts.recipe, 1)),
    )
    path.write_text(text, encoding="utf-8")
