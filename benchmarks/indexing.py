"""How fast videos are indexed, against real time, and how well decoding and encoding overlap.

    python -m benchmarks.indexing                 a generated 720p H.264 video at 25 frames/s, two minutes
    python -m benchmarks.indexing film.mp4 --model mini --json

Needs the package and its dev extra; run it in the repository root, on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import new_parser, probed_video, wall_and_cpu
from tests.media import Shot, loop_video, make_video
from vsearch.errors import MediaError
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.decode import DecodedFrame, DecodeRequest, find_decoder
from vsearch.indexer.events import Event, Finished
from vsearch.indexer.options import available_cores
from vsearch.indexer.probe import Probed
from vsearch.indexer.sample import Sampler
from vsearch.indexer.scenes import CutDetector
from vsearch.indexer.thumbnails import Thumbnails
from vsearch.library import SqliteStore
from vsearch.media import Scene
from vsearch.models.protocols import VideoEncoder
from vsearch.models.registry import load_model


def film(folder: Path, seconds: float) -> Path:
    """720p25 at 2.5 Mbit/s: panning soft blocks with grain, four shots in 10 s, repeated."""
    lengths = (2.0, 4.0, 1.5, 2.5)
    shots = [Shot("grain", length, seed) for seed, length in enumerate(lengths)]
    options = {"preset": "veryfast", "b": "2500k"}
    made = make_video(folder / "lap.mp4", shots, size=(1280, 720), gop=250, codec_options=options)
    return loop_video(made.path, folder / "film.mp4", seconds)


def decode_alone(path: Path, probed: Probed, model: VideoEncoder, decoder: str, threads: int) -> int:
    """Decode every frame for the cut detector, and one a second for the model. Returns the number of frames."""
    count, due = 0, 0.5
    for frame in find_decoder(decoder)(DecodeRequest(path, probed, model.frame_size, threads)):
        frame.small()
        if frame.time >= due:
            frame.pixels()
            due += 1.0
        count += 1
    return count


class _Clocked(Thumbnails):
    """Thumbnails that count their CPU seconds."""

    spent = 0.0

    def see(self, frame: DecodedFrame) -> None:
        begun = time.thread_time()
        super().see(frame)
        self.spent += time.thread_time() - begun

    def take(self, scene: Scene) -> bytes:
        begun = time.thread_time()
        picture = super().take(scene)
        self.spent += time.thread_time() - begun
        return picture


def thumbnails_alone(path: Path, probed: Probed, model: VideoEncoder, decoder: str) -> float:
    """CPU seconds that thumbnails add to the work of the decoding process."""
    detector, clocked = CutDetector(), _Clocked()
    sampler = Sampler(1.0, detector.latency, thumbnails=clocked)
    for frame in find_decoder(decoder)(DecodeRequest(path, probed, model.frame_size)):
        for found in sampler.push(frame, detector.push(frame.small())):
            if isinstance(found, Scene):
                clocked.take(found)
    return clocked.spent


def encode_alone(model: VideoEncoder, frames: int, batch: int) -> None:
    size = model.frame_size
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size.height, size.width, 3), np.uint8)
    for _ in range(max(1, frames // batch)):
        model.encode_frames(pixels)


def main() -> None:
    parser = new_parser("benchmarks.indexing", __doc__)
    parser.add_argument("video", type=Path, nargs="?", help="a video of your own; default: one is generated")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the generated video")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--decoder", default="pyav", help="pyav or decord")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(given, Path(folder))
    print(json.dumps(report, indent=2) if given.json else _lines(report))


def run(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    path = given.video or film(folder, given.seconds)
    probed = probed_video(path)
    model = load_model(given.model, threads=max(1, available_cores() // 2))  # as `vsearch index` does
    encode_alone(model, 1, 1)  # loads the model
    options = IndexOptions(workers=given.workers, decoders=(given.decoder,))
    with SqliteStore.open(folder / "library", create=True) as library:
        events: list[Event] = []
        wall, cpu = wall_and_cpu(lambda: events.extend(run_index(library, IndexPlan(model, options), [path])))
    last = events[-1]
    assert isinstance(last, Finished)
    footage = last.summary.footage
    if not footage:
        raise MediaError(f"{path}: {last.summary.skipped[0].cause}")
    decoding = wall_and_cpu(lambda: decode_alone(path, probed, model, given.decoder, options.decoding_threads))
    encoding = wall_and_cpu(lambda: encode_alone(model, round(footage), options.batch_size))
    thumbnails = thumbnails_alone(path, probed, model, given.decoder)
    slower = min(footage / decoding[0], footage / encoding[0])
    cores = available_cores()
    return {
        "video": f"{probed.info.width}x{probed.info.height} {probed.info.codec}, {footage:.0f} s",
        "model": given.model,
        "decoder": given.decoder,
        "cores": cores,
        "speed": round(footage / wall, 1),
        "decode_alone_speed": round(footage / decoding[0], 1),
        "encode_alone_speed": round(footage / encoding[0], 1),
        "of_the_slower": round(footage / wall / slower, 2),
        "stage_seconds": last.summary.as_json()["stage_seconds"],
        "wall_seconds": round(wall, 2),
        "cpu_ms_a_second": {
            "index": round(1000 * cpu / footage, 1),
            "decode_alone": round(1000 * decoding[1] / footage, 1),
            "encode_alone": round(1000 * encoding[1] / footage, 1),
            "thumbnails": round(1000 * thumbnails / footage, 1),
        },
        # the speed of the same work on these cores without any waiting
        "speed_limit_of_the_cores": round(cores * footage / (decoding[1] + encoding[1]), 1),
    }


def _lines(report: dict[str, Any]) -> str:
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report["stage_seconds"].items())
    cpu = ", ".join(f"{name} {value} ms" for name, value in report["cpu_ms_a_second"].items())
    return "\n".join(
        (
            f"{report['video']}; model {report['model']}, decoder {report['decoder']}, {report['cores']} cores",
            f"indexing      {report['speed']:6.1f} x real time ({stages}; {report['wall_seconds']} s in all)",
            f"decode alone  {report['decode_alone_speed']:6.1f} x",
            f"encode alone  {report['encode_alone_speed']:6.1f} x",
            f"of the slower {report['of_the_slower']:6.2f}",
            f"CPU a second of footage: {cpu}",
            f"limit of these cores without waiting: {report['speed_limit_of_the_cores']:.1f} x",
        )
    )


if __name__ == "__main__":
    main()
