"""What a library promises: replace, move, forget, other spaces, filters, what it says of itself."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.library.conftest import OpenStore
from tests.library.made import INFO, OTHER, SPACE, record, scenes, stamp, stored, unit
from vsearch.errors import LibraryError, LibraryMissing, PathError
from vsearch.library import Failure, FileRow, RemovalReport, SqliteStore, Store
from vsearch.library.filters import Filters
from vsearch.media import EncodedScene, Scene, Segment, Space, Transcript, VideoInfo


def search_all(store: Store, space: Space = SPACE) -> set[int]:
    _, ids = store.search_scenes(space, unit(99, 1, space.dim), 1000)
    return set(ids.ravel().tolist())


def test_open_without_a_library_says_how_to_create_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing, match="vsearch index"):
        SqliteStore.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_empty_folder_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissing):
        SqliteStore.open(tmp_path)


def test_file_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PathError, match="is a file"):
        SqliteStore.open(tmp_path / "file", create=True)


def test_added_video_is_found(store: Store) -> None:
    lines = [Segment(1.0, 2.0, "hello"), Segment(0.0, 1.0, "EXIT", "ocr")]
    video = store.add_video(record("/v/a.mp4", "A", seed=1, segments=lines))
    row = store.find_key("A")
    assert row is not None
    assert (row.id, row.info, row.paths) == (video, INFO, (Path("/v/a.mp4"),))
    assert store.find_file(Path("/v/a.mp4")) == FileRow(Path("/v/a.mp4"), 100, 10**18, video, "A")
    assert store.transcript(video) == [lines[1], lines[0]]
    assert [(scene.start, scene.end) for scene in store.scenes_of(video)] == [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0)]
    assert store.find_key("B") is None
    assert store.find_file(Path("/v/b.mp4")) is None


def test_scores_are_inner_products_with_stored_embeddings_best_first(store: Store) -> None:
    video = store.add_video(record("/v/a.mp4", "A", seed=1))
    queries = unit(2, 4)
    scores, ids = store.search_scenes(SPACE, queries, 2)
    truth = queries @ stored(unit(1, 3)).T
    order = np.argsort(-truth, axis=1)[:, :2]
    np.testing.assert_array_equal(ids, np.array([row.id for row in store.scenes_of(video)])[order])
    np.testing.assert_allclose(scores, np.take_along_axis(truth, order, axis=1), atol=1e-6)
    assert scores.dtype == np.float32 and ids.dtype == np.int64


def test_frames_keep_their_times_and_embeddings_within_an_int8_step(store: Store) -> None:
    video = store.add_video(record("/v/a.mp4", "A", seed=1))
    wanted = [row.id for row in store.scenes_of(video)]
    frames = store.frame_vectors(SPACE, [*wanted, 999])
    assert sorted(frames) == wanted
    for given, scene_id in zip(scenes(1), wanted, strict=True):
        vectors, times = frames[scene_id]
        np.testing.assert_array_equal(times, given.frame_times)
        np.testing.assert_allclose(vectors, given.frame_vectors, atol=0.5 / 127)


def test_changed_file_replaces_its_former_content(store: Store) -> None:
    store.add_video(record("/v/a.mp4", "A", seed=1))
    before = search_all(store)
    store.add_video(record("/v/a.mp4", "B", seed=2))
    assert store.scenes(sorted(before)) == {}
    store.remove_orphans()
    assert store.find_key("A") is None
    assert not before & search_all(store)
    assert store.scenes(sorted(before)) == {}
    assert store.status().videos == store.status().files == 1


def test_content_of_two_files_stays_until_both_are_removed(store: Store) -> None:
    video = store.add_video(record("/v/a.mp4", "A"))
    store.touch_file(stamp("/v/copy.mp4"), "A")
    assert store.forget_files([Path("/v/a.mp4")]) == RemovalReport(files=1)
    assert len(search_all(store)) == 3
    assert {row.path for row in store.scenes_of(video)} == {Path("/v/copy.mp4")}
    assert store.forget_files([Path("/v/copy.mp4")]) == RemovalReport(files=1, videos=1, scenes=3)
    assert search_all(store) == set()
    assert store.transcript(video) == []


def test_moved_file_keeps_its_scenes(store: Store) -> None:
    store.add_video(record("/v/a.mp4", "A"))
    before = search_all(store)
    store.touch_file(stamp("/w/b.mp4", mtime_ns=5), "A")
    store.forget_files([Path("/v/a.mp4")])
    assert search_all(store) == before
    assert [row.path for row in store.files()] == [Path("/w/b.mp4")]


def test_video_added_again_is_replaced_and_keeps_its_other_paths(store: Store) -> None:
    first = store.add_video(record("/v/a.mp4", "A", seed=1, segments=[Segment(0, 1, "old")]))
    store.add_encoding("A", OTHER, scenes(5, space=OTHER))
    second = store.add_video(record("/v/b.mp4", "A", seed=2, count=4))
    assert first == second
    assert len(store.files()) == 2
    assert len(search_all(store)) == 4
    assert not store.has_space(first, OTHER)
    assert search_all(store, OTHER) == set()
    assert store.transcript(first) == []


def test_files_renamed_in_a_chain_lose_no_video(store: Store, open_store: OpenStore) -> None:
    store.add_video(record("/v/1.mp4", "A", seed=1))
    second = store.add_video(record("/v/2.mp4", "B", seed=2))
    store.touch_file(stamp("/v/2.mp4"), "A")  # 1.mp4 was renamed to 2.mp4
    store.forget_files([Path("/v/1.mp4")], keep_videos=True)
    with closing(open_store()) as reader:  # as after a kill
        known = reader.find_key("B")
        assert known is not None and known.paths == () and reader.has_space(second, SPACE)
        assert reader.status().videos == reader.spaces()[0].videos == 1 and reader.verify().clean
        assert {row.path.name for row in reader.scenes(sorted(search_all(reader))).values()} == {"2.mp4"}
    store.touch_file(stamp("/v/3.mp4"), "B")  # and 2.mp4 to 3.mp4
    assert store.remove_orphans() == RemovalReport()
    assert store.status().videos == 2 and len(search_all(store)) == 6


def test_video_without_a_file_is_removed_as_an_orphan(store: Store) -> None:
    store.add_video(record("/v/a.mp4", "A", seed=1))
    store.add_video(record("/v/a.mp4", "B", seed=2, count=2))
    assert store.remove_orphans() == RemovalReport(videos=1, scenes=3)
    assert store.find_key("A") is None and len(search_all(store)) == 2
    change = store.status().change
    assert store.remove_orphans() == RemovalReport() and store.status().change == change


def test_failures_below_a_folder_can_be_forgotten(store: Store) -> None:
    for path in ("/v/a.mp4", "/v/sub/b.mp4", "/v2/c.mp4"):
        store.record_failure(Failure(stamp(path), "no video track"))
    below = [failure.stamp.path for failure in store.failures(Path("/v"))]
    assert [str(path) for path in below] == ["/v/a.mp4", "/v/sub/b.mp4"]
    assert store.forget_files(below) == RemovalReport(failures=2)
    assert [str(failure.stamp.path) for failure in store.failures()] == ["/v2/c.mp4"]


def test_touch_file_with_an_unknown_key_is_refused(store: Store) -> None:
    with pytest.raises(LibraryError, match="no video with the key"):
        store.touch_file(stamp("/v/a.mp4"), "nothing")
    assert store.files() == []


def test_spaces_are_searched_separately(store: Store) -> None:
    video = store.add_video(record("/v/a.mp4", "A"))
    assert store.has_space(video, SPACE) and not store.has_space(video, OTHER)
    assert store.search_scenes(OTHER, unit(1, 2, 8), 5)[1].shape == (2, 0)
    store.add_encoding("A", OTHER, scenes(7, space=OTHER))
    assert store.has_space(video, OTHER)
    _, ids = store.search_scenes(OTHER, unit(7, 1, 8), 1)
    assert store.scenes(ids[0].tolist())[int(ids[0, 0])].start == 0.0
    assert [(row.space, row.videos, row.vectors) for row in store.spaces()] == [(SPACE, 1, 3), (OTHER, 1, 3)]
    twin = Space(model="renamed", fingerprint="f0", dim=16, channel="speech")
    assert not store.has_space(video, twin)


def test_encoding_again_replaces_the_embeddings_of_a_space(store: Store) -> None:
    store.add_video(record("/v/a.mp4", "A", seed=1))
    store.save_snapshots()
    search_all(store)
    store.add_encoding("A", SPACE, scenes(8))
    scores, ids = store.search_scenes(SPACE, unit(8, 1), 10)
    assert ids.shape == (1, 3)
    assert scores[0, 0] == pytest.approx(1.0, abs=1e-3)


def test_add_encoding_with_other_scenes_is_refused(store: Store) -> None:
    store.add_video(record("/v/a.mp4", "A"))
    shifted = [EncodedScene(Scene(s.scene.start + 0.1, s.scene.end + 0.1), s.vector, s.frame_vectors, s.frame_times)
               for s in scenes(1, space=OTHER)]  # fmt: skip
    for wrong in (scenes(1, 2, OTHER), shifted):
        with pytest.raises(LibraryError, match="scenes"):
            store.add_encoding("A", OTHER, wrong)
    assert [row.space for row in store.spaces()] == [SPACE]


@pytest.mark.parametrize("scale", [0.0, 0.5, np.nan, np.inf])
def test_embedding_without_unit_length_is_refused_and_nothing_is_written(store: Store, scale: float) -> None:
    good = scenes(1)
    with np.errstate(invalid="ignore"):
        bad = EncodedScene(Scene(6, 8), good[0].vector * np.float32(scale), good[0].frame_vectors, good[0].frame_times)
    with pytest.raises(ValueError, match="unit length"):
        store.add_video(_with(record("/v/a.mp4", "A"), (*good, bad)))
    assert store.status().change == 0


def test_embedding_of_another_dimension_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        store.add_video(_with(record("/v/a.mp4", "A"), scenes(1, space=OTHER)))


def _with(given: object, replaced: tuple[EncodedScene, ...]) -> object:
    import dataclasses

    return dataclasses.replace(given, scenes=replaced)  # type: ignore[type-var]


def test_failure_is_remembered_until_its_path_is_added(store: Store) -> None:
    failure = Failure(stamp("/v/a.mp4"), "no video track")
    store.record_failure(Failure(stamp("/v/a.mp4", size=1), "empty"))
    store.record_failure(failure)
    assert store.find_failure(Path("/v/a.mp4")) == failure
    assert store.status().failures == (failure,)
    store.add_video(record("/v/b.mp4", "B"))
    assert store.find_failure(Path("/v/a.mp4")) == failure
    store.touch_file(stamp("/v/a.mp4"), "B")
    assert store.find_failure(Path("/v/a.mp4")) is None
    store.record_failure(failure)
    store.add_video(record("/v/a.mp4", "A"))
    assert store.status().failures == ()
    store.record_failure(failure)
    store.forget_files([Path("/v/a.mp4")])
    assert store.find_failure(Path("/v/a.mp4")) is None


NAMES = [
    b"a b\nc.mp4",
    "\N{CAT} \N{LATIN SMALL LETTER E WITH ACUTE}.mp4".encode(),
    b"-rf.mp4",
    b"\xff\xfe.mp4",
    b"'; DROP TABLE files; --.mp4",
]


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
@pytest.mark.parametrize("name", NAMES)
def test_any_file_name_is_stored_unchanged(store: Store, name: bytes) -> None:
    path = Path(os.fsdecode(b"/videos/" + name))
    video = store.add_video(record(path, "A"))
    store.record_failure(Failure(stamp(path.with_suffix(".bad")), f"cannot read {path}"))
    assert [row.path for row in store.files(Path("/videos"))] == [path]
    assert store.scenes_of(video)[0].path == path
    failure = store.find_failure(path.with_suffix(".bad"))
    assert failure is not None and failure.stamp.path == path.with_suffix(".bad")
    allowed = store.select_scenes(Filters(path="*.mp4"))
    assert allowed is not None and len(allowed) == 3


def test_invalid_unicode_in_segments_is_stored_escaped(store: Store) -> None:
    video = store.add_video(record("/v/a.mp4", "A", segments=[Segment(0, 1, "caf\udce9 \0 <b>")]))
    assert [line.text for line in store.transcript(video)] == ["caf\\udce9 \0 <b>"]


def test_files_under_a_folder_exclude_paths_with_the_same_prefix(store: Store) -> None:
    for number, path in enumerate(("/v/a.mp4", "/v/sub/b.mp4", "/v2/c.mp4", "/v", "/v-x/d.mp4")):
        store.add_video(record(path, str(number)))
    assert [str(row.path) for row in store.files(Path("/v"))] == ["/v", "/v/a.mp4", "/v/sub/b.mp4"]
    assert len(store.files(Path("/"))) == 5
    assert [str(row.path) for row in store.files(Path("/v2/c.mp4"))] == ["/v2/c.mp4"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("film [2020].mp4", {"film [2020].mp4"}),
        ("v/film [2020].mp4", {"film [2020].mp4"}),
        ("/v/film [2020].mp4", {"film [2020].mp4"}),
        ("film [0-9].mp4", {"film 2.mp4"}),
        ("film*", {"film [2020].mp4", "film 2.mp4"}),
        ("cafe\u0301.mp4", {"caf\u00e9.mp4"}),
        ("o\u0308*.mp4", {"\u00f6l.mp4", "o\u0308de.mp4"}),
        ("*/\u00f6de.mp4", {"o\u0308de.mp4"}),
    ],
)
def test_path_filter_matches_exact_names_and_normal_forms(store: Store, pattern: str, found: set[str]) -> None:
    names = ["film [2020].mp4", "film 2.mp4", "caf\u00e9.mp4", "\u00f6l.mp4", "o\u0308de.mp4"]
    for number, name in enumerate(names):
        store.add_video(record(f"/v/{name}", f"K{number}", number, 1))
    scenes = store.select_scenes(Filters(path=pattern))
    assert scenes is not None
    assert {row.path.name for row in store.scenes(scenes.tolist(), filters=Filters(path=pattern)).values()} == found


@pytest.mark.parametrize("seed", range(5))
def test_has_speech_selects_scenes_that_speech_segments_overlap(store: Store, seed: int) -> None:
    draw = np.random.default_rng(seed)
    starts = np.sort(draw.uniform(0, 60, 12))
    lines = [Segment(at, at + draw.uniform(0.1, 20), "words") for at in starts.tolist()][: seed * 3]
    video = store.add_video(record("/v/a.mp4", "A", count=30, segments=lines[:2]))
    store.set_transcript("A", Transcript((Segment(1.0, 50.0, "shown", "ocr"),), "ocr", "r", channel="ocr"))
    if seed % 2:
        store.set_transcript("A", Transcript(tuple(lines), "whisper", "r"))
    else:
        lines = lines[:2]
    rows = store.scenes_of(video)
    for said in (True, False):
        found = store.select_scenes(Filters(has_speech=said))
        assert found is not None
        assert found.tolist() == [
            row.id for row in rows if said == any(line.start < row.end and line.end > row.start for line in lines)
        ]


def test_filters_select_scenes(store: Store) -> None:
    dated = VideoInfo(duration=4, width=1, height=1, codec="c", container="c", recorded_at=500.0)
    store.add_video(record("/v/holidays/a.mp4", "A", info=dated))
    store.add_video(record("/v/work/b.MKV", "B", count=2, mtime_ns=1000 * 10**9))
    store.add_video(record("/v/work/c.mp4", "C", count=1, mtime_ns=2000 * 10**9))

    def admitted(**filters: Any) -> list[str]:
        ids = store.select_scenes(Filters(**filters))
        assert ids is not None and (np.diff(ids) > 0).all() and ids.dtype == np.int64
        return sorted({row.path.name for row in store.scenes(ids.tolist()).values()})

    assert store.select_scenes(Filters()) is None
    assert admitted(path="*.mp4") == ["a.mp4", "c.mp4"]
    assert admitted(path="work/*") == ["b.MKV", "c.mp4"]
    assert admitted(path="/v/*/a.mp4") == ["a.mp4"]
    assert admitted(path="a*") == ["a.mp4"]
    assert admitted(path="*.avi") == []
    assert admitted(since=datetime.fromtimestamp(1000)) == ["b.MKV", "c.mp4"]
    assert admitted(until=datetime.fromtimestamp(1000)) == ["a.mp4"]
    assert admitted(since=datetime.fromtimestamp(400), until=datetime.fromtimestamp(1500), path="*.MKV") == ["b.MKV"]
    assert admitted(min_duration=2.0) == ["a.mp4", "b.MKV", "c.mp4"]
    assert admitted(min_duration=2.1) == []
    assert admitted(max_duration=1.9) == [] and len(admitted(max_duration=2.0)) == 3
    assert admitted(folder=Path("/v/work")) == ["b.MKV", "c.mp4"]
    assert admitted(folder=Path("/v/work/b.MKV")) == ["b.MKV"]
    assert admitted(folder=Path("/v/wor")) == [] and len(admitted(folder=Path("/"))) == 3
    assert admitted(folder=Path("/v/work"), path="*.mp4") == ["c.mp4"]


def test_folder_and_path_filter_must_match_the_same_file(store: Store) -> None:
    store.add_video(record("/one/a.mp4", "A"))
    store.touch_file(stamp("/two/b.mkv"), "A")
    ids = store.select_scenes(Filters(folder=Path("/two")))
    assert ids is not None and len(ids) == 3
    assert {row.path for row in store.scenes(ids.tolist(), filters=Filters(folder=Path("/two"))).values()} == {
        Path("/two/b.mkv")
    }
    assert store.select_scenes(Filters(folder=Path("/two"), path="*.mp4")).tolist() == []  # type: ignore[union-attr]


def test_scenes_are_selected_by_language_and_speech(store: Store) -> None:
    def said(key: str, language: str | None, *lines: Segment) -> None:
        store.set_transcript(key, Transcript(lines, "sidecar", "r", language))

    for number, key in enumerate("ABCD"):
        store.add_video(record(f"/v/{key}.mp4", key, seed=number))  # scenes of two seconds
    said("A", "en", Segment(1.0, 2.0, "hello"))  # ends where the second scene begins
    said("B", "pt-BR", Segment(3.0, 4.5, "ola"))
    said("C", "eng")

    def admitted(**filters: Any) -> list[tuple[str, float]]:
        ids = store.select_scenes(Filters(**filters))
        assert ids is not None
        return [(row.path.stem, row.start) for row in store.scenes(ids.tolist()).values()]

    assert admitted(has_speech=True) == [("A", 0.0), ("B", 2.0), ("B", 4.0)]
    assert len(admitted(has_speech=False)) == 12 - 3
    assert {name for name, _ in admitted(language="en")} == {name for name, _ in admitted(language="ENG")} == {"A", "C"}
    assert {name for name, _ in admitted(language="pt")} == {name for name, _ in admitted(language="pt-br")} == {"B"}
    assert admitted(language="pt-pt") == admitted(language="e") == admitted(language="de") == []
    assert admitted(language="en", has_speech=True) == [("A", 0.0)]


def test_scene_vectors_returns_stored_embeddings(store: Store) -> None:
    video = store.add_video(record("/v/a.mp4", "A", seed=1))
    ids = [row.id for row in store.scenes_of(video)]
    found = store.scene_vectors(SPACE, [*ids, 999])
    np.testing.assert_array_equal(np.stack([found[scene] for scene in ids]), stored(unit(1, 3)))
    assert set(found) == set(ids) and store.scene_vectors(OTHER, ids) == {}


def test_search_returns_only_allowed_scenes(store: Store) -> None:
    for number in range(5):
        store.add_video(record(f"/v/{number}.mp4", str(number), seed=number))
    every = sorted(search_all(store))
    query = unit(50, 1)
    _, ids = store.search_scenes(SPACE, query, 100, allowed=np.array([every[3], every[0], every[0], 12345]))
    assert set(ids[0].tolist()) == {every[0], every[3]}
    assert store.search_scenes(SPACE, query, 5, allowed=np.array([], dtype=np.int64))[1].shape == (1, 0)
    assert store.search_scenes(SPACE, query, 5, allowed=np.array([-1, 0]))[1].shape == (1, 0)


def test_search_for_more_scenes_than_stored_and_in_an_empty_store(store: Store) -> None:
    assert store.search_scenes(SPACE, unit(1, 2), 5)[1].shape == (2, 0)
    store.add_video(record("/v/a.mp4", "A"))
    assert store.search_scenes(SPACE, unit(1, 2), 50)[0].shape == (2, 3)
    assert store.search_scenes(SPACE, np.empty((0, 16), dtype=np.float32), 5)[1].shape == (0, 0)
    store.forget_files([Path("/v/a.mp4")])
    assert store.search_scenes(SPACE, unit(1, 2), 5)[1].shape == (2, 0)
    store.save_snapshots()
    assert store.verify().clean


def test_search_with_invalid_arguments_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="queries must be"):
        store.search_scenes(SPACE, unit(1, 1, 8), 5)
    with pytest.raises(ValueError, match="positive"):
        store.search_scenes(SPACE, unit(1, 1), 0)


def test_status_counts(store: Store) -> None:
    store.add_video(record("/v/a.mp4", "A"))
    store.touch_file(stamp("/v/b.mp4"), "A")
    store.save_snapshots()
    state = store.status()
    assert (state.videos, state.files, state.scenes, state.seconds, state.change) == (1, 2, 3, 9.5, 2)
    assert state.catalog_bytes > 0 and state.snapshot_bytes > 0
    assert state.as_json()["spaces"][0]["vectors"] == 3


def test_ids_are_never_reused(store: Store) -> None:
    seen: set[int] = set()
    for round_number in range(3):
        store.add_video(record("/v/a.mp4", "A", seed=round_number))
        now = search_all(store)
        assert not now & seen
        seen |= now
        store.forget_files([Path("/v/a.mp4")])


def test_reader_sees_commits_of_another_store_object(store: Store, open_store: OpenStore) -> None:
    with closing(open_store()) as reader:
        assert search_all(reader) == set()
        with store.writing():
            store.add_video(record("/v/a.mp4", "A"))
            assert len(search_all(reader)) == 3
            store.save_snapshots()
            store.add_video(record("/v/b.mp4", "B"))
            store.forget_files([Path("/v/a.mp4")])
            store.save_snapshots(force=True)
            assert search_all(reader) == search_all(store)


def test_threads_search_while_another_writes(store: Store) -> None:
    trouble: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                scores, ids = store.search_scenes(SPACE, unit(3, 2), 5)
                assert (np.diff(scores, axis=1) <= 0).all()
                assert len(set(ids[0].tolist())) == ids.shape[1]
                store.scenes(ids[0].tolist())
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(25):
            store.add_video(record(f"/v/{number % 7}.mp4", f"{number}", seed=number))
            if number % 10 == 9:
                store.save_snapshots()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not trouble
    assert store.verify().clean
