"""A snapshot is a cache: whatever happens to it, the answers stay those of the catalog."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.library.made import DIM, SPACE, record, scenes, stored, unit
from vsearch.library import SqliteStore, snapshots, vectors
from vsearch.library.vectors import Recipe

MAPS = Path("/proc/self/maps")


def answers(library: SqliteStore) -> list[tuple[int, float]]:
    scores, ids = library.search_scenes(SPACE, unit(77, 1), 1000)
    return [(int(i), round(float(s), 5)) for i, s in zip(ids[0], scores[0], strict=True)]


def snapshot_files(library: SqliteStore) -> tuple[Path, Path]:
    (header,) = (library.path / "snapshots").glob("*.json")
    return header, header.with_suffix(".faiss")


def fill(library: SqliteStore, count: int = 6, first: int = 0) -> None:
    for number in range(first, first + count):
        library.add_video(record(f"/v/{number}.mp4", f"key{number}", seed=number))


def base_of(library: SqliteStore) -> object:
    """What the library searches beside the newest vectors: None where it did without a snapshot."""
    answers(library)
    view = library._index(1, SPACE)._view
    assert view is not None
    return view.base


def test_snapshot_equals_the_catalog_and_newer_changes_are_replayed(library: SqliteStore) -> None:
    fill(library)
    library.save_snapshots()
    header, file = snapshot_files(library)
    assert json.loads(header.read_text())["change"] == 6
    fill(library, 2, first=6)
    library.forget_files([Path("/v/1.mp4")])
    library.add_video(record("/v/2.mp4", "changed", seed=50))
    library.remove_orphans()
    expected = answers(library)
    with SqliteStore.open(library.path) as again:
        assert base_of(again) is not None
        assert answers(again) == expected
        assert len(expected) == 7 * 3
    # the file itself did not change
    assert (header, file) == snapshot_files(library)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def scribble_front(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[8:40] = bytes(32)
    file.write_bytes(content)


def scribble_end(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-8:] = b"\xff" * 8
    file.write_bytes(content)


def remove(file: Path) -> None:
    file.unlink()


def text(file: Path) -> None:
    file.write_text("not a snapshot")


def a_list(file: Path) -> None:
    file.write_text("[]")


def other(**changes: object) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        values = json.loads(file.read_text())
        assert set(changes) <= set(values)
        file.write_text(json.dumps(values | changes))

    return change


@pytest.mark.parametrize("harm", [truncate, empty, scribble_front, scribble_end, remove, text])
def test_damaged_index_is_ignored_reported_and_repaired(library: SqliteStore, harm: Callable[[Path], None]) -> None:
    fill(library)
    expected = answers(library)
    library.save_snapshots()
    harm(snapshot_files(library)[1])
    check_dropped(library, expected)


@pytest.mark.parametrize(
    "harm",
    [
        truncate,
        empty,
        text,
        a_list,
        other(change=10**6),
        other(fingerprint="another"),
        other(library_id="another"),
        other(dim=8),
        other(format=2),
        other(count="6"),
        other(edge_crc=1),
        other(kind="hnsw"),
    ],
)
def test_foreign_newer_or_damaged_header_is_ignored(library: SqliteStore, harm: Callable[[Path], None]) -> None:
    fill(library)
    expected = answers(library)
    library.save_snapshots()
    harm(snapshot_files(library)[0])
    check_dropped(library, expected)


def check_dropped(library: SqliteStore, expected: list[tuple[int, float]]) -> None:
    with SqliteStore.open(library.path) as again:
        assert answers(again) == expected
        assert base_of(again) is None
        (problem,) = again.verify().problems
        assert problem.startswith("snapshot space-1-6.json")
        report = again.verify(repair=True)
        assert report.clean and report.repaired and not report.lost
        assert again.verify().clean
        assert base_of(again) is not None
        assert answers(again) == expected


def test_flipped_bit_is_found_by_verify_and_changes_no_score(library: SqliteStore) -> None:
    library.add_video(record("/v/long.mp4", "long", seed=1, count=5000))
    expected = answers(library)
    library.save_snapshots()
    header, file = snapshot_files(library)
    content = bytearray(file.read_bytes())
    content[100_000] ^= 0x40  # beyond what every opening looks at
    file.write_bytes(content)
    with SqliteStore.open(library.path) as again:
        assert base_of(again) is not None
        assert answers(again) == expected
        assert again.verify().problems == (f"snapshot {header.name}: its checksum is wrong",)
        assert again.verify(repair=True).clean


def test_verify_finds_a_snapshot_that_differs_from_the_catalog(library: SqliteStore, tmp_path: Path) -> None:
    """Well-formed, with the right checksums, but of another state: only comparing it with the catalog shows."""
    fill(library)
    ids = np.arange(1, 19)
    for wrong_ids, wrong_rows, expected in (
        (ids, unit(5, 18), "18 vectors differ"),
        (ids[:-1], None, "1 vectors are missing and 0 are too many"),
        (np.append(ids, 40), None, "0 vectors are missing and 1 are too many"),
    ):
        held = library.vectors(1, DIM, range(1, 19))
        rows = np.stack([held[i].astype(np.float32) if i in held else unit(i, 1)[0] for i in wrong_ids.tolist()])
        rows = rows if wrong_rows is None else wrong_rows
        save_by_hand(library, wrong_ids, rows)
        (problem,) = library.verify().problems
        assert expected in problem
        assert library.verify(repair=True).clean


def save_by_hand(library: SqliteStore, ids: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
    state = library.state()
    recipe = Recipe("flat")
    index = vectors.build(recipe, DIM, len(ids), lambda: iter([(ids, rows.astype(np.float16))]))
    folder = library.path / "snapshots"
    snapshots.sweep(folder, 1, None)
    snapshots.save(
        folder, 1, SPACE, library_id=state.library_id, change=state.change, count=len(ids), kind="flat", lists=0,
        code_bytes=2 * DIM, index=index,
    )  # fmt: skip


def test_snapshot_newer_than_a_restored_catalog_is_removed(library: SqliteStore) -> None:
    fill(library, 3)
    older = library.path.with_name("older")
    library.close()
    shutil.copytree(library.path, older)
    with SqliteStore.open(library.path) as future:
        fill(future, 3, first=3)
        future.save_snapshots()
    shutil.copytree(library.path / "snapshots", older / "snapshots", dirs_exist_ok=True)
    with SqliteStore.open(older) as restored:
        assert len(answers(restored)) == 9
        fill(restored, 4, first=10)
        assert len(answers(restored)) == 21
        assert not list((older / "snapshots").iterdir())
        assert restored.verify().clean


def test_snapshot_is_saved_again_only_after_enough_changes(library: SqliteStore) -> None:
    fill(library, 30)
    library.save_snapshots()
    first = snapshot_files(library)
    library.add_video(record("/v/one.mp4", "one"))
    library.save_snapshots()
    assert snapshot_files(library) == first
    library.save_snapshots(force=True)
    second = snapshot_files(library)
    assert second != first
    library.save_snapshots(force=True)
    assert snapshot_files(library) == second


def test_removals_are_pruned_after_a_snapshot_and_older_readers_reload(library: SqliteStore) -> None:
    fill(library, 5)
    library.save_snapshots()
    with SqliteStore.open(library.path) as reader:
        assert len(answers(reader)) == 15
        library.forget_files([Path("/v/0.mp4"), Path("/v/1.mp4")])
        library.save_snapshots()
        assert library.removed_since(1, -1).size == 0
        assert answers(reader) == answers(library)
        assert len(answers(reader)) == 9


def test_snapshot_older_than_pruned_removals_is_not_used(library: SqliteStore) -> None:
    fill(library, 5)
    library.save_snapshots()
    old = [(file, file.read_bytes()) for file in snapshot_files(library)]
    library.forget_files([Path("/v/0.mp4")])
    library.save_snapshots(force=True)
    snapshots.sweep(library.path / "snapshots", 1, None)
    for file, content in old:
        file.write_bytes(content)
    with SqliteStore.open(library.path) as again:
        assert base_of(again) is None
        assert len(answers(again)) == 12


def test_library_folder_may_have_any_name(tmp_path: Path) -> None:
    import os

    for name in ("ü \N{CAT}\n#?%20", os.fsdecode(b"\xff")):
        with SqliteStore.open(tmp_path / name, create=True) as library:
            fill(library)
            library.save_snapshots()
        with SqliteStore.open(tmp_path / name) as library:
            assert base_of(library) is not None
            assert len(answers(library)) == 18
            if MAPS.exists():
                assert b"space-1-6.faiss" in MAPS.read_bytes(), "mapped, whatever the name of the folder"
            assert library.verify().clean


def test_large_libraries_use_lists_and_return_exact_scores(
    library: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "FLAT_LIMIT", 10)
    monkeypatch.setattr(vectors, "_PROBES", 4)
    for number in range(4):
        library.add_video(record(f"/v/{number}.mp4", str(number), seed=number, count=3000))
    library.save_snapshots()
    assert json.loads(snapshot_files(library)[0].read_text())["kind"] == "ivf"
    library.add_video(record("/v/new.mp4", "new", seed=9, count=20))
    library.forget_files([Path("/v/1.mp4")])
    truth_ids, truth = everything(library)
    assert len(truth_ids) == 9020
    queries = unit(123, 20)
    scores, ids = library.search_scenes(SPACE, queries, 10)
    exact = queries @ truth.T
    for row in range(20):
        place = {int(scene): i for i, scene in enumerate(truth_ids)}
        np.testing.assert_allclose(scores[row], [exact[row, place[int(i)]] for i in ids[row]], atol=1e-6)
    best = truth_ids[np.argsort(-exact, axis=1)[:, :10]]
    found = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(ids, best, strict=True)])
    assert found > 0.15  # random vectors have no clusters to find: 4 of 256 lists would give 0.02 by chance
    # asked for everything, every list is looked into
    assert len(library.search_scenes(SPACE, queries[:1], 20000)[1][0]) == 9020
    # a filter makes up for what it leaves out: few are admitted, all lists are probed
    allowed = np.sort(np.random.default_rng(1).choice(truth_ids, 160, replace=False))
    _, among = library._index(1, SPACE).search(queries, 10, allowed, 0)
    keep = np.isin(truth_ids, allowed)
    best = truth_ids[keep][np.argsort(-exact[:, keep], axis=1)[:, :10]]
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(among, best, strict=True)]) > 0.6
    assert np.isin(among, allowed).all()
    assert library.verify().clean


def everything(library: SqliteStore) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    with library.transaction():
        parts = list(library.vectors_since(1, DIM, -1))
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([v for _, v in parts]).astype(np.float32)


def test_filtered_search_of_the_index_equals_that_of_the_catalog(library: SqliteStore) -> None:
    fill(library, 20)
    library.save_snapshots()
    fill(library, 3, first=20)
    library.forget_files([Path("/v/4.mp4")])
    every, _ = everything(library)
    allowed = np.append(every[::3], [0 + 13, 14, 10**6])
    allowed = np.unique(allowed)
    index = library._index(1, SPACE)
    for k in (1, 5, 500):
        by_index = index.search(unit(7, 4), k, allowed, 0)
        by_catalog = index.search(unit(7, 4), k, allowed, 10**9)
        for left, right in zip(by_index, by_catalog, strict=True):
            np.testing.assert_allclose(left[:, :k], right[:, : left.shape[1]], atol=1e-6)


def test_many_vectors_without_a_snapshot_are_indexed_in_memory(
    library: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from vsearch.library import space_index

    fill(library)
    expected = answers(library)
    monkeypatch.setattr(space_index, "_MATRIX_LIMIT", 5)
    caplog.set_level(logging.INFO, logger="vsearch")
    with SqliteStore.open(library.path) as again:
        assert base_of(again) is not None
        assert answers(again) == expected
        again.add_video(record("/v/new.mp4", "new", seed=60))
        assert len(answers(again)) == 21
        assert "no usable snapshot" in caplog.text


def test_recent_changes_of_a_long_lived_reader_are_merged(library: SqliteStore) -> None:
    with SqliteStore.open(library.path) as reader:
        for number in range(40):
            library.add_video(record(f"/v/{number % 11}.mp4", str(number), seed=number, count=1))
            assert answers(reader) == answers(library)
        view = reader._index(1, SPACE)._view
        assert view is not None and len(view.recent) <= 17
    assert {i for i, _ in answers(library)} == set(everything(library)[0].tolist())


def test_open_reader_adopts_newer_snapshots(library: SqliteStore) -> None:
    fill(library, 5)
    library.save_snapshots()
    with SqliteStore.open(library.path) as reader:
        for first in (5, 10, 15):
            fill(library, 5, first=first)
            expected = answers(library)
            assert answers(reader) == expected
            library.save_snapshots()
            assert answers(reader) == expected
            view = reader._index(1, SPACE)._view
            assert view is not None and view.base is not None
            assert view.base.index.ntotal == 3 * (first + 5), "without waiting for another change"
            assert view.recent == () and len(view.base.hidden) == 0


def test_damaged_newer_snapshot_is_tried_once(library: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    fill(library, 5)
    library.save_snapshots()
    with SqliteStore.open(library.path) as reader:
        held = base_of(reader)
        fill(library, 5, first=5)
        expected = answers(library)
        library.save_snapshots()
        truncate(snapshot_files(library)[1])
        for _ in range(3):
            assert answers(reader) == expected
        view = reader._index(1, SPACE)._view
        assert view is not None and view.base is not None and held is not None
        assert view.base.index is held.index  # type: ignore[attr-defined]
        assert caplog.text.count("ignoring the snapshot") == 1


def test_codes_of_a_flat_snapshot_equal_the_embeddings_of_the_catalog(library: SqliteStore) -> None:
    fill(library, 2)
    library.save_snapshots()
    (found,) = snapshots.find(library.path / "snapshots", 1, SPACE, library.state().library_id)
    index = vectors.open_snapshot(found)
    rows = np.concatenate([part for _, part in vectors.entries(index, Recipe("flat"))])
    expected = np.concatenate([np.stack([s.vector for s in scenes(seed)]) for seed in range(2)])
    np.testing.assert_array_equal(rows, stored(expected))


def test_header_is_removed_before_its_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["space-1-7.faiss", "space-1-7.json", "space-1-8.json", "space-1-8.faiss"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    gone: list[str] = []
    unlink = Path.unlink

    def noted(file: Path, missing_ok: bool = False) -> None:
        gone.append(file.suffix)
        unlink(file, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noted)
    snapshots.sweep(tmp_path, 1, None)
    assert gone == [".json", ".json", ".faiss", ".faiss"]
