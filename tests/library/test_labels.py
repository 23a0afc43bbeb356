"""Labels of scenes: they filter, and go with what they belong to."""

from __future__ import annotations

from pathlib import Path

from tests.library.made import OTHER, SPACE, record, scenes
from vsearch.library import LabelRow, SqliteStore, Tag
from vsearch.library.filters import Filters


def fill(library: SqliteStore) -> list[int]:
    """Two videos of three scenes each: their ids, in order."""
    ids = []
    for number in range(2):
        video = library.add_video(record(f"/v/{number}.mp4", f"K{number}", number))
        library.add_encoding(f"K{number}", OTHER, scenes(number, space=OTHER))
        ids += [row.id for row in library.scenes_of(video)]
    return ids


def having(library: SqliteStore, *labels: str) -> list[int]:
    found = library.select_scenes(Filters(label=labels))
    assert found is not None
    return found.tolist()


def test_labels_filter_whatever_their_case(library: SqliteStore) -> None:
    ids = fill(library)
    tags = [Tag(ids[0], "A  Dog", 5.0), Tag(ids[0], "beach", 4.5), Tag(ids[4], "a dog", 6.0), Tag(ids[4], "a dog", 6.0)]
    library.set_labels(SPACE, ["A  Dog", "beach", "snow"], tags)
    assert having(library, "a DOG") == [ids[0], ids[4]]
    assert having(library, "a dog", "beach") == [ids[0]]
    assert having(library, "snow") == [] and having(library, "' OR 1 --") == []
    assert library.select_scenes(Filters()) is None
    assert library.labels() == [LabelRow("a dog", "fake", 2, 2), LabelRow("beach", "fake", 1, 1)]
    assert library.verify().clean


def test_a_new_run_takes_the_place_of_the_last_one_for_its_labels_alone(library: SqliteStore) -> None:
    ids = fill(library)
    library.set_labels(SPACE, ["dog", "beach"], [Tag(ids[0], "dog", 5.0), Tag(ids[0], "beach", 5.0)])
    library.set_labels(OTHER, ["dog"], [Tag(ids[2], "dog", 5.0)])
    library.set_labels(SPACE, ["dog"], [Tag(ids[1], "dog", 5.0), Tag(10**6, "dog", 9.0)])  # one scene is gone by now
    assert having(library, "dog") == [ids[1], ids[2]] and having(library, "beach") == [ids[0]]
    assert library.clear_labels(["DOG"]) == 2
    assert having(library, "dog") == [] and having(library, "beach") == [ids[0]]
    assert library.clear_labels() == 1 and library.labels() == []


def test_labels_go_with_scene_space_and_vector(library: SqliteStore) -> None:
    ids = fill(library)
    for space in (SPACE, OTHER):
        library.set_labels(space, ["dog"], [Tag(i, "dog", 5.0) for i in ids])
    library.forget_files([Path("/v/0.mp4")])
    assert having(library, "dog") == ids[3:]
    library.remove_spaces([OTHER])
    assert library.labels() == [LabelRow("dog", "fake", 3, 1)]
    library.add_encoding("K1", SPACE, scenes(7))  # other vectors: nobody has labelled these
    assert library.labels() == [] and library.verify().clean


def test_videos_that_no_file_holds_are_not_counted(library: SqliteStore) -> None:
    ids = fill(library)
    library.set_labels(SPACE, ["dog"], [Tag(i, "dog", 5.0) for i in ids])
    library.forget_files([Path("/v/0.mp4")], keep_videos=True)
    assert library.labels() == [LabelRow("dog", "fake", 3, 1)]


def test_labels_that_belong_to_nothing_are_found_and_dropped(library: SqliteStore) -> None:
    ids = fill(library)
    library.set_labels(SPACE, ["dog"], [Tag(ids[0], "dog", 5.0)])
    alone = library.add_video(record("/v/alone.mp4", "ALONE"))
    scene = library.scenes_of(alone)[0].id
    with library._transaction() as (connection, _):
        values = (scene, library.spaces()[1].id)
        connection.execute("INSERT INTO labels (scene_id, space_id, label, score) VALUES (?, ?, 'cat', 1)", values)
    assert not library.verify().clean
    assert library.verify(repair=True).clean
    assert [row.label for row in library.labels()] == ["dog"]


def test_a_label_is_the_same_in_either_normal_form(library: SqliteStore) -> None:
    ids = fill(library)
    library.set_labels(SPACE, ["caf\u00e9"], [Tag(ids[0], "Cafe\u0301", 5.0)])
    assert having(library, "cafe\u0301") == having(library, "CAF\u00c9") == [ids[0]]
    assert library.labels() == [LabelRow("caf\u00e9", "fake", 1, 1)]
