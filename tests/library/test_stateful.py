"""A library against a model in plain dicts: whatever is done to it and its snapshots, it says what the model says."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.library.made import OTHER, SPACE, record, scenes, stamp, stored, unit
from vsearch.library import Failure, SqliteStore
from vsearch.media import Space, Vectors

PATHS = st.sampled_from([Path(f"/videos/{name}.mp4") for name in ("a", "b", "c", "d", "e")])
KEYS = st.sampled_from(["k0", "k1", "k2", "k3"])
SEEDS = st.integers(0, 50)
COUNTS = st.integers(1, 4)


class LibraryMachine(RuleBasedStateMachine):
    """The model: path -> key, key -> space -> vectors, path -> cause."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vsearch-stateful-"))
        self.library = SqliteStore.open(self.folder / "library", create=True)
        self.reader = SqliteStore.open(self.folder / "library")
        self.files: dict[Path, str] = {}
        self.videos: dict[str, dict[Space, Vectors]] = {}
        self.failures: dict[Path, str] = {}
        self.harmed: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "library"):
            # A file of a space's snapshot that was harmed may be reported until that snapshot is taken anew.
            trouble = [p for p in self.library.verify().problems if not p.startswith(tuple(self.harmed))]
            assert not trouble
            self.reader.close()
            self.library.close()
            shutil.rmtree(self.folder)

    def found(self) -> set[str]:
        """Keys of the videos that a path holds."""
        return set(self.files.values())

    def drop_orphans(self) -> None:
        self.videos = {key: spaces for key, spaces in self.videos.items() if key in self.found()}

    @rule(path=PATHS, key=KEYS, seed=SEEDS, count=COUNTS)
    def add(self, path: Path, key: str, seed: int, count: int) -> None:
        self.library.add_video(record(path, key, seed, count))
        self.files[path] = key
        self.videos[key] = {SPACE: unit(seed, count)}
        self.failures.pop(path, None)

    @rule(key=KEYS, seed=SEEDS, space=st.sampled_from([SPACE, OTHER]))
    def encode(self, key: str, seed: int, space: Space) -> None:
        if key in self.videos:
            count = len(self.videos[key][SPACE])
            self.library.add_encoding(key, space, scenes(seed, count, space))
            self.videos[key][space] = unit(seed, count, space.dim)

    @rule(path=PATHS, key=KEYS)
    def touch(self, path: Path, key: str) -> None:
        if key in self.videos:
            self.library.touch_file(stamp(path), key)
            self.files[path] = key
            self.failures.pop(path, None)

    @rule(paths=st.lists(PATHS, max_size=3), keep_videos=st.booleans())
    def forget(self, paths: list[Path], keep_videos: bool) -> None:
        before = [len(self.videos), len(self.files), len(self.failures)]
        report = self.library.forget_files(paths, keep_videos=keep_videos)
        for path in paths:
            self.files.pop(path, None)
            self.failures.pop(path, None)
        if not keep_videos:
            self.drop_orphans()
        after = [len(self.videos), len(self.files), len(self.failures)]
        assert [report.videos, report.files, report.failures] == np.subtract(before, after).tolist()

    @rule()
    def remove_orphans(self) -> None:
        before = len(self.videos)
        report = self.library.remove_orphans()
        self.drop_orphans()
        assert report.videos == before - len(self.videos)

    @rule(path=PATHS, cause=st.text(max_size=5))
    def fail(self, path: Path, cause: str) -> None:
        self.library.record_failure(Failure(stamp(path), cause))
        self.failures[path] = cause

    @rule(force=st.booleans())
    def snapshot(self, force: bool) -> None:
        self.library.save_snapshots(force=force)

    @rule()
    def reopen(self) -> None:
        self.reader.close()
        self.library.close()
        self.library = SqliteStore.open(self.folder / "library")
        self.reader = SqliteStore.open(self.folder / "library")

    @rule(data=st.data(), how=st.sampled_from(["truncate", "scribble", "remove"]))
    def harm_a_snapshot(self, data: st.DataObject, how: str) -> None:
        """As nobody should: replaced by something broken while it may be in use. (In place, a process that has the
        file mapped could be killed by the system.)"""
        files = sorted((self.library.path / "snapshots").glob("*"))
        if not files:
            return
        file = data.draw(st.sampled_from(files))
        content = file.read_bytes()
        file.unlink()
        self.harmed.add(f"snapshot {file.stem}.json")
        if how == "truncate":
            file.write_bytes(content[: len(content) // 2])
        elif how == "scribble":
            file.write_bytes(bytes(b ^ 0x55 for b in content))

    @rule()
    def repair(self) -> None:
        report = self.library.verify(repair=True)
        self.drop_orphans()
        self.harmed.clear()
        assert report.clean and not report.lost
        assert self.library.verify().clean

    @invariant()
    def files_and_failures_agree(self) -> None:
        if not hasattr(self, "library"):
            return
        for library in (self.library, self.reader):
            assert {row.path: row.key for row in library.files()} == self.files
            status = library.status()
            assert {f.stamp.path: f.cause for f in status.failures} == self.failures
            shown = {key: spaces for key, spaces in self.videos.items() if key in self.found()}
            assert (status.videos, status.files) == (len(shown), len(self.files))
            assert status.scenes == sum(len(spaces[SPACE]) for spaces in shown.values())
            for row in status.spaces:
                held = [spaces[row.space] for spaces in shown.values() if row.space in spaces]
                assert (row.videos, row.vectors) == (len(held), sum(len(vectors) for vectors in held))
            for key in ("k0", "k1", "k2", "k3"):
                video = library.find_key(key)
                assert (video is not None) == (key in self.videos)
                if video is not None:
                    assert set(video.paths) == {path for path, held in self.files.items() if held == key}
                    for space in (SPACE, OTHER):
                        assert library.has_space(video.id, space) == (space in self.videos[key])

    @invariant()
    def search_equals_comparing_everything(self) -> None:
        if not hasattr(self, "library"):
            return
        for library in (self.library, self.reader):
            for space in (SPACE, OTHER):
                self.check_search(library, space)

    def check_search(self, library: SqliteStore, space: Space) -> None:
        held = [(key, spaces[space]) for key, spaces in self.videos.items() if space in spaces and key in self.found()]
        query = unit(1000, 1, space.dim)
        scores, ids = library.search_scenes(space, query, 100)
        truth = sorted(
            ((float(query[0] @ vector), key, 2.0 * i) for key, rows in held for i, vector in enumerate(stored(rows))),
            reverse=True,
        )
        found = library.scenes(ids[0].tolist()) if ids.size else {}  # not those of videos that no path holds
        shown = [i in found for i in ids.ravel().tolist()]
        scores, ids = scores[:, shown], ids[:, shown]
        np.testing.assert_allclose(scores.ravel(), [score for score, _, _ in truth], atol=1e-5)
        keys = {row.id: key for key in self.videos if (row := library.find_key(key)) is not None}
        said = [(keys[found[i].video_id], found[i].start) for i in ids.ravel().tolist()]
        # Equal vectors may come in any order.
        assert sorted(said) == sorted((key, start) for _, key, start in truth)
        frames = library.frame_vectors(space, ids.ravel().tolist())
        assert all(vectors.shape == (2, space.dim) for vectors, _ in frames.values())
        assert len(frames) == len(truth)


LibraryMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("VSEARCH_KILLS", "10")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestLibrary = LibraryMachine.TestCase
