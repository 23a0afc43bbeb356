"""What a temporal encoder costs beside the frames that it reads: python -m benchmarks.temporal.

A scene of 12 random frames goes through the model's image.onnx; then its vectors go through each aggregation, untrained
but of the size that training uses. Limit: a scene costs at most 1.15 times its frames. Needs the extra `train`.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import new_parser, timed
from vsearch.models.model_folder import FolderModel
from vsearch.models.registry import load_model

LIMIT = 1.15


@dataclass(frozen=True, slots=True)
class Row:
    aggregation: str
    frames_ms: float
    """Encoding the frames of one scene with image.onnx, median."""
    aggregate_ms: float
    """The aggregation of the scene's frame embeddings, median."""
    ratio: float
    """Encoding and aggregation over encoding alone, median over rounds."""


def sessions(dim: int, width: int, frames: int, folder: Path, threads: int) -> dict[str, Any]:
    """A session of ONNX Runtime for each aggregation that the product can run."""
    import onnxruntime
    import torch

    from vsearch.models.temporal_encoder import AGGREGATIONS, TemporalOptions, build_aggregator, export_aggregator

    by_name = {}
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
        by_name[name] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return by_name


def measure(model: FolderModel, aggregations: dict[str, Any], *, frames: int, rounds: int) -> list[Row]:
    """Frames and every aggregation in turn, so that other load on the machine affects all alike."""
    size = model.frame_size
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (frames, size.height, size.width, 3), dtype=np.uint8)
    vectors = model.encode_frames(pixels)
    feed = {"frames": vectors[None], "mask": np.ones((1, frames), np.bool_)}
    frame_times: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in aggregations}
    for number in range(rounds + 2):  # the first ones load and warm up
        taken, _ = timed(lambda: model.encode_frames(pixels))
        for name, session in aggregations.items():
            added, _ = timed(partial(session.run, ["vectors"], feed))
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


def main() -> None:
    parser = new_parser("benchmarks.temporal", __doc__)
    parser.add_argument("--model", default="mini", help="a model folder's name or path; default: %(default)s")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--width", type=int, default=128, help="of the branch; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    model = load_model(arguments.model, threads=arguments.threads)
    if not isinstance(model, FolderModel):
        parser.error(f"{arguments.model} is not a model folder")
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
