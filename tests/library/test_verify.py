"""`verify` judges one state of a library, whatever a writer does meanwhile, and its work grows linearly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.library.made import SPACE, record, unit
from vsearch.library import SqliteStore, snapshots, verify
from vsearch.library.snapshot_writer import save_snapshots

ROOT = Path(__file__).resolve().parents[2]

BUSY = """
import sys
from pathlib import Path
from tests.library.made import record
from vsearch.library import SqliteStore

with SqliteStore.open(Path(sys.argv[1])) as library, library.writing():
    for number in range(10**6):
        library.add_video(record(f"/v/{number % 7}.mp4", f"key-{number}", seed=number, count=1 + number % 5))
        library.remove_orphans()
        library.save_snapshots(force=True)
        if number == 3: print("busy", flush=True)
"""


def test_verify_beside_a_busy_writer_finds_no_problem(library: SqliteStore) -> None:
    library.add_video(record("/v/first.mp4", "first"))
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, str(library.path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as writer:
        try:
            assert writer.stdout is not None and writer.stdout.readline() == "busy\n"
            for _ in range(40):
                with SqliteStore.open(library.path) as reader:
                    assert reader.verify().problems == ()
                    assert reader.search_scenes(SPACE, unit(1, 1), 5)[1].shape == (1, 5)
            assert writer.poll() is None
        finally:
            writer.kill()


@pytest.mark.parametrize("step", ["inspect", "whole", "usable", "entries"])
def test_snapshot_replaced_during_verify_is_no_problem(
    library: SqliteStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for number in range(4):
        library.add_video(record(f"/v/{number}.mp4", str(number), seed=number))
    library.save_snapshots()
    owner = {"inspect": snapshots, "whole": snapshots.Snapshot, "usable": verify, "entries": verify.vectors}[step]
    original = getattr(owner, step)
    numbers = iter(range(10, 100))
    writing = False

    def busy(*values: object) -> object:
        nonlocal writing
        if writing:  # a writer looks at snapshots, too
            return original(*values)
        writing = True
        with SqliteStore.open(library.path) as writer:
            number = next(numbers)
            writer.add_video(record(f"/v/{number}.mp4", str(number), seed=number))
            writer.forget_files([Path(f"/v/{number - 10}.mp4")])
            writer.save_snapshots(force=True)
        writing = False
        return original(*values)

    monkeypatch.setattr(owner, step, busy)
    with SqliteStore.open(library.path) as reader:
        assert reader.verify().problems == ()
    monkeypatch.undo()
    assert library.verify().clean


def test_old_snapshots_are_removed_before_removals_are_pruned(library: SqliteStore) -> None:
    for number in range(4):
        library.add_video(record(f"/v/{number}.mp4", str(number), seed=number))
    library.save_snapshots()
    folder = library.path / "snapshots"
    older = [(file, file.read_bytes()) for file in folder.iterdir()]
    library.forget_files([Path("/v/0.mp4")])
    save_snapshots(folder, library, 0.0)
    for file, content in older:  # as if it had been killed before it removed them
        file.write_bytes(content)
    library.save_snapshots()
    assert library.verify().clean
    assert len(list(folder.iterdir())) == 2


def test_ids_without_others() -> None:
    chance = np.random.default_rng(5)
    for sizes in ((0, 0), (0, 9), (9, 0), (50, 30), (3, 1000)):
        ids, gone = (chance.integers(0, 100, size).astype(np.int64) for size in sizes)
        gone = np.unique(gone)
        assert verify._without(ids, gone).tolist() == [one for one in ids.tolist() if one not in set(gone.tolist())]


def test_many_removals_are_not_sorted_for_every_list(library: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The removals are sorted once, and not again for every list: only so is the time linear."""
    from vsearch.library import vectors

    monkeypatch.setattr(vectors, "FLAT_LIMIT", 10)
    library.add_video(record("/v/a.mp4", "a", count=3000))
    library.save_snapshots()
    library.add_video(record("/v/b.mp4", "b", seed=1, count=3000))
    library.forget_files([Path("/v/b.mp4")])
    sorted_values = 0
    for name in ("unique", "sort", "union1d", "setdiff1d"):
        original = getattr(np, name)

        def counted(*values: np.ndarray, original: object = original, **options: object) -> object:
            nonlocal sorted_values
            sorted_values += sum(len(value) for value in values)
            return original(*values, **options)  # type: ignore[operator]

        monkeypatch.setattr(np, name, counted)
    assert library.verify().clean
    assert sorted_values < 20 * 6000
