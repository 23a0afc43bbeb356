"""Several models asked together: one list, by scores that can be worked out in the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.search.made import add, frames_of
from vsearch.errors import QueryError
from vsearch.library import SceneRow, SqliteStore
from vsearch.media import EncodedScene, Hit, Space, Vectors
from vsearch.models.fake import FakeModel
from vsearch.search import ClipExample, ImageExample, Query, SceneExample, SearchEngine
from vsearch.search.candidates import Candidate, scene_candidate
from vsearch.search.fuse_spaces import fuse_spaces

A, B = Space("a", "1111111111", 8), Space("b", "2222222222", 8)


def found(
    scene: int, score: float, start: float = 0.0, *, video: int | None = None, channel: str = "visual"
) -> Candidate:
    row = SceneRow(scene, scene if video is None else video, Path(f"/v/{scene}.mp4"), start, start + 2)
    return scene_candidate(row, score, {channel: score}, 0)


def ids(fused: list[Candidate]) -> list[int]:
    return [one.scene.id for one in fused]


def test_reciprocal_rank() -> None:
    fused = fuse_spaces([A, B], [[found(1, 0.9), found(2, 0.8)], [found(2, 30), found(3, 20)]])
    assert ids(fused) == [2, 1, 3]  # both models know the second
    assert [one.score for one in fused] == pytest.approx([(61 / 62 + 1) / 2, 0.5, 61 / 62 / 2])
    assert fused[0].channels == {"visual:a": 0.8, "visual:b": 30}
    assert fused[2].channels == {"visual:b": 20}


def test_a_model_that_finds_nothing_changes_no_order() -> None:
    assert ids(fuse_spaces([A, B], [[found(2, 0.9), found(1, 0.8)], []])) == [2, 1]
    assert fuse_spaces([A, B], [[], []]) == []


def test_a_hit_is_told_by_the_model_that_ranks_it_highest() -> None:
    here, there = found(1, 0.5, 0.0), found(1, 0.5, 4.0)
    (one,) = fuse_spaces([A, B], [[here], [there]])
    assert one.start == 0
    fused = fuse_spaces([A, B], [[found(2, 0.9), here], [there]])
    assert next(one for one in fused if one.scene.id == 1).start == 4


def test_of_moments_that_overlap_one_stays() -> None:
    fused = fuse_spaces([A, B], [[found(1, 0.9, 3.0, video=7)], [found(2, 0.9, 3.5, video=7)]])
    assert ids(fused) == [1]


def test_versions_of_one_model_are_told_apart() -> None:
    newer = Space("a", "3333333333", 8)
    (one,) = fuse_spaces([A, newer], [[found(1, 0.9)], [found(1, 0.8)]])
    assert one.channels == {"visual:a 11111111": 0.9, "visual:a 33333333": 0.8}


class SwappedModel(FakeModel):
    """Takes green for red and red for green, in words alone."""

    def __init__(self) -> None:
        super().__init__("swapped")

    def encode_texts(self, texts: list[str]) -> Vectors:  # type: ignore[override]
        swap = {"red": "green", "green": "red"}
        return super().encode_texts([" ".join(swap.get(word, word) for word in text.split()) for text in texts])


@pytest.fixture
def both(library: SqliteStore) -> SqliteStore:
    """Three videos in the spaces of the fake model and of the one that swaps colours."""
    space = SwappedModel().space
    for name, letters in (("red", "rr"), ("green", "gg"), ("blue", "bb")):
        add(library, f"/v/{name}.mp4", [letters])
        row = library.find_key(f"key of /v/{name}.mp4")
        assert row is not None
        (scene,) = library.scenes_of(row.id)
        frames = frames_of(letters)
        vector = FakeModel().aggregate([frames])[0]
        encoded = EncodedScene(_span(scene), vector, frames, np.array([0.5, 1.5]))
        library.add_encoding(row.key, space, [encoded])
    return library


def _span(row: SceneRow):  # type: ignore[no-untyped-def]
    from vsearch.media import Scene

    return Scene(row.start, row.end)


def names(hits: list[Hit]) -> list[str]:
    return [hit.video.stem for hit in hits]


def test_the_engine_asks_both(both: SqliteStore) -> None:
    engine = SearchEngine(both, [FakeModel(), SwappedModel()])
    assert set(names(engine.search(Query("red", k=2)))) == {"red", "green"}
    assert names(engine.search(Query("blue", k=1))) == ["blue"]
    (hit,) = engine.search(Query("blue", k=1))
    assert hit.channels == {"visual:fake": pytest.approx(1, abs=1e-3), "visual:swapped": pytest.approx(1, abs=1e-3)}
    assert engine.missing_videos() == 0


def test_every_kind_of_query_goes_to_both(both: SqliteStore) -> None:
    models = [FakeModel(), SwappedModel()]
    engine = SearchEngine(both, models)
    blue = ImageExample(np.full((8, 8, 3), (0, 0, 255), np.uint8))
    assert names(engine.search(Query(example=blue, k=1))) == ["blue"]
    clip = ClipExample({model.space: frames_of("b")[0] for model in models})
    assert names(engine.search(Query(example=clip, k=1))) == ["blue"]
    assert "blue" not in names(engine.search(Query(example=SceneExample(3))))
    (moment,) = engine.search(Query("blue", k=1, moments=True))
    assert (moment.video.stem, moment.start, moment.end) == ("blue", 0, 2)
    assert names(engine.search(Query("blue", k=1, rerank="late"))) == ["blue"]
    assert len(engine.search(Query("blue", k=3, per_video=1))) == 3


def test_the_same_model_twice_is_one_model(both: SqliteStore) -> None:
    (hit,) = SearchEngine(both, [FakeModel(), FakeModel()]).search(Query("blue", k=1))
    assert list(hit.channels) == ["visual"]


def test_a_model_that_has_encoded_nothing_here_is_an_error(library: SqliteStore) -> None:
    add(library, "/v/red.mp4", ["rr"])
    with pytest.raises(QueryError, match="no embeddings of the model 'swapped'"):
        SearchEngine(library, [FakeModel(), SwappedModel()]).search(Query("red"))
