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

from tests.media import Shot, loop_video, make_video
from vsearch.media import Pixels, Space, Vectors
from vsearch.models.base import FrameSize, VideoEncoder

DIM = 512


class Projection:
    """Vectors as large as the embedded model's, for next to no work: memory is measured here, not speed."""

    space = Space(model="projection", fingerprint="projection-1", dim=DIM)
    frame_size = FrameSize(260, 260)

    def __init__(self) -> None:
        self._matrix = np.random.default_rng(0).standard_normal((3, DIM)).astype(np.float32)

    def encode_frames(self, pixels: Pixels) -> Vectors:
        return _unit((pixels.mean((1, 2), dtype=np.float32) + 1) @ self._matrix)

    def aggregate(self, frame_vectors: Sequence[Vectors]) -> Vectors:
        return _unit(np.stack([vectors.mean(0) for vectors in frame_vectors]))


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def index(video: Path, library: Path, model: str | None) -> None:
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.library import SqliteStore
    from vsearch.models.registry import load_model

    encoder: VideoEncoder = load_model(model) if model else Projection()
    with SqliteStore.open(library, create=True) as opened:
        for _ in run_index(opened, IndexPlan(encoder), [video]):
            pass


def resident(pid: int) -> int:
    """Bytes of a process and of all that it started."""
    try:
        fields = Path(f"/proc/{pid}/status").read_text()
        own = next((int(line.split()[1]) * 1024 for line in fields.splitlines() if line.startswith("VmRSS")), 0)
        children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    except OSError:
        return 0
    return own + sum(resident(child) for child in children)


def peak(video: Path, library: Path, model: str | None) -> int:
    """Bytes, at the worst moment of a run in a process of its own."""
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
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--model", help="default: an encoder that costs nothing, so that only the rest is measured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--index", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.index:
        index(*given.index, given.model)
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
