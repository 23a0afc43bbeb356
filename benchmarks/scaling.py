"""How embeddings change where the decoder scales frames instead of the model's own filter, and what that saves.

    python -m benchmarks.scaling film.mp4 ... --model ViT-B-32/openai
    python -m benchmarks.scaling film.mp4 ...            the embedded model, and ViT-B-32 with random weights

FrameSize(filter="area"): FFmpeg averages source pixels while it converts. "bicubic": the whole picture is converted and
Pillow scales it, as open_clip does. Each second's frame is encoded both ways: the cosines between the two, how often
the nearest other frame of the same set stays the same, and what a frame costs to scale.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.models import open_model
from vsearch.indexer.decode import DecodeRequest, find_decoder
from vsearch.indexer.probe import Probed, probe_video
from vsearch.media import Pixels
from vsearch.models.protocols import Filter, VideoEncoder

AT_MOST = 8
"""Frames of one file."""


def frames(paths: Sequence[Path], model: VideoEncoder, how: Filter) -> tuple[Pixels, float]:
    """One frame a second of each file, [N, H, W, 3], and the CPU milliseconds that scaling took for each."""
    scaled, spent = [], 0.0
    for path in paths:
        probed = probe_video(path)
        if not isinstance(probed, Probed):
            continue
        due = 0.5
        for frame in find_decoder("pyav")(DecodeRequest(path, probed, replace(model.frame_size, filter=how))):
            if frame.time >= due:
                started = time.thread_time()
                scaled.append(frame.pixels())
                spent += time.thread_time() - started
                due += 1.0
            if due > AT_MOST:
                break
    return np.stack(scaled), 1000 * spent / len(scaled)


def report(name: str, model: VideoEncoder, paths: Sequence[Path]) -> str:
    (area, cheap), (bicubic, dear) = (frames(paths, model, how) for how in ("area", "bicubic"))
    ours, theirs = model.encode_frames(area), model.encode_frames(bicubic)
    cosines = (ours * theirs).sum(axis=1)
    among, other = ours @ ours.T, theirs @ theirs.T
    for matrix in (among, other):
        np.fill_diagonal(matrix, -1)
    same = (among.argmax(axis=1) == other.argmax(axis=1)).mean()
    pairs = among[np.triu_indices(len(among), 1)]
    return (
        f"{name}: {len(ours)} frames, cosine {cosines.mean():.4f}, least {cosines.min():.4f}; between different frames "
        f"{np.median(pairs):.4f} in the median; nearest other frame the same for {100 * same:.0f} %; "
        f"area {cheap:.1f} ms, bicubic {dear:.1f} ms a frame"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
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
        print(report(name, model, given.videos), flush=True)


if __name__ == "__main__":
    main()
