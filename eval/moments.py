"""Moments in long files: python -m eval.moments DIR. The truth is known, for the long files are made here.

The captioned clips of the folder are put behind each other, in random order (--seed), into files of --clips each, and
those are indexed. Each caption is a query; the right answer is the span where its clip was put. Recall@1 at an IoU of
0.5 and of 0.7 is the share of queries whose first hit overlaps that span so much (intersection over union, in seconds).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.captions import Caption, read_captions
from eval.clips import find_table
from eval.metrics import Estimate, mean_estimate
from eval.models import open_model
from eval.options import add_captions, add_json, add_model, add_rerank
from eval.report import figures_table, note, notes, print_json, run, track
from vsearch.errors import InputError, MediaError, PathError
from vsearch.media import Hit
from vsearch.search.query import Query

FPS = 12
"""Of the long files: enough to find cuts in, few enough to be quick."""
SIZE = (320, 240)
METRICS = ("R@1 IoU 0.5", "R@1 IoU 0.7", "mean IoU")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip was put. [start, end) in seconds."""

    file: Path
    start: float
    end: float


def groups(names: Sequence[str], size: int, seed: int) -> list[list[str]]:
    """The names in random order, in lists of `size`; the last may be shorter."""
    order = [str(name) for name in np.random.default_rng(seed).permutation(sorted(names))]
    return [order[at : at + size] for at in range(0, len(order), size)]


def concatenate(clips: Mapping[str, Path], target: Path) -> tuple[dict[str, Place], list[str]]:
    """Write the clips behind each other; returns the place of each, and a line for each that cannot be decoded.

    Pictures are squashed to SIZE and shown at FPS; there is no sound.
    """
    import av

    places: dict[str, Place] = {}
    failed = []
    count = 0
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "23"}
        for name, path in clips.items():
            first = count
            try:
                for picture in _pictures(path):
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts, frame.time_base = count, Fraction(1, FPS)
                    container.mux(stream.encode(frame))
                    count += 1
            except MediaError as error:
                failed.append(str(error))
            if count > first:
                places[name] = Place(target, first / FPS, count / FPS)
        container.mux(stream.encode(None))
    return places, failed


def _pictures(path: Path) -> Iterator[NDArray[np.uint8]]:
    """uint8 RGB [H, W, 3] of SIZE, FPS a second by the stream's own timestamps."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(f"{path}: it has no video track")
            shown, start = 0, None
            for frame in container.decode(video=0):
                if frame.time is None:
                    continue
                start = frame.time if start is None else start
                due = int((frame.time - start) * FPS) + 1
                if due > shown:
                    picture = frame.reformat(*SIZE, format="rgb24").to_ndarray().astype(np.uint8, copy=False)
                    for _ in range(due - shown):  # a picture that stands still is shown again
                        yield picture
                    shown = due
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path}: it cannot be decoded: {error}") from error


def overlap(hit: Hit | None, place: Place) -> float:
    """Intersection over union of a hit and the truth, in seconds; 0 in another file."""
    if hit is None or hit.video.resolve() != place.file.resolve():
        return 0.0
    common = max(0.0, min(hit.end, place.end) - max(hit.start, place.start))
    return common / (max(hit.end, place.end) - min(hit.start, place.start))


def first_overlaps(
    search: Callable[[Query], Sequence[Hit]], asked: Sequence[tuple[Query, Place]]
) -> NDArray[np.float64]:
    """IoU of the first hit of each query, [Q]."""
    return np.array([overlap(next(iter(search(query)), None), place) for query, place in asked])


def estimates(overlaps: NDArray[np.float64], clip_of: NDArray[np.int64]) -> dict[str, Estimate]:
    """METRICS in percent; the bootstrap draws whole clips."""
    rows = ((overlaps >= 0.5).astype(np.float64), (overlaps >= 0.7).astype(np.float64), overlaps)
    return {name: mean_estimate(100 * row, clip_of) for name, row in zip(METRICS, rows, strict=True)}


def measure(
    search: Callable[[Query], Sequence[Hit]],
    captions: Sequence[Caption],
    places: Mapping[str, Place],
    query: Query,
) -> dict[str, dict[str, Estimate]]:
    """Spans and whole scenes, among all files and inside the right one. query: how to ask, whatever its text."""
    number = {name: at for at, name in enumerate(places)}
    clip_of = np.array([number[caption.file] for caption in captions], dtype=np.int64)
    rows = {}
    for where in ("all files", "right file"):
        for what in ("moments", "scenes"):
            asked = [
                (
                    replace(
                        query,
                        text=caption.text,
                        moments=what == "moments",
                        path_glob=places[caption.file].file.name if where == "right file" else None,
                    ),
                    places[caption.file],
                )
                for caption in captions
            ]
            rows[f"{what}, {where}"] = estimates(first_overlaps(search, asked), clip_of)
    return rows


def evaluate(arguments: argparse.Namespace) -> None:
    """The command."""
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.indexer.events import Skipped
    from vsearch.library import SqliteStore
    from vsearch.search.engine import SearchEngine

    folder = arguments.folder.absolute()
    if not folder.is_dir():
        raise PathError(f"{folder} is not a folder of videos")
    if arguments.clips < 2:
        raise InputError("a long file holds at least 2 clips: --clips")
    table = read_captions(arguments.captions or find_table(folder), folder)
    with ExitStack() as stack:
        model = open_model(arguments.model)
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vsearch-eval-")))
        lists = groups(sorted({caption.file for caption in table.captions}), arguments.clips, arguments.seed)
        places: dict[str, Place] = {}
        failed: list[str] = []
        (work / "videos").mkdir()
        for at, names in enumerate(track(lists, "long files")):
            put, lost = concatenate({name: folder / name for name in names}, work / "videos" / f"long{at:03d}.mp4")
            places |= put
            failed += lost
        captions = [caption for caption in table.captions if caption.file in places]
        if not captions:
            raise InputError(f"no clip of {folder} can be decoded" + (f": {failed[0]}" if failed else ""))
        library = stack.enter_context(SqliteStore.open(work / "library", create=True))
        note(f"indexing {len(lists)} files")
        events = run_index(library, IndexPlan(model), [work / "videos"])
        failed += [f"{event.path}: {event.cause}" for event in events if isinstance(event, Skipped)]
        scenes = library.status().scenes
        query = Query("?", k=1, rerank=arguments.rerank)
        rows = measure(SearchEngine(library, model).search, captions, places, query)
    notes("rows of the table that were skipped", table.skipped)
    notes("files that failed", failed)
    if arguments.json:
        print_json(
            {
                "model": model.space.model,
                "files": len(lists),
                "clips": len(places),
                "scenes": scenes,
                "captions": len(captions),
                "seed": arguments.seed,
                "failed": len(failed),
                **{name: _as_json(row) for name, row in rows.items()},
            }
        )
        return
    print(
        f"{len(captions)} captions of {len(places)} clips in {len(lists)} files of {arguments.clips} "
        f"({scenes} scenes), model {model.space.model}, seed {arguments.seed}\n"
    )
    print("\n".join(figures_table(rows, METRICS)))


def _as_json(row: Mapping[str, Estimate]) -> dict[str, Any]:
    return {
        **{name: round(e.value, 1) for name, e in row.items()},
        "ci95": {name: [round(e.low, 1), round(e.high, 1)] for name, e in row.items()},
    }


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m eval.moments", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("folder", type=Path, metavar="DIR", help="folder of short videos")
    add_captions(p)
    p.add_argument("--clips", type=int, default=6, metavar="N", help="clips a long file; default: %(default)s")
    p.add_argument("--seed", type=int, default=0, help="of the random order; default: %(default)s")
    add_model(p)
    add_rerank(p)
    add_json(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run(partial(evaluate, parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
