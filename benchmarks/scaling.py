"""How far the decoder's scaling moves a vector from the one that the model's own transform would give.

    python -m benchmarks.scaling film.mp4 ... --model ViT-B-32/openai
    python -m benchmarks.scaling film.mp4 ...            the embedded model, and ViT-B-32 with random weights

The decoder scales while it decodes (FFmpeg's AREA, every source pixel counted); models were trained on pictures that
Pillow scaled with its bicubic filter. Each second's frame is encoded both ways: the cosines between the two, and how
often the nearest other frame of the same set stays the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eval.models import open_model
from eval.pictures import fit_picture
from indexer.decode import DecodeRequest, find_decoder
from indexer.probe import Probed, probe_video
from vsearch.media import Pixels, Vectors
from vsearch.models.base import FrameSize, VideoEncoder

AT_MOST = 8
"""Frames of a file."""


def frames(path: Path, size: FrameSize) -> Iterator[Pixels]:
    probed = probe_video(path)
    if not isinstance(probed, Probed):
        return
    due, count = 0.5, 0
    for frame in find_decoder("pyav")(DecodeRequest(path, probed, size)):
        if frame.time >= due:
            yield frame.pixels()
            due, count = due + 1.0, count + 1
            if count == AT_MOST:
                return


def both_ways(paths: Sequence[Path], model: VideoEncoder) -> tuple[Vectors, Vectors]:
    """Vectors of the decoder's frames and of Pillow's, [N, D] each."""
    ours, theirs = [], []
    for path in paths:
        probed = probe_video(path)
        if not isinstance(probed, Probed):
            continue
        whole = FrameSize(probed.info.width, probed.info.height)
        for scaled, full in zip(frames(path, model.frame_size), frames(path, whole), strict=True):
            ours.append(scaled)
            theirs.append(fit_picture(Image.fromarray(full), model.frame_size))
    return model.encode_frames(np.stack(ours)), model.encode_frames(np.stack(theirs))


def report(name: str, ours: Vectors, theirs: Vectors) -> str:
    cosines = (ours * theirs).sum(axis=1)
    among = ours @ ours.T
    other = theirs @ theirs.T
    for matrix in (among, other):
        np.fill_diagonal(matrix, -1)
    same = (among.argmax(axis=1) == other.argmax(axis=1)).mean()
    pairs = among[np.triu_indices(len(among), 1)]
    return (
        f"{name}: {len(ours)} frames, cosine {cosines.mean():.4f}, least {cosines.min():.4f}; between different frames "
        f"{np.median(pairs):.4f} in the median; nearest other frame the same for {100 * same:.0f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--model", help="default: the embedded one, and ViT-B-32 with random weights")
    given = parser.parse_args()
    models: dict[str, VideoEncoder] = {}
    if given.model:
        models[given.model] = open_model(given.model)
    else:
        from vsearch.models.devices import Compute
        from vsearch.models.openclip import OpenClipModel
        from vsearch.models.openclip_source import random_parts

        models["mini"] = open_model("mini")
        parts = random_parts("ViT-B-32")
        models["ViT-B-32, random weights"] = OpenClipModel(parts, compute=Compute("cpu", "fp32"))
    for name, model in models.items():
        print(report(name, *both_ways(given.videos, model)))


if __name__ == "__main__":
    main()
