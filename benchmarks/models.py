"""Frames a second of each way to run a model, in one table, compared with a naive loop.

    python -m benchmarks.models                     a generated 720p video, everything that this machine can run
    python -m benchmarks.models film.mp4 --compile --json

ViT-B-32 has random weights: they change neither its speed nor how close its forms are to each other. "encode" is the
model alone, on frames in memory, in batches; "whole" decodes the video and encodes one frame a second of it,
as `vsearch index` does, but without detecting cuts. The naive loop decodes with PyAV as it comes, and puts a frame a
second through open_clip's own transform and encode_image, one at a time. "CPU ms" is what a frame costs this process,
"cosine" the least one to the vectors of torch in float32.

Needs the extras `clip` and `dev`, and torchao for int8; run it in the repository root, on a machine with nothing else
to do.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import new_parser, probed_video
from benchmarks.indexing import film
from vsearch.errors import ModelError
from vsearch.indexer.decode import DecodeRequest, find_decoder
from vsearch.indexer.options import available_cores
from vsearch.indexer.probe import Probed
from vsearch.media import Pixels, Vectors
from vsearch.models.protocols import VideoEncoder
from vsearch.models.registry import load_model

ARCHITECTURE = "ViT-B-32"


@dataclass(frozen=True, slots=True)
class Rate:
    frames_a_second: float
    cpu_ms_a_frame: float
    """Of this process: what stays much the same when the machine is busy."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to run a model. None where it has no such part."""

    model: str
    device: str
    how: str
    encode: Rate | None
    whole: Rate | None
    cosine: float | None = None


def sampled(video: Path, probed: Probed, encoder: VideoEncoder) -> Iterator[Pixels]:
    """One frame a second, as the model wants it."""
    due = 0.5
    for frame in find_decoder("pyav")(DecodeRequest(video, probed, encoder.frame_size, available_cores())):
        if frame.time >= due:
            due += 1.0
            yield frame.pixels()


def whole(video: Path, probed: Probed, encoder: VideoEncoder, batch: int) -> int:
    """Decode and encode. The number of frames encoded."""
    waiting: list[Pixels] = []
    count = 0
    for pixels in sampled(video, probed, encoder):
        waiting.append(pixels)
        if len(waiting) == batch:
            count += len(encoder.encode_frames(np.stack(waiting)))
            waiting = []
    return count + (len(encoder.encode_frames(np.stack(waiting))) if waiting else 0)


def naive(video: Path, parts: Any, device: str) -> int:
    """A naive loop: decode, transform, encode, one frame at a time. Returns the number of frames encoded."""
    import av
    import torch
    from open_clip import get_model_preprocess_cfg
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    transform = image_transform_v2(PreprocessCfg(**get_model_preprocess_cfg(parts.model)), is_train=False)
    model = parts.model.to(device)
    count, due = 0, 0.5
    with av.open(str(video)) as container, torch.inference_mode():
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= due:
                due += 1.0
                vector = model.encode_image(
                    transform(Image.fromarray(frame.to_ndarray(format="rgb24")))[None].to(device)
                )
                torch.nn.functional.normalize(vector, dim=-1).cpu()
                count += 1
    return count


def rate(work: Callable[[], int]) -> Rate:
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Rate(count / wall, 1000 * cpu / count)


def measure(name: str, device: str, how: str, encoder: VideoEncoder, film: Film, reference: Vectors | None) -> Row:
    batch = int(getattr(encoder, "batch_size", 16))
    frames = film.frames(encoder)
    vectors = encoder.encode_frames(frames[:batch])  # loads, compiles, and finds its batch
    encode = rate(lambda: len(encoder.encode_frames(frames)))
    cosine = None if reference is None else float((vectors * reference[: len(vectors)]).sum(axis=1).min())
    return Row(name, device, how, encode, rate(lambda: whole(film.path, film.probed, encoder, batch)), cosine)


@dataclass(frozen=True, slots=True)
class Film:
    path: Path
    probed: Probed

    def frames(self, encoder: VideoEncoder) -> Pixels:
        return np.stack(list(sampled(self.path, self.probed, encoder)))


def rows(film: Film, threads: int, compiled: bool) -> Iterator[Row]:
    """CPU first, then the accelerator where there is one."""
    import torch

    from vsearch.models.devices import Compute, choose_device
    from vsearch.models.model_folder import FolderModel
    from vsearch.models.openclip import OpenClipModel
    from vsearch.models.openclip_export import export_model
    from vsearch.models.openclip_source import random_parts

    torch.set_num_threads(threads)
    yield measure("mini", "cpu", "ONNX Runtime", load_model("mini", threads=threads), film, None)
    parts = random_parts(ARCHITECTURE)
    yield Row(ARCHITECTURE, "cpu", "naive loop, fp32", None, rate(lambda: naive(film.path, parts, "cpu")))
    exact = OpenClipModel(parts, compute=Compute("cpu", "fp32"))
    reference = exact.encode_frames(film.frames(exact)[:16])
    yield measure(ARCHITECTURE, "cpu", "torch fp32", exact, film, reference)
    with tempfile.TemporaryDirectory() as folder:
        for int8 in (False, True):
            target = Path(folder) / f"{int8}"
            export_model(exact, target, int8=int8)
            how = "ONNX Runtime, 8-bit weights" if int8 else "ONNX Runtime fp32"
            yield measure(ARCHITECTURE, "cpu", how, FolderModel(target, threads=threads), film, reference)
    others = ["bf16", *(["int8"] if find_spec("torchao") else [])]
    accelerator = choose_device("auto").type
    for device in dict.fromkeys(("cpu", accelerator)):
        if device != "cpu":
            fresh = random_parts(ARCHITECTURE)
            yield Row(ARCHITECTURE, device, "naive loop, fp32", None, rate(partial(naive, film.path, fresh, device)))
        for precision in others if device == "cpu" else ["fp32", *others]:
            for wanted in (False, True) if compiled else (False,):
                compute = Compute(device, precision, wanted)  # type: ignore[arg-type]
                how = f"torch {precision}{', compiled' if wanted else ''}"
                try:
                    model = OpenClipModel(random_parts(ARCHITECTURE), compute=compute)
                    yield measure(ARCHITECTURE, device, how, model, film, reference)
                except (ModelError, RuntimeError) as error:  # report what this machine cannot run as a row, too
                    yield Row(ARCHITECTURE, device, f"{how}: {str(error).splitlines()[0][:60]}", None, None)


def heading() -> str:
    columns = ("model", "device", "how", "encode, frames/s", "CPU ms", "whole, frames/s", "CPU ms", "cosine")
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def line(row: Row) -> str:
    cells = [row.model, row.device, row.how]
    for part in (row.encode, row.whole):
        cells += ["", ""] if part is None else [f"{part.frames_a_second:.1f}", f"{part.cpu_ms_a_frame:.0f}"]
    return f"| {' | '.join([*cells, '' if row.cosine is None else f'{row.cosine:.5f}'])} |"


def main() -> None:
    parser = new_parser("benchmarks.models", __doc__)
    parser.add_argument("video", type=Path, nargs="?", help="a video of your own; default: one is generated")
    parser.add_argument("--seconds", type=float, default=64.0, help="length of the generated video")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--compile", action="store_true", help="also compiled: minutes more")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.video or film(Path(folder), given.seconds)
        probed = probed_video(path)
        measured = []
        if not given.json:
            print(heading())
        for row in rows(Film(path, probed), given.threads, given.compile):
            measured.append(row)
            if not given.json:
                print(line(row), flush=True)
    if given.json:
        print(json.dumps([asdict(row) for row in measured], indent=1))


if __name__ == "__main__":
    main()
