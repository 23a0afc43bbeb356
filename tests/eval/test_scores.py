"""What turns frames and texts into scores: aggregation, re-ranking, post-processing."""

from __future__ import annotations

import numpy as np
import pytest

from eval.aggregation import AGGREGATIONS, aggregate, kmeans, similarity
from eval.metrics import Scores
from eval.post import dsl, qb_norm
from eval.rerank import rerank, rerank_both
from tests.search.made import HeadedModel, frames_of
from vsearch.errors import InputError, ModelError
from vsearch.models.fake import FakeModel
from vsearch.models.pooling import unit
from vsearch.search.rerank import late_rerank

E = np.eye(8, dtype=np.float32)


def random_units(*shape: int) -> np.ndarray:
    return unit(np.random.default_rng(7).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("how", AGGREGATIONS)
def test_a_video_of_one_frame_is_that_frame(how: str) -> None:
    frames = random_units(1, 8)
    (video,) = aggregate(how, FakeModel(), [frames])  # type: ignore[arg-type]
    assert video == pytest.approx(frames, abs=1e-6)


def test_mean_is_the_direction_between_the_frames() -> None:
    (video,) = aggregate("mean", FakeModel(), [E[:2]])
    assert video[0, :2] == pytest.approx([0.5**0.5, 0.5**0.5])


def test_single_takes_the_middle_frame() -> None:
    (video,) = aggregate("single", FakeModel(), [E[:3]])
    assert (video == E[1:2]).all()


def test_the_closest_centre_counts() -> None:
    videos = aggregate("kmeans", FakeModel(), [np.repeat(E[:3], 4, axis=0), E[3:4]])
    assert [len(v) for v in videos] == [3, 1]
    assert similarity(E[:4], videos) == pytest.approx(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]), abs=1e-6)


def test_kmeans_makes_no_centre_of_copies_and_finds_the_clusters() -> None:
    assert len(kmeans(np.repeat(E[:1], 5, axis=0), 3)) == 1
    near = unit(np.concatenate([E[:1] + 0.05 * random_units(6, 8), E[1:2] + 0.05 * random_units(6, 8)]))
    centres = kmeans(near, 2)
    assert np.abs(centres).argmax(axis=1).tolist() == [0, 1]
    assert np.linalg.norm(centres, axis=1) == pytest.approx([1, 1])


def test_frame_vectors_of_another_dimension_need_the_models_own_aggregation() -> None:
    with pytest.raises(ModelError, match="--aggregation model"):
        aggregate("mean", FakeModel(), [random_units(2, 5)])


def test_the_recalled_are_reordered_and_the_others_keep_their_order_behind() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]], dtype=np.float32)

    def add(row: int, items: list[int], plain: Scores) -> Scores:
        return plain + np.array([-5.0, 0.0, 9.0, 9.0], dtype=np.float32)[items]

    result = rerank(scores, add, recall=2)
    assert np.argsort(-result[0]).tolist() == [1, 0, 2, 3]
    assert result[0, 1] == pytest.approx(0.8)
    everything = rerank(scores, add, recall=99)
    assert np.argsort(-everything[0]).tolist() == [2, 3, 1, 0]
    with pytest.raises(InputError, match="at least one"):
        rerank(scores, add, recall=0)


def test_a_matching_head_re_ranks_both_directions() -> None:
    model = HeadedModel(weight=0.5)
    frames = [frames_of("rb"), frames_of("rrrggg"), frames_of("ww")]
    texts = ["red", "blue"]
    vectors = model.encode_texts(texts)
    plain = similarity(vectors, aggregate("model", model, frames))
    t2v, v2t = rerank_both(model, "itm", texts, vectors, frames, plain, recall=3)
    logits = np.array([[1, 3, 0], [1, 0, 0]])
    assert t2v == pytest.approx(plain + 0.5 * logits, abs=1e-6)
    assert v2t == pytest.approx(t2v.T, abs=1e-6)
    assert rerank_both(model, "none", texts, vectors, frames, plain, recall=3)[0] is plain


def test_late_interaction_scores_as_the_product_does() -> None:
    model = FakeModel()
    frames = [frames_of("rb"), frames_of("rrrggg"), frames_of("ww")]
    vectors = model.encode_texts(["red"])
    plain = similarity(vectors, aggregate("model", model, frames))
    t2v, v2t = rerank_both(model, "late", ["red"], vectors, frames, plain, recall=2)
    assert t2v[0, :2] == pytest.approx(late_rerank(vectors[0], plain[0, :2], frames[:2])[0], abs=1e-6)
    assert v2t[:2, 0] == pytest.approx(t2v[0, :2], abs=1e-6)


def test_dsl_takes_an_item_from_the_query_that_wants_it_less() -> None:
    scores = np.array([[0.5, 0.4], [0.9, 0.3]], dtype=np.float32)  # item 0 wins both queries
    assert scores.argmax(axis=1).tolist() == [0, 0]
    assert dsl(scores, scale=10).argmax(axis=1).tolist() == [1, 0]
    share = np.exp(5) / (np.exp(5) + np.exp(9))
    assert dsl(scores, scale=10)[0, 0] == pytest.approx(0.5 * share, rel=1e-5)


def test_qb_norm_lowers_a_hub_and_leaves_other_queries_alone() -> None:
    bank = np.array([[0.9, 0.1, 0.1], [0.8, 0.2, 0.1]], dtype=np.float32)  # item 0 is the hub
    scores = np.array([[0.6, 0.5, 0.1], [0.3, 0.5, 0.7]], dtype=np.float32)
    result = qb_norm(scores, bank, beta=5)
    assert result[0].argmax() == 1
    assert result[0] == pytest.approx(np.exp(5 * scores[0]) / np.exp(5 * bank).sum(axis=0), rel=1e-4)
    assert (result[1] == scores[1]).all()
    with pytest.raises(InputError, match="same items"):
        qb_norm(scores, bank[:, :2])
