"""Query latency, cold and warm, over a synthetic library: `python -m benchmarks.query_latency --scenes 1000 100000`.

cold    a fresh process: Python starts, the library is opened and searched, the hits are looked up. With --model it is
        the whole command, `vsearch query --model ...`, over a library in that model's space
warm    one process: median and 95th percentile of search, scenes and frames of 10 hits
recall  of the 10, 100, 400 and 1,000 nearest, compared with exact search, and milliseconds of the search alone

The vectors are clustered (benchmarks/synthetic.py); a query is near a topic. Two frames a scene, 50 scenes a video.
Whole queries, filters and words over a large library: benchmarks/large_library.py.
"""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import new_parser, timed
from benchmarks.synthetic import SYNTHETIC, Shape, Synthetic, fill
from vsearch.library import SqliteStore
from vsearch.media import Space, Vectors

K = 10
DEPTHS = (10, 100, 400, 1000)
SCENES_A_VIDEO = 50

COLD = """
import sys
from pathlib import Path
import numpy as np
from vsearch.library import SqliteStore
from vsearch.media import Space
query = np.load(sys.argv[2], allow_pickle=False)
space = Space(model="synthetic", fingerprint=sys.argv[3], dim=query.shape[1])
with SqliteStore.open(Path(sys.argv[1])) as library:
    scores, ids = library.search_scenes(space, query, 10)
    found = library.scenes(ids[0].tolist())
    assert len(found) == 10
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One size of library. Times are milliseconds."""

    scenes: int
    index: str
    cold_ms: float
    warm_median_ms: float
    warm_p95_ms: float
    filtered_median_ms: float
    recall: dict[int, float]
    """By depth."""
    depth_ms: dict[int, float]
    """Median of a warm search, by depth."""
    filtered_recall_at_10: float
    snapshot_seconds: float | None
    catalog_mb: float
    snapshot_mb: float


def build(folder: Path, scenes: int, space: Space) -> SqliteStore:
    """A library of that many scenes; kept in `folder` for later runs."""
    if folder.exists():
        return SqliteStore.open(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with SqliteStore.open(partial, create=True) as library:
        fill(library, Shape(scenes, a_video=SCENES_A_VIDEO), Synthetic(scenes, space.dim), space, space.dim)
    partial.rename(folder)
    return SqliteStore.open(folder)


def exact(
    library: SqliteStore, space: Space, queries: Vectors, k: int, allowed: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Ids [Q, k] of the k nearest by exact search over the catalog."""
    scores: list[Vectors] = []
    ids: list[NDArray[np.int64]] = []
    for part, vectors in library.all_vectors(space):
        keep = slice(None) if allowed is None else np.isin(part, allowed)
        if len(part[keep]) == 0:
            continue
        found = queries @ vectors[keep].T
        top = np.argsort(-found, axis=1)[:, :k]
        scores.append(np.take_along_axis(found, top, axis=1))
        ids.append(part[keep][top])
    order = np.argsort(-np.concatenate(scores, axis=1), axis=1)[:, :k]
    return np.take_along_axis(np.concatenate(ids, axis=1), order, axis=1)


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Share of the exact nearest neighbours that are found."""
    return float(np.mean([len(np.intersect1d(f, t)) / len(t) for f, t in zip(found, truth, strict=True)]))


def measure(folder: Path, scenes: int, queries: int, space: Space, model: str | None) -> Result:
    """Build or open the library of a size, and measure it."""
    with build(folder, scenes, space) as library:
        started = time.perf_counter()
        fresh = not any((folder / "snapshots").glob("*.json"))
        library.save_snapshots()
        snapshot_seconds = time.perf_counter() - started if fresh else None
        header = json.loads(next((folder / "snapshots").glob("*.json")).read_text())
        asked = Synthetic(scenes, space.dim).draw(queries, spread=1.2)
        allowed = np.flatnonzero(np.arange(scenes + 1) % 10 == 3).astype(np.int64)
        question = folder.with_suffix(".npy")
        np.save(question, asked[:1])

        warm = _times(library, space, asked, None)
        filtered = _times(library, space, asked, allowed)
        truth = exact(library, space, asked, max(DEPTHS), None)
        depth_ms, recalls = {}, {}
        for k in DEPTHS:
            results = [timed(partial(library.search_scenes, space, query[None], k)) for query in asked]
            depth_ms[k] = 1000 * float(np.median([seconds for seconds, _ in results]))
            recalls[k] = recall(np.concatenate([ids for _, (_, ids) in results]), truth[:, :k])
        among = np.concatenate([library.search_scenes(space, q[None], K, allowed=allowed)[1] for q in asked])
        status = library.status()
        result = Result(
            scenes=scenes,
            index=f"{header['kind']} {header['lists'] or ''}".strip(),
            cold_ms=_cold(folder, question, space, model),
            warm_median_ms=float(np.median(warm)),
            warm_p95_ms=float(np.percentile(warm, 95)),
            filtered_median_ms=float(np.median(filtered)),
            recall=recalls,
            depth_ms=depth_ms,
            filtered_recall_at_10=recall(among, exact(library, space, asked, K, allowed)),
            snapshot_seconds=snapshot_seconds,
            catalog_mb=status.catalog_bytes / 2**20,
            snapshot_mb=status.snapshot_bytes / 2**20,
        )
    return result


def _times(library: SqliteStore, space: Space, queries: Vectors, allowed: NDArray[np.int64] | None) -> list[float]:
    """Milliseconds of each query, after a warm-up."""
    times = []
    for query in (queries[0], *queries):
        started = time.perf_counter()
        _, ids = library.search_scenes(space, query[None], K, allowed=allowed)
        library.scenes(ids[0].tolist())
        library.frame_vectors(space, ids[0].tolist())
        times.append(1000 * (time.perf_counter() - started))
    return times[1:]


def _cold(folder: Path, question: Path, space: Space, model: str | None) -> float:
    """Milliseconds, median of five fresh processes (the files are in the system's cache)."""
    line = [sys.executable, "-c", COLD, str(folder), str(question), space.fingerprint]
    if model is not None:
        program = str(Path(sys.executable).with_name("vsearch"))
        line = [program, "query", "a person playing basketball", "--library", str(folder), "--model", model, "--json"]
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def show(results: list[Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="query latency, milliseconds")
    heads = ("scenes", "index", "cold", "warm", "p95", "filtered", "recall", "filtered r@10", "snapshot s", "MB")
    for head in heads:
        table.add_column(head, justify="right")
    for r in results:
        taken = "-" if r.snapshot_seconds is None else f"{r.snapshot_seconds:.1f}"
        table.add_row(
            f"{r.scenes:,}",
            r.index,
            f"{r.cold_ms:.0f}",
            f"{r.warm_median_ms:.1f}",
            f"{r.warm_p95_ms:.1f}",
            f"{r.filtered_median_ms:.1f}",
            "\n".join(f"@{k}: {r.recall[k]:.3f}, {r.depth_ms[k]:.1f} ms" for k in DEPTHS),
            f"{r.filtered_recall_at_10:.3f}",
            taken,
            f"{r.catalog_mb:.0f}+{r.snapshot_mb:.0f}",
        )
    Console(width=120).print(table)


def log(results: list[Result], path: Path) -> None:
    """Append a dated section to the log of experiments."""
    lines = [f"\n## {datetime.date.today()} query latency (synthetic libraries)\n"]
    lines += [f"- {json.dumps(asdict(result))}" for result in results]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main() -> None:
    parser = new_parser("benchmarks.query_latency", __doc__)
    parser.add_argument("--scenes", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--cache", type=Path, default=Path(".cache/query_latency"), help="where libraries are kept")
    parser.add_argument("--model", help="build the libraries in this model's space, and time the whole command")
    parser.add_argument("--log", type=Path, help="append the results to this file")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    space = SYNTHETIC
    if arguments.model:
        from vsearch.models.registry import load_model

        space = load_model(arguments.model).space
    results = [
        measure(arguments.cache / f"{space.model}-{scenes}", scenes, arguments.queries, space, arguments.model)
        for scenes in arguments.scenes
    ]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        show(results)
    if arguments.log:
        log(results, arguments.log)


if __name__ == "__main__":
    main()
