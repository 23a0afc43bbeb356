"""The steps that benchmarks/large_library.py times: it runs this module in a child process for each revision.

    python -m benchmarks.large_library_steps FOLDER SCENES

A step is a method of Steps; each line of the input names one, with its values, and a line of the output holds what it
returned. Only long-lived parts of the public API are used, because revisions of different age run this module.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vsearch
from benchmarks.synthetic import (
    RECORDED_FROM,
    RECORDED_STEP,
    SYNTHETIC,
    Shape,
    Synthetic,
    Wording,
    anchors,
    fill,
    frame_dimension,
    label,
    speak,
)
from vsearch.library import SqliteStore
from vsearch.library.filters import Filters
from vsearch.media import Vectors
from vsearch.models.registry import load_model
from vsearch.models.sentence_encoder import load_sentences
from vsearch.search.engine import SearchEngine
from vsearch.search.query import Query

FILM = 10_000
"""Scenes of the library that holds a single video."""
ASKED = 50
"""Queries whose recall is measured."""
GROWTH = 10
"""Steps in which scenes are added beside an open reader."""

Told = dict[str, Any]
Ids = NDArray[np.int64]


class Steps:
    """Libraries in a folder, each made at the first need: "film" is one video, "large" holds `scenes` scenes, "vectors"
    three quarters as many without words, and "scratch" is a copy of "large" that is written to."""

    def __init__(self, folder: Path, scenes: int) -> None:
        self._folder, self._scenes = folder, scenes
        self._film = min(FILM, scenes)
        self._open: dict[str, tuple[SqliteStore, SearchEngine]] = {}
        self._model = load_model("mini")
        self._wording = Wording()
        self._truth: tuple[Vectors, Ids, Ids] | None = None

    # -- libraries

    def build(self, library: str) -> Told:
        """Make a library; one that is there stays."""
        target = self._folder / library
        begun = time.perf_counter()
        if not target.exists():
            partial = target.with_name(f"{library}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            with SqliteStore.open(partial, create=True) as made:
                self._fill(made, library)
                made.save_snapshots(force=True)
            partial.rename(target)
        return {"seconds": time.perf_counter() - begun}

    def _fill(self, made: SqliteStore, library: str) -> None:
        if library == "vectors":
            fill(made, self._vectors_shape, self._vectors_source(), SYNTHETIC, 1)
            return
        shape = self._film_shape if library == "film" else self._large_shape
        source = Synthetic(shape.scenes, self._model.space.dim, 0, anchors(self._model, self._wording, 1000))
        fill(made, shape, source, self._model.space, frame_dimension(self._model))
        sentences = load_sentences([self._model])
        assert sentences is not None
        speak(made, shape, self._wording, sentences)
        label(made, self._model.space)

    @property
    def _film_shape(self) -> Shape:
        return Shape(self._film, a_video=self._film, frames=5)

    @property
    def _large_shape(self) -> Shape:
        return Shape(self._scenes)

    @property
    def _vectors_shape(self) -> Shape:
        return Shape(self._scenes * 3 // 4, frames=1)

    def _vectors_source(self) -> Synthetic:
        return Synthetic(self._vectors_shape.scenes, SYNTHETIC.dim)

    def _opened(self, library: str) -> tuple[SqliteStore, SearchEngine]:
        if library not in self._open:
            opened = SqliteStore.open(self._folder / library)
            self._open[library] = opened, SearchEngine(opened, self._model)
        return self._open[library]

    # -- what is timed

    def query(self, run: int, library: str, asked: Told) -> Told:
        """One query, in other words each time."""
        query = self._query(run, library, asked)
        engine = self._opened(library)[1]
        clock = Clock()
        hits = engine.search(query)
        return {**clock.told(), "hits": len(hits)}

    def after_write(self, run: int, library: str, asked: Told) -> Told:
        """The same, right after something was written: what was kept of the catalog's last state is of no use."""
        with SqliteStore.open(self._folder / library) as writer:
            writer.set_default_model("mini")
        return self.query(run, library, asked)

    def _query(self, run: int, library: str, asked: Told) -> Query:
        videos = len((self._film_shape if library == "film" else self._large_shape).videos())
        given = dict(asked)
        match given.pop("words", "caption"):
            case "caption":
                text = self._wording.captions()[1000 + run]
            case "common":
                text = ["people water way", "time music hand", "dog house day"][run % 3]
            case "long":
                text = " ".join(Wording(seed=run + 1).lines(1, words=5000)[0].split())[:10_000]
            case other:
                raise ValueError(other)
        if "above_videos" in given:
            given["k"] = videos + given.pop("above_videos")
        if "since_share" in given:
            skipped = int(given.pop("since_share") * videos)
            given["since"] = datetime.fromtimestamp(RECORDED_FROM + RECORDED_STEP * skipped, UTC)
        if "label" in given:
            given["label"] = tuple(given["label"])
        filters = {field.name: given.pop(field.name) for field in fields(Filters) if field.name in given}
        return Query(text, filters=Filters(**filters), **given)

    def recall(self, run: int, depth: int, one_in: int = 1) -> Told:
        """Queries to the index alone, and the share of the truly nearest that it finds, of one scene in `one_in`."""
        library = self._opened("vectors")[0]
        queries, known, ranked = self._true_order(library)
        allowed = None if one_in == 1 else np.sort(known[known % one_in == 0])
        taken, shares = [], []
        for query, order in zip(queries, ranked, strict=True):
            clock = Clock()
            _, ids = library.search_scenes(SYNTHETIC, query[None], depth, allowed=allowed)
            taken.append(clock.told())
            nearest = known[order]
            nearest = nearest[nearest % one_in == 0][:depth]
            shares.append(len(np.intersect1d(ids[0], nearest)) / len(nearest))
        return {**_medians(taken), "recall": float(np.mean(shares))}

    def _true_order(self, library: SqliteStore) -> tuple[Vectors, Ids, Ids]:
        """Queries [Q, D], ids [N], and the places of the ids, nearest first, by comparing everything [Q, N]."""
        if self._truth is None:
            queries = self._vectors_source().draw(ASKED, spread=1.2)
            parts = [(ids, queries @ vectors.T) for ids, vectors in library.all_vectors(SYNTHETIC)]
            order = np.argsort(-np.concatenate([part for _, part in parts], axis=1), axis=1)
            self._truth = queries, np.concatenate([ids for ids, _ in parts]), order
        return self._truth

    def fresh(self, run: int, library: str) -> Told:
        """The whole command in a process of its own."""
        text = self._wording.captions()[1000 + run]
        line = [sys.executable, "-P", "-c", "from vsearch.cli import main; main()", "query", text, "--json"]
        clock = Clock()
        told = subprocess.run([*line, "--library", str(self._folder / library)], check=True, capture_output=True)
        return {**clock.told(), "hits": len(json.loads(told.stdout))}

    def grow(self) -> Told:
        """Copy "large", open it to read, then add half as much: the reader answers after each step. Snapshots are saved
        half-way and at the end."""
        shutil.rmtree(self._folder / "scratch", ignore_errors=True)
        shutil.copytree(self._folder / "large", self._folder / "scratch")
        asked: Told = {"channel": "visual"}
        self.query(0, "scratch", asked)
        source = Synthetic(
            self._scenes, self._model.space.dim, 2, anchors(self._model, self._wording, min(1000, self._scenes))
        )
        dim, step = frame_dimension(self._model), self._scenes // 2 // GROWTH
        first = len(self._large_shape.videos())
        taken = []
        with SqliteStore.open(self._folder / "scratch") as writer:
            for number in range(GROWTH):
                shape = Shape(step, frames=1, first_video=first)
                fill(writer, shape, source, self._model.space, dim)
                first += len(shape.videos())
                taken.append(self.query(number, "scratch", asked))
                if number in (GROWTH // 2, GROWTH - 1):
                    writer.save_snapshots()
        return _medians(taken)

    def remove(self) -> Told:
        """Take half of the videos away, without a new snapshot."""
        with SqliteStore.open(self._folder / "scratch") as writer:
            paths = [row.path for row in writer.files()]
            writer.forget_files(paths[::2])
        return {}

    def verify(self, run: int, library: str) -> Told:
        opened = self._opened(library)[0]
        clock = Clock()
        report = opened.verify()
        told = clock.told()
        if not report.clean:
            raise AssertionError(report.problems)
        return told

    def source(self) -> Told:
        """Where `vsearch` was imported from."""
        return {"source": str(Path(vsearch.__file__).parent.parent)}


def memory_mb() -> float:
    """What this process held at the most; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


class Clock:
    """Milliseconds since it was made, and processor time: of this process and of children that have ended."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def told(self) -> Told:
        return {"ms": 1000 * (time.perf_counter() - self._wall), "cpu_ms": 1000 * (_cpu_seconds() - self._cpu)}


def _cpu_seconds() -> float:
    return time.process_time() + sum(os.times()[2:4])


def _medians(taken: Sequence[Told]) -> Told:
    return {name: statistics.median(one[name] for one in taken) for name in ("ms", "cpu_ms")}


def main() -> None:
    # Whatever else is printed must not come between the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    steps = Steps(Path(sys.argv[1]), int(sys.argv[2]))
    for line in sys.stdin:
        request = json.loads(line)
        step: Callable[..., Told] = getattr(steps, request.pop("step"))
        print(json.dumps({**step(**request), "mb": memory_mb()}), file=replies, flush=True)


if __name__ == "__main__":
    main()
