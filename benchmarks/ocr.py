"""What OCR costs: indexing without it and with it, one after the other, in one run.

    python -m benchmarks.ocr                      a generated video, a minute, with a sign in some shots
    python -m benchmarks.ocr ../shared/data/videos --json

Needs the package and its dev and ocr extras; run it in the repository root, on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import new_parser, wall_and_cpu
from tests.media import Shot, make_video
from tests.signs import PLATES, Sign, put_up
from vsearch.indexer import IndexOptions, IndexPlan, run_index
from vsearch.indexer.events import Event, Finished, Summary, Transcribed
from vsearch.indexer.options import OcrOptions, available_cores
from vsearch.library import SqliteStore
from vsearch.models.registry import load_model


@dataclass(frozen=True)
class Ran:
    summary: Summary
    pictures: int
    cpu: float
    """CPU seconds of all processes, which vary less than wall time on a busy machine."""


def film(path: Path, seconds: int = 60) -> Path:
    """720p25: a cut every five seconds, a sign in every other shot."""
    shots = [Shot("grain", 5.0, seed) for seed in range(seconds // 5)]
    names = sorted(PLATES)
    signs = [Sign(names[at // 2 % len(names)], 5.0 * at, 5.0 * at + 5) for at in range(0, len(shots), 2)]
    options = {"preset": "veryfast", "b": "2500k"}
    return make_video(path, shots, size=(1280, 720), gop=250, codec_options=options, paint=put_up(signs)).path


def drain(events: Iterator[Event]) -> Ran:
    told: list[Event] = []
    _, cpu = wall_and_cpu(lambda: told.extend(events))
    assert isinstance(told[-1], Finished)
    return Ran(told[-1].summary, sum(event.frames for event in told if isinstance(event, Transcribed)), cpu)


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    paths = [given.videos or film(folder / "film.mp4")]
    threads = max(1, available_cores() // 2)  # as `vsearch index` does
    model = load_model(given.model, threads=threads)
    ocr = OcrOptions()
    with SqliteStore.open(folder / "plain", create=True) as library:
        plain = drain(run_index(library, IndexPlan(model, IndexOptions()), paths))
        added = drain(run_index(library, IndexPlan(ocr=ocr, only="ocr"), paths))
    with SqliteStore.open(folder / "read", create=True) as library:
        both = drain(run_index(library, IndexPlan(model, IndexOptions(), ocr=ocr), paths))
    scenes = max(1, both.summary.scenes)
    return {
        "files": both.summary.indexed,
        "footage_seconds": round(both.summary.footage, 1),
        "scenes": both.summary.scenes,
        "pictures_read": both.pictures,
        "lines": both.summary.ocr_segments,
        "unread": [(failed.path.name, failed.cause) for failed in both.summary.ocr_failed],
        "index_seconds": round(plain.summary.wall, 1),
        "index_with_text_seconds": round(both.summary.wall, 1),
        "of_them_reading": round(both.summary.stages.ocr, 1),
        "text_alone_seconds": round(added.summary.wall, 1),
        "times_as_long": round(both.summary.wall / plain.summary.wall, 1),
        "cpu_seconds": {
            "index": round(plain.cpu, 1),
            "index_with_text": round(both.cpu, 1),
            "text": round(added.cpu, 1),
        },
        "times_the_cpu": round(both.cpu / plain.cpu, 1),
        "cpu_seconds_a_scene": round((both.cpu - plain.cpu) / scenes, 2),
        "reading_seconds_a_scene": round(both.summary.stages.ocr / scenes, 2),
        "reading_seconds_a_picture": round(both.summary.stages.ocr / max(1, both.pictures), 2),
        "pictures_a_scene": round(both.pictures / scenes, 2),
        "cores": available_cores(),
    }


def main() -> None:
    parser = new_parser("benchmarks.ocr", __doc__)
    parser.add_argument("videos", type=Path, nargs="?", help="a video or folder of your own; default: one is generated")
    parser.add_argument("--model", default="mini")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(given, Path(folder))
    if given.json:
        print(json.dumps(report, indent=2))
        return
    for name, value in report.items():
        print(f"{name.replace('_', ' '):28} {value}")


if __name__ == "__main__":
    main()
