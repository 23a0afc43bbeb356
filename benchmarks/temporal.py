"""What a temporal encoder costs beside the frames that it reads: python -m benchmarks.temporal.

A scene of 12 random frames goes through the model's image.onnx; then its vectors go through each aggregation, untrained
but of the size that training uses. Limit: a scene costs at most 1.15 times its frames. Needs the extra `train`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vsearch.models.model_folder import FolderModel
from vsearch.models.registry import load_model

LIMIT = 1.15


@dataclass(frozen=True, slots=True)
class Row:
    aggregation: str
    frames_ms: float
    """One scene's frames through image.onnx, median."""
    aggregate_ms: float
    """Their vectors to the scene's, median."""
    ratio: float
    """The median over rounds of both against the frames alone."""


def sessions(dim: int, width: int, frames: int, folder: Path, threads: int) -> dict[str, Any]:
    """A session of ONNX Runtime for each aggregation that the product can run."""
    import onnxruntime
    import torch

    from vsearch.models.temporal_encoder import AGGREGATIONS, TemporalOptions, build_aggregator, export_aggregator

    found = {}
    for name in AGGREGATIONS:
        if name == "kmeans":  # several vectors a scene: the index holds one
            continue
        torch.manual_seed(0)
        aggregator = build_aggregator(name, dim, TemporalOptions(frames, layers=1, heads=4, width=width))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            export_aggregator(aggregator, folder / f"{name}.onnx", dim=dim, max_frames=frames)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = str(folder / f"{name}.onnx")
        found[name] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return found


def measure(model: FolderModel, aggregations: dict[str, Any], *, frames: int, rounds: int) -> list[Row]:
    """Frames and every aggregation in turn, so that whatever else runs is shared by all."""
    size = model.frame_size
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (frames, size.height, size.width, 3), dtype=np.uint8)
    vectors = model.encode_frames(pixels)
    feed = {"frames": vectors[None], "mask": np.ones((1, frames), np.bool_)}
    frame_times: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in aggregations}
    for number in range(rounds + 2):  # the first ones load and warm up
        taken = _timed(lambda: model.encode_frames(pixels))
        for name, session in aggregations.items():
            added = _timed(lambda session=session: session.run(["vectors"], feed))  # type: ignore[misc]
            if number >= 2:
                times[name].append(added)
        if number >= 2:
            frame_times.append(taken)
    whole = np.array(frame_times)
    return [
        Row(
            name,
            float(np.median(whole)) * 1000,
            float(np.median(added)) * 1000,
            float(np.median((whole + np.array(added)) / whole)),
        )
        for name, added in times.items()
    ]


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="a model folder's name or path; default: %(default)s")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--width", type=int, default=128, help="of the branch; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    arguments = parser.parse_args()
    model = load_model(arguments.model, threads=arguments.threads)
    if not isinstance(model, FolderModel):
        parser.error(f"{arguments.model} is no model folder")
    with tempfile.TemporaryDirectory() as folder:
        graphs = sessions(model.config.frame_dim, arguments.width, arguments.frames, Path(folder), arguments.threads)
        rows = measure(model, graphs, frames=arguments.frames, rounds=arguments.rounds)
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    print(f"{arguments.frames} frames, {arguments.threads} thread(s): {rows[0].frames_ms:.1f} ms through image.onnx")
    for row in rows:
        verdict = "" if row.ratio <= LIMIT else f"  more than {LIMIT}"
        print(f"{row.aggregation:12} {row.aggregate_ms:8.3f} ms  {row.ratio:.4f} times its frames{verdict}")


if __name__ == "__main__":
    main()
