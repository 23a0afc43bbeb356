"""Peak memory while a two-hour video is indexed, against a two-minute one of the same kind.

    python -m benchmarks.memory [--hours 2] [--model mini] [--json]

Linux only: it adds up the resident memory of the program and its decoding processes, ten times a second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import new_parser, resident
from tests.media import Shot, loop_video, make_video
from vsearch.media import Pixels, Space, Vectors
from vsearch.models.pooling import unit
from vsearch.models.protocols import FrameSize, VideoEncoder

DIM = 512


class Projection:
    """An encoder of almost no cost whose embeddings are as large as those of the embedded model."""

    space = Space(model="projection", fingerprint="projection-1", dim=DIM)
    frame_size = FrameSize(260, 260)

    def __init__(self) -> None:
        self._matrix = np.random.default_rng(0).standard_normal((3, DIM)).astype(np.float32)

    def encode_frames(self, pixels: Pixels) -> Vectors:
        return unit((pixels.mean((1, 2), dtype=np.float32) + 1) @ self._matrix)

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        return unit(np.stack([vectors.mean(0) for vectors in frame_vectors]))


def index(video: Path, library: Path, model: str | None) -> None:
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.library import SqliteStore
    from vsearch.models.registry import load_model

    encoder: VideoEncoder = load_model(model) if model else Projection()
    with SqliteStore.open(library, create=True) as opened:
        for _ in run_index(opened, IndexPlan(encoder), [video]):
            pass


def peak(video: Path, library: Path, model: str | None) -> int:
    """Peak memory in bytes of an index run in its own process."""
    worst = 0
    command = [sys.executable, "-m", "benchmarks.memory", "--index", str(video), str(library)]
    command += ["--model", model] if model else []
    with subprocess.Popen(command) as program:
        while program.poll() is None:
            worst = max(worst, resident(program.pid))
            time.sleep(0.1)
    if program.returncode:
        raise SystemExit(f"indexing {video} failed")
    return worst


def main() -> None:
    parser = new_parser("benchmarks.memory", __doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--model", help="default: an encoder of almost no cost, to measure everything else")
    parser.add_argument("--index", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.index:
        video, library = given.index
        index(video, library, given.model)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shots = [Shot("moving", 3.0 + seed % 4, seed) for seed in range(12)]
        lap = make_video(folder / "lap.mp4", shots, size=(320, 180), fps=10, gop=50)
        short = peak(loop_video(lap.path, folder / "short.mp4", 120), folder / "a", given.model)
        long = peak(loop_video(lap.path, folder / "long.mp4", given.hours * 3600), folder / "b", given.model)
    report = {
        "model": given.model,
        "two_minutes_mb": round(short / 1e6, 1),
        "long_hours": given.hours,
        "long_mb": round(long / 1e6, 1),
        "ratio": round(long / short, 3),
    }
    if given.json:
        print(json.dumps(report))
    else:
        print(f"two minutes: {report['two_minutes_mb']} MB; {given.hours} hours: {report['long_mb']} MB")
        print(f"ratio: {report['ratio']}")


if __name__ == "__main__":
    main()
