"""The model card: what a person must know before trusting the weights, written beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vsearch.training.check import REPORTED
from vsearch.training.metrics import in_line

_CARD = """# mini {version}: the embedded text-video model

Two towers that meet in {dim} dimensions. A frame goes through EfficientNet-Lite2 at {size} px and -Lite0 at
224 px (the whole picture, squashed to the square) and a head that also sees where ImageNet's classes would put the
picture in the language (ConSE); four such heads, three of them trained apart, are averaged, and the frame is drawn a
little to where the sentence side puts the classes that ImageNet's classifier sees. A sentence goes through MiniLM and
a head. A scene is the mean of its frames.
{megabytes:.1f} MB in all, ONNX Runtime, no torch.

## Numbers

Measured on the files of this folder, through ONNX Runtime.

| | result |
|---|---|
| MSR-VTT validation, text to video, gallery {gallery} | {retrieval} |
| the same before export, float32 | {reference} |
{labels}
{photographs}
| CPU time a frame, batch 16, one thread | {milliseconds:.0f} ms |

The validation split is {gallery} of MSR-VTT's training videos (`eval/splits/msrvtt_val.txt`), the first caption of
each. A rank is one more than the number of videos that score higher; a tie counts against the query. Recipes were
chosen on this split, so expect a little less elsewhere. The videos of the 1k-A test list were not touched. Labels are
held-out photographs, every phrase of the set a candidate, prompt templates averaged; the phrases themselves were
trained on, with other photographs, so this says how well it knows them, not how it meets new ones.

## Data and licence

* Starting weights: EfficientNet-Lite2 and -Lite0 (ImageNet) and all-MiniLM-L6-v2, all Apache-2.0.
* Trained on: {sets}.
* These are research data sets: MSR-VTT (Microsoft Research, research use), Flickr8k (research use), MS-COCO captions,
  YouCook2, Stanford 40, WIDER, MiniPlaces and sports photographs, each under its own terms. The weights are given under
  Apache-2.0 as far as the project can give them; whoever builds a product on them should judge for themselves what the
  terms of the training data mean for that use.

## Limits

* English sentences, best as plain descriptions ("a man is playing guitar"). It has no sense of counting, of who does
  what to whom, of written words, names or faces.
* One vector a frame and their mean a scene: the order of events does not matter to it.
* It is small: of {gallery} MSR-VTT videos it ranks the right one first for about one query in {odds:.0f}. Large CLIP
  models do far better; vsearch runs them too, where they can be had.
* It has learnt what its data show: web videos and photographs from before about 2017, with their biases about people.

## Recipe

`{command}`

{recipe}
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the card states and that was measured."""

    version: str
    dim: int
    size: int
    megabytes: float
    gallery: int
    shipped: Mapping[str, float]
    reference: Mapping[str, float]
    labels: Mapping[str, tuple[float, int]]
    """Group -> zero-shot top-1 (percent), number of phrases."""
    photographs: Mapping[str, int]
    """Picture -> rank of its caption's match."""
    milliseconds: float
    """CPU time a frame."""
    sets: Mapping[str, tuple[int, int]]
    """Set -> items, captions."""
    recipe: tuple[str, ...]
    """One line a stage."""
    command: str


def _photographs(ranks: Mapping[str, int]) -> str:
    """Two rows of the table: the reported photographs by name, then all."""
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


def write_card(path: Path, found: Findings) -> None:
    """README.md of a model folder."""
    text = _CARD.format(
        version=found.version,
        dim=found.dim,
        size=found.size,
        megabytes=found.megabytes,
        gallery=found.gallery,
        retrieval=in_line(found.shipped),
        reference=in_line({name: found.reference[name] for name in found.shipped}),
        labels="\n".join(
            f"| {group}, top-1 of {count} phrases | {accuracy:.1f} |"
            for group, (accuracy, count) in found.labels.items()
        ),
        photographs=_photographs(found.photographs),
        milliseconds=found.milliseconds,
        sets="; ".join(
            f"{name} ({items:,} items, {captions:,} sentences)" for name, (items, captions) in found.sets.items()
        ),
        odds=100 / max(found.shipped["R@1"], 1.0),
        command=found.command,
        recipe="\n".join(f"{number}. {line}" for number, line in enumerate(found.recipe, 1)),
    )
    path.write_text(text, encoding="utf-8")
