"""Labels against a background, what they do to a query, and sentences for a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.queries import make_query
from tests.search.made import add, frames_of
from vsearch.errors import InputError, PathError, QueryError
from vsearch.library import SceneLabel, SqliteStore
from vsearch.models.fake import FakeModel
from vsearch.phrases import LONGEST_PHRASE, MOST_PHRASES, read_phrases
from vsearch.search import Query, SearchEngine
from vsearch.search.background import BACKGROUND
from vsearch.search.describe import describe, stored_scenes, whole
from vsearch.search.labels import Labeller, encode_phrases


def test_the_background_has_no_phrase_twice() -> None:
    assert len(BACKGROUND) == len(set(BACKGROUND)) > 200 and all(BACKGROUND)


def test_a_score_is_standard_deviations_above_the_background() -> None:
    background = ["red", "green", "blue", "cyan"]
    labeller = Labeller(FakeModel(), ["red", "yellow"], background)
    scores = labeller.scores(frames_of("ry"))
    # a red scene and the four phrases: cosines 1, 0, 0, 0, of mean 1/4 and deviation sqrt(3)/4
    assert scores[0] == pytest.approx([np.sqrt(3), -1 / np.sqrt(3)], abs=1e-5)
    assert scores[1, 1] > 100  # nothing of the background is yellow: whatever is there stands out


def test_a_scene_gets_the_best_that_reach_the_threshold() -> None:
    labeller = Labeller(FakeModel(), ["green", "red", "red and green"], ["red", "green", "blue", "cyan", "black"])
    ids, scenes = np.array([7, 9]), np.stack([frames_of("r")[0], frames_of("m")[0]])
    tags = labeller.tag(ids, scenes, threshold=0.5, top=2)
    assert [(tag.scene_id, tag.label) for tag in tags] == [(7, "red"), (7, "red and green")]
    tags = labeller.tag(ids, scenes, threshold=0.5, top=1)
    assert [tag.label for tag in tags] == ["red"]
    tags = labeller.tag(ids, scenes, threshold=50.0)
    assert tags == []


def test_braces_in_a_label_are_braces() -> None:
    assert encode_phrases(FakeModel(), ["{0.__class__} red"]) == pytest.approx(encode_phrases(FakeModel(), ["red"]))


@pytest.fixture
def labelled(library: SqliteStore) -> SqliteStore:
    add(library, "/v/a.mp4", ["rrg", "bb", "rr"])
    add(library, "/v/b.mp4", ["rr"])
    (first, _, last), (other,) = (library.scenes_of(video) for video in (1, 2))
    tags = [
        SceneLabel(first.id, "red", 9.0),
        SceneLabel(last.id, "red", 9.0),
        SceneLabel(other.id, "red", 9.0),
        SceneLabel(last.id, "wall", 9.0),
    ]
    library.set_labels(FakeModel().space, ["red", "wall"], tags)
    return library


def found(library: SqliteStore, query: Query) -> list[tuple[str, float]]:
    return [(hit.video.name, hit.start) for hit in SearchEngine(library, FakeModel()).search(query)]


def test_a_query_keeps_to_scenes_with_its_labels(labelled: SqliteStore) -> None:
    assert set(found(labelled, make_query("blue", label=("Red",)))) == {("a.mp4", 0), ("a.mp4", 5), ("b.mp4", 0)}
    assert found(labelled, make_query("blue", label=("red", "wall"))) == [("a.mp4", 5)]
    assert found(labelled, make_query("blue", label=("unheard of",))) == []


def test_a_label_alone_is_a_query(labelled: SqliteStore) -> None:
    hits = found(labelled, make_query(label=("red",)))
    assert len(hits) == 3 and hits[-1] == ("a.mp4", 0)  # a third of it is green
    assert found(labelled, make_query(label=("red",), moments=True, k=1)) != []


@pytest.mark.parametrize("wrong", [{"label": (" ",)}, {"label": ("a",), "channel": "speech"}])
def test_labels_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(QueryError):
        make_query(**wrong)


def test_sentences_for_a_video_and_its_scenes(labelled: SqliteStore) -> None:
    model, sentences = FakeModel(), ["blue", "green", "red", "red and blue"]
    scenes = stored_scenes(labelled, model, 1)
    best = [description.sentences[0][0] for description in describe(model, scenes, sentences, 2)]
    assert best == ["red", "blue", "red"]
    (file,) = describe(model, [whole(scenes)], sentences, 9)
    assert (file.start, file.end) == (0, 7)
    assert [text for text, _ in file.sentences] == ["red and blue", "red", "blue", "green"]


def test_phrases_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffA dog\r\n\n  a   DOG \nein Fluß\n# no comment\n".encode())
    assert read_phrases(path) == ["A dog", "ein Fluß", "# no comment"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b" \n", "empty"),
        (b"\xff\xfe", "UTF-8"),
        (b"x" * (LONGEST_PHRASE + 1), "labels.txt:1: 1001 characters"),
        ("\n".join(map(str, range(MOST_PHRASES + 1))).encode(), "more than 10000"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says):
        read_phrases(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="no such file"):
        read_phrases(tmp_path / "none.txt")
