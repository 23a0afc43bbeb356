"""Recall, re-ranking and the limit a file, by scores that can be worked out in the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.queries import make_query
from tests.search.made import HeadedModel, add
from vsearch.errors import QueryError
from vsearch.library import SqliteStore
from vsearch.media import FileStamp
from vsearch.models.fake import FakeModel
from vsearch.search import Query, SearchEngine
from vsearch.search.rerank import behind, late_rerank


def names(hits: list) -> list[str]:
    return [hit.video.stem for hit in hits]


@pytest.fixture
def colours(library: SqliteStore) -> SqliteStore:
    add(library, "/v/half.mp4", ["rb"])  # red scores 0.71: half of it is red
    add(library, "/v/third.mp4", ["rrrgggbbb"])  # 0.58, but three frames are red
    add(library, "/v/fifth.mp4", ["rgbyc"])  # 0.45
    add(library, "/v/none.mp4", ["gg"])
    return library


def test_recall_alone_ranks_by_the_scenes_vector(colours: SqliteStore) -> None:
    hits = SearchEngine(colours, FakeModel()).search(Query("red", k=3))
    assert names(hits) == ["half", "third", "fifth"]
    assert hits[0].channels == {"visual": pytest.approx(0.5**0.5, abs=1e-3)}
    assert hits[0].score == hits[0].channels["visual"]


def test_the_head_is_asked_by_default_where_there_is_one(colours: SqliteStore) -> None:
    model = HeadedModel()
    hits = SearchEngine(colours, model).search(Query("red", k=4))
    assert names(hits) == ["third", "half", "fifth", "none"]
    assert hits[0].channels == {"visual": pytest.approx(3**-0.5, abs=1e-3), "itm": 3}
    assert hits[0].score == pytest.approx(3 + 3**-0.5, abs=1e-3)
    assert model.matched == [4]
    assert names(SearchEngine(colours, model).search(Query("red", k=4, rerank="none")))[0] == "half"


def test_the_heads_weight_is_the_models(colours: SqliteStore) -> None:
    hits = SearchEngine(colours, HeadedModel(weight=0.01)).search(Query("red", k=1))
    assert names(hits) == ["half"]
    assert hits[0].score == pytest.approx(0.5**0.5 + 0.01, abs=1e-3)


def test_what_lies_behind_recall_stays_behind(colours: SqliteStore) -> None:
    model = HeadedModel(weight=-1)  # who matches best is put last among those that are matched
    hits = SearchEngine(colours, model).search(Query("red", k=2, recall=2))
    assert names(hits) == ["half", "third"]
    assert model.matched == [2]


def test_how_many_are_reranked_does_not_depend_on_how_many_are_shown(colours: SqliteStore) -> None:
    model = HeadedModel()
    assert len(SearchEngine(colours, model).search(Query("red", k=4, recall=1))) == 4
    assert model.matched == [1]


def test_late_interaction_moves_scores_towards_the_best_frames(colours: SqliteStore) -> None:
    plain = SearchEngine(colours, FakeModel()).search(Query("red", k=4))
    late = SearchEngine(colours, FakeModel()).search(Query("red", k=4, rerank="late"))
    before = {hit.video: hit.score for hit in plain}
    for hit in late:
        assert set(hit.channels) == {"visual", "late"}
        assert hit.channels["visual"] == before[hit.video]
        assert hit.score == pytest.approx((hit.channels["visual"] + hit.channels["late"]) / 2, abs=1e-5)
    # One red frame among five outweighs its four others as the temperature falls; none gains where none is red.
    assert {hit.video.stem: hit.channels["late"] > before[hit.video] + 0.1 for hit in late} == {
        "half": True,
        "third": True,
        "fifth": True,
        "none": False,
    }


def test_frames_that_texts_cannot_be_compared_with_are_one_line() -> None:
    query, frames = np.ones(4, dtype=np.float32), np.ones((2, 3), dtype=np.float32)
    with pytest.raises(QueryError, match="--rerank none"):
        late_rerank(query, np.zeros(1, dtype=np.float32), [frames])


def test_a_head_that_is_not_there_is_one_line(colours: SqliteStore) -> None:
    with pytest.raises(QueryError, match="no matching head") as caught:
        SearchEngine(colours, FakeModel()).search(Query("red", rerank="itm"))
    assert "\n" not in str(caught.value) and "--rerank late or none" in str(caught.value)


@pytest.mark.parametrize("model", [FakeModel(), HeadedModel()])
def test_one_file_cannot_crowd_out_the_others(library: SqliteStore, model: FakeModel) -> None:
    add(library, "/v/long.mp4", ["r"] * 50)
    for at in range(3):
        add(library, f"/v/short{at}.mp4", ["rg"])
    hits = SearchEngine(library, model).search(Query("red", k=4, per_video=1, recall=2))
    assert names(hits)[0] == "long"
    assert sorted(names(hits)) == ["long", "short0", "short1", "short2"]
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


def test_a_copy_is_named_where_the_filter_admits_it(library: SqliteStore) -> None:
    add(library, "/h/one/a.mp4", ["r"])
    library.touch_file(FileStamp(Path("/h/two/b.mp4"), 1, 1), library.files()[0].key)
    engine = SearchEngine(library, FakeModel())
    for pattern, path in (("*/two/*", "/h/two/b.mp4"), ("a.mp4", "/h/one/a.mp4"), (None, "/h/one/a.mp4")):
        assert [hit.video for hit in engine.search(make_query("red", path=pattern))] == [Path(path)]
        (hit,) = engine.search(make_query("red", path=pattern, moments=True))
        assert hit.video == Path(path)


def test_what_no_path_holds_now_takes_no_place(library: SqliteStore) -> None:
    add(library, "/v/new.mp4", ["g"])
    key = library.files()[0].key
    for number in range(30):
        add(library, f"/v/{number}.mp4", ["r"] * 3)
        library.touch_file(FileStamp(Path(f"/v/{number}.mp4"), 1, 1), key)
    assert len(SearchEngine(library, FakeModel()).search(Query("red", k=1))) == 1


def test_an_empty_library_has_no_answer(library: SqliteStore) -> None:
    for moments in (False, True):
        assert SearchEngine(library, HeadedModel()).search(Query("red", moments=moments)) == []


def test_candidates_that_are_not_reranked_follow_in_order() -> None:
    rest = np.array([0.9, 0.5, 0.7], dtype=np.float32)
    moved = behind(rest, lowest=-2.0)
    assert moved.max() < -2.0
    assert moved.argsort().tolist() == rest.argsort().tolist()
    np.testing.assert_array_equal(behind(rest, lowest=3.0), rest)
    assert len(behind(rest[:0], lowest=0.0)) == 0


def test_the_best_frame_is_named(colours: SqliteStore) -> None:
    (hit,) = SearchEngine(colours, HeadedModel()).search(make_query("blue", k=1, path="third.mp4"))
    assert (hit.video, hit.start, hit.end, hit.best_time) == (Path("/v/third.mp4"), 0.0, 9.0, 6.5)
