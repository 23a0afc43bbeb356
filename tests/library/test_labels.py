"""Labels of scenes: they filter, and go with what they belong to."""

from __future__ import annotations

from pathlib import Path

from tests.library.made import OTHER, SPACE, record, scenes
from vsearch.library import LabelRow, SceneLabel, SqliteStore, Store
from vsearch.library.filters import Filters


def fill(store: Store) -> list[int]:
    """Two videos of three scenes each: their ids, in order."""
    ids = []
    for number in range(2):
        video = store.add_video(record(f"/v/{number}.mp4", f"K{number}", number))
        store.add_encoding(f"K{number}", OTHER, scenes(number, space=OTHER))
        ids += [row.id for row in store.scenes_of(video)]
    return ids


def having(store: Store, *labels: str) -> list[int]:
    found = store.select_scenes(Filters(label=labels))
    assert found is not None
    return found.tolist()


def test_label_filter_ignores_case(store: Store) -> None:
    ids = fill(store)
    tags = [
        SceneLabel(ids[0], "A  Dog", 5.0),
        SceneLabel(ids[0], "beach", 4.5),
        SceneLabel(ids[4], "a dog", 6.0),
        SceneLabel(ids[4], "a dog", 6.0),
    ]
    store.set_labels(SPACE, ["A  Dog", "beach", "snow"], tags)
    assert having(store, "a DOG") == [ids[0], ids[4]]
    assert having(store, "a dog", "beach") == [ids[0]]
    assert having(store, "snow") == [] and having(store, "' OR 1 --") == []
    assert store.select_scenes(Filters()) is None
    assert store.labels() == [LabelRow("a dog", "fake", 2, 2), LabelRow("beach", "fake", 1, 1)]
    assert store.verify().clean


def test_set_labels_replaces_only_the_given_labels(store: Store) -> None:
    ids = fill(store)
    store.set_labels(SPACE, ["dog", "beach"], [SceneLabel(ids[0], "dog", 5.0), SceneLabel(ids[0], "beach", 5.0)])
    store.set_labels(OTHER, ["dog"], [SceneLabel(ids[2], "dog", 5.0)])
    store.set_labels(
        SPACE, ["dog"], [SceneLabel(ids[1], "dog", 5.0), SceneLabel(10**6, "dog", 9.0)]
    )  # one scene is gone by now
    assert having(store, "dog") == [ids[1], ids[2]] and having(store, "beach") == [ids[0]]
    assert store.clear_labels(["DOG"]) == 2
    assert having(store, "dog") == [] and having(store, "beach") == [ids[0]]
    assert store.clear_labels() == 1 and store.labels() == []


def test_labels_are_removed_with_their_scene_space_and_embedding(store: Store) -> None:
    ids = fill(store)
    for space in (SPACE, OTHER):
        store.set_labels(space, ["dog"], [SceneLabel(i, "dog", 5.0) for i in ids])
    store.forget_files([Path("/v/0.mp4")])
    assert having(store, "dog") == ids[3:]
    store.remove_spaces([OTHER])
    assert store.labels() == [LabelRow("dog", "fake", 3, 1)]
    store.add_encoding("K1", SPACE, scenes(7))  # other vectors: nobody has labelled these
    assert store.labels() == [] and store.verify().clean


def test_labels_of_videos_without_a_file_are_not_counted(store: Store) -> None:
    ids = fill(store)
    store.set_labels(SPACE, ["dog"], [SceneLabel(i, "dog", 5.0) for i in ids])
    store.forget_files([Path("/v/0.mp4")], keep_videos=True)
    assert store.labels() == [LabelRow("dog", "fake", 3, 1)]


def test_verify_removes_labels_without_an_encoding(library: SqliteStore) -> None:
    ids = fill(library)
    library.set_labels(SPACE, ["dog"], [SceneLabel(ids[0], "dog", 5.0)])
    alone = library.add_video(record("/v/alone.mp4", "ALONE"))
    scene = library.scenes_of(alone)[0].id
    with library._transaction() as (connection, _):
        values = (scene, library.spaces()[1].id)
        connection.execute("INSERT INTO labels (scene_id, space_id, label, score) VALUES (?, ?, 'cat', 1)", values)
    assert not library.verify().clean
    assert library.verify(repair=True).clean
    assert [row.label for row in library.labels()] == ["dog"]


def test_label_is_the_same_in_every_normal_form(store: Store) -> None:
    ids = fill(store)
    store.set_labels(SPACE, ["caf\u00e9"], [SceneLabel(ids[0], "Cafe\u0301", 5.0)])
    assert having(store, "cafe\u0301") == having(store, "CAF\u00c9") == [ids[0]]
    assert store.labels() == [LabelRow("caf\u00e9", "fake", 1, 1)]
