"""The photographs that scikit-image ships, by plain captions: python -m eval.photos.

They resemble no benchmark's frames, so they reveal a model that fits MSR-VTT only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from eval.aggregation import similarity
from eval.gallery import encode_texts
from eval.metrics import TIE_RULE, Ranks, as_json, figures
from eval.models import open_model
from eval.options import add_json, add_model, command, new_parser
from eval.pictures import Pictures
from eval.report import figures_table, notes, print_json
from vsearch.errors import InputError, MediaError
from vsearch.metrics import ranks as ranks_of
from vsearch.models.protocols import Model

CAPTIONS = {
    "astronaut": "an astronaut in an orange space suit",
    "chelsea": "a cat",
    "coffee": "a cup of coffee on a table",
    "rocket": "a rocket on its launch pad",
    "motorcycle_left": "a motorcycle in a garage",
    "camera": "a man with a camera on a tripod",
    "horse": "the silhouette of a horse",
    "coins": "old coins",
    "moon": "the surface of the moon",
    "hubble_deep_field": "galaxies in deep space",
    "page": "a printed page of a book",
    "brick": "a brick wall",
    "grass": "grass",
    "gravel": "gravel",
    "clock_motion": "a clock",
    "retina": "the retina of an eye",
    "ihc": "tissue under a microscope",
}
"""Name of a file in skimage/data: a query for it. The five best-known photographs come first."""
KNOWN_FIVE = tuple(CAPTIONS)[:5]


def photo_ranks(model: Model, pictures: Pictures, names: Sequence[str]) -> Ranks:
    """For each caption the rank of its photograph among those of `names`."""
    pixels = np.stack([pictures.read(name, model.frame_size) for name in names])
    frames = model.encode_frames(pixels)
    videos = list(model.aggregate([frame[None] for frame in frames])[:, None, :])  # a video of one frame each
    scores = similarity(encode_texts(model, [CAPTIONS[name] for name in names]), videos)
    return ranks_of(scores, np.arange(len(names)))


def photo_folder() -> Path:
    """Where scikit-image keeps its photographs, found without importing it."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise InputError("scikit-image is not installed: pip install 'scikit-image>=0.24'")
    return Path(spec.origin).parent / "data"


def readable(pictures: Pictures, model: Model) -> list[str]:
    """The photographs that this version of scikit-image ships and that can be read."""
    names, problems = [], []
    for name in CAPTIONS:
        try:
            if name in pictures:
                pictures.read(name, model.frame_size)
                names.append(name)
            else:
                problems.append(f"{name}: this scikit-image does not ship it")
        except MediaError as error:
            problems.append(str(error))
    notes("photographs left out", problems)
    if not names:
        raise InputError("scikit-image ships none of the photographs that have a caption")
    return names


def evaluate(arguments: argparse.Namespace) -> None:
    """Rank every photograph and print the figures."""
    folder = photo_folder()
    model = open_model(arguments.model)
    with Pictures([folder]) as pictures:
        names = readable(pictures, model)
        ranks = photo_ranks(model, pictures, names)
    rows: list[dict[str, Any]] = [
        {"photo": name, "caption": CAPTIONS[name], "rank": int(rank)} for name, rank in zip(names, ranks, strict=True)
    ]
    first = sum(row["rank"] == 1 for row in rows)
    five = sum(row["rank"] == 1 for row in rows if row["photo"] in KNOWN_FIVE)
    estimates = figures(ranks)
    if arguments.json:
        print_json(
            {
                "model": model.space.model,
                "photos": len(rows),
                "first": first,
                "first_of_five": five,
                "ties": TIE_RULE,
                **as_json(estimates),
                "ranks": rows,
            }
        )
        return
    for row in rows:
        print(f"{row['rank']:>4}  {row['photo']:<18} {row['caption']}")
    print(
        f"\n{first} of {len(rows)} rank first, {five} of the first five; model {model.space.model}; ties {TIE_RULE}\n"
    )
    print("\n".join(figures_table({"caption to photograph": estimates})))


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.photos", __doc__)
    add_model(p)
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
