from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsearch.models.pooling import mean_pool

torch = pytest.importorskip("torch")

from vsearch.models.temporal_encoder import (  # noqa: E402
    AGGREGATIONS,
    Clip2Video,
    KMeans,
    TemporalOptions,
    build_aggregator,
    export_aggregator,
    pad_clips,
)

DIM = 16
OPTIONS = TemporalOptions(max_frames=9, layers=2, heads=4, centres=3, center_weight=0.3)
every = pytest.mark.parametrize("name", AGGREGATIONS)
lengths = st.lists(st.integers(1, 9), min_size=1, max_size=5)
seeds = st.integers(0, 1000)
few = settings(deadline=None, max_examples=15)


pytestmark = pytest.mark.usefixtures("one_thread")


def trained(name: str, options: TemporalOptions = OPTIONS, dim: int = DIM) -> torch.nn.Module:
    """In double precision, with every weight away from where it starts, as after training."""
    torch.manual_seed(7)
    aggregator = build_aggregator(name, dim, options).double().eval()
    for parameter in aggregator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return aggregator


def make_clips(lengths: list[int], seed: int, dim: int = DIM) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clips = [torch.randn(length, dim, generator=generator, dtype=torch.float64) for length in lengths]
    return [torch.nn.functional.normalize(clip, dim=-1) for clip in clips]


@every
@few
@given(lengths=lengths, seed=seeds)
def test_a_batch_of_unequal_clips_equals_the_clips_one_by_one(name: str, lengths: list[int], seed: int) -> None:
    aggregator = trained(name)
    clips = make_clips(lengths, seed)
    together = aggregator(*pad_clips(clips))
    alone = torch.cat([aggregator(*pad_clips([clip])) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


@every
def test_in_single_precision_too(name: str) -> None:
    aggregator = trained(name).float()
    clips = [clip.float() for clip in make_clips([9, 1, 4, 2, 7], 3)]
    together = aggregator(*pad_clips(clips))
    alone = torch.cat([aggregator(*pad_clips([clip])) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)


@every
@few
@given(lengths=lengths, seed=seeds, junk=st.sampled_from([float("nan"), float("inf"), 1e30, -3.0]))
def test_what_a_padded_frame_holds_never_counts(name: str, lengths: list[int], seed: int, junk: float) -> None:
    aggregator = trained(name)
    frames, mask = pad_clips(make_clips(lengths, seed))
    dirty = frames.masked_fill(~mask[..., None], junk)
    assert torch.equal(aggregator(dirty, mask), aggregator(frames, mask))


@every
@few
@given(lengths=lengths, seed=seeds)
def test_more_padding_never_counts(name: str, lengths: list[int], seed: int) -> None:
    aggregator = trained(name)
    frames, mask = pad_clips(make_clips(lengths, seed))
    more = OPTIONS.max_frames - frames.shape[1]
    wider = torch.nn.functional.pad(frames, (0, 0, 0, more), value=5.0)
    wider_mask = torch.nn.functional.pad(mask, (0, more))
    torch.testing.assert_close(aggregator(wider, wider_mask), aggregator(frames, mask), rtol=0, atol=1e-12)


def test_the_difference_after_the_last_frame_is_masked() -> None:
    # frame, difference, frame, difference ...: a clip of n frames has n - 1 differences, padded or not.
    encoder = trained("tdb")
    frames, mask = pad_clips(make_clips([3, 1, 2], 0))
    _, token_mask = encoder.tdb.differences(frames, mask)
    assert token_mask.int().tolist() == [[1, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


def test_a_difference_token_sees_its_two_frames_in_order() -> None:
    encoder = trained("tdb")
    a, b = make_clips([1, 1], 1)
    [there], [back] = (encoder.tdb.differences(*pad_clips([torch.cat(pair)]))[0] for pair in ((a, b), (b, a)))
    assert not torch.allclose(there[1], back[1])


@every
@few
@given(lengths=lengths, seed=seeds)
def test_vectors_and_queries_are_of_unit_length(name: str, lengths: list[int], seed: int) -> None:
    aggregator = trained(name)
    vectors = aggregator(*pad_clips(make_clips(lengths, seed)))
    assert vectors.shape == (len(lengths), aggregator.out_dim)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(len(lengths), dtype=torch.float64))
    words, word_mask = pad_clips(make_clips(lengths, seed + 1))
    queries = aggregator.encode_query(3 * words[:, 0], words, word_mask)
    torch.testing.assert_close(queries.norm(dim=-1), torch.ones(len(lengths), dtype=torch.float64))
    scores = aggregator.score(queries, vectors)
    assert scores.shape == (len(lengths), len(lengths))
    assert scores.abs().max() <= 1 + 1e-9


@pytest.mark.parametrize("width", [None, 8])
@pytest.mark.parametrize("name", ["seqlstm", "seqtransf", "tdb"])
def test_an_untrained_branch_is_exactly_mean(name: str, width: int | None) -> None:
    frames, mask = pad_clips([clip.float() for clip in make_clips([9, 1, 4, 2], 5)])
    untrained = build_aggregator(name, DIM, TemporalOptions(max_frames=9, heads=4, width=width))
    assert torch.equal(untrained(frames, mask), build_aggregator("mean", DIM)(frames, mask))


@pytest.mark.parametrize("name", ["tab", "clip2video"])
def test_untrained_tab_has_no_say(name: str) -> None:
    clips = [clip.float() for clip in make_clips([9, 1, 4, 2], 5)]
    frames, mask = pad_clips(clips)
    mean = build_aggregator("mean", DIM)
    untrained = build_aggregator(name, DIM, TemporalOptions(max_frames=9, heads=4))
    vectors = untrained(frames, mask)
    assert torch.equal(vectors[:, :DIM], mean(frames, mask))
    assert not vectors[:, DIM:].any()
    words, word_mask = pad_clips(clips[::-1])
    queries = untrained.encode_query(words[:, 0], words, word_mask)
    torch.testing.assert_close(
        untrained.score(queries, vectors), mean.score(mean.encode_query(words[:, 0]), mean(frames, mask))
    )


def test_mean_is_the_mean_of_the_engine() -> None:
    clips = [clip.float() for clip in make_clips([9, 1, 4, 2], 5)]
    vectors = build_aggregator("mean", DIM)(*pad_clips(clips))
    np.testing.assert_allclose(vectors.numpy(), mean_pool([clip.numpy() for clip in clips], DIM), atol=1e-6)


@pytest.mark.parametrize("name", ["seqlstm", "seqtransf", "tdb", "tab", "clip2video"])
def test_a_trained_branch_hears_the_order_of_frames(name: str) -> None:
    [clip] = make_clips([6], 2)
    aggregator = trained(name)
    assert not torch.allclose(aggregator(*pad_clips([clip])), aggregator(*pad_clips([clip.flip(0)])), atol=1e-3)


@pytest.mark.parametrize("name", ["seqlstm", "seqtransf", "tdb", "tab", "clip2video"])
def test_training_reaches_every_weight_past_the_zeros_and_the_padding(name: str) -> None:
    torch.manual_seed(0)
    aggregator = build_aggregator(name, DIM, OPTIONS)
    clips = [clip.float() for clip in make_clips([9, 1, 4, 2], 8)]
    words, word_mask = pad_clips(clips[::-1])
    optimizer = torch.optim.SGD(aggregator.parameters(), lr=1.0)
    for step in range(2):  # the first step opens the projections that start at zero, the second reaches behind them
        optimizer.zero_grad()
        scores = aggregator.score(aggregator.encode_query(words[:, 0], words, word_mask), aggregator(*pad_clips(clips)))
        torch.nn.functional.cross_entropy(10 * scores, torch.arange(4)).backward()
        for parameter, weights in aggregator.named_parameters():
            assert weights.grad is not None, parameter
            assert weights.grad.isfinite().all(), parameter
            if step == 1:
                assert weights.grad.any(), parameter
        optimizer.step()


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_the_two_part_score_is_one_inner_product(weight: float) -> None:
    encoder = trained("clip2video", TemporalOptions(max_frames=9, heads=4, center_weight=weight))
    clips = pad_clips(make_clips([9, 1, 4], 1))
    words, word_mask = pad_clips(make_clips([3, 5], 2))
    text = words[:, 0]
    v, z = encoder.parts(*clips)
    t, z_t = encoder.query_parts(text, words, word_mask)
    # the weight is held in single precision
    torch.testing.assert_close(
        encoder.score(encoder.encode_query(text, words, word_mask), encoder(*clips)),
        weight * t @ v.T + (1 - weight) * z_t @ z.T,
        rtol=0,
        atol=1e-7,
    )


def test_the_weight_is_kept_with_the_weights() -> None:
    trained_elsewhere = trained("tab")
    loaded = build_aggregator("tab", DIM, TemporalOptions(max_frames=9, heads=4, centres=3)).double()
    loaded.load_state_dict(trained_elsewhere.state_dict())
    clips = pad_clips(make_clips([4, 2], 1))
    assert torch.equal(loaded(*clips), trained_elsewhere(*clips))


def test_alignment_by_hand() -> None:
    tab = trained("tab").tab
    tokens, mask = pad_clips(make_clips([3, 2], 4))
    expected = []
    for row, length in zip(tokens.numpy(), (3, 2), strict=True):
        assign, centres = tab.assign.detach().numpy(), tab.centres.detach().numpy()
        parts = np.zeros_like(centres)
        for x in 10 * row[:length]:
            shares = np.exp(assign @ x) / np.exp(assign @ x).sum()
            for k, share in enumerate(shares):
                parts[k] += share * (x - centres[k])
        z = np.mean([part / np.linalg.norm(part) for part in parts], axis=0)
        expected.append(z / np.linalg.norm(z))
    np.testing.assert_allclose(tab.align(tokens, mask).detach().numpy(), expected, atol=1e-12)


def test_padded_words_never_count() -> None:
    encoder = trained("clip2video")
    words, mask = pad_clips(make_clips([5, 2], 6))
    dirty = words.masked_fill(~mask[..., None], float("nan"))
    clean = encoder.encode_query(words[:, 0], words, mask)
    assert torch.equal(encoder.encode_query(words[:, 0], dirty, mask), clean)
    torch.testing.assert_close(encoder.encode_query(words[1:, 0], words[1:, :2], mask[1:, :2]), clean[1:])


def test_the_middle_frame_of_each_clip() -> None:
    clips = make_clips([1, 2, 5, 8], 0)
    vectors = build_aggregator("single", DIM)(*pad_clips(clips))
    torch.testing.assert_close(vectors, torch.stack([clips[0][0], clips[1][0], clips[2][2], clips[3][3]]))


@given(lengths=lengths, seed=seeds)
@few
def test_one_centre_is_mean(lengths: list[int], seed: int) -> None:
    clips = pad_clips(make_clips(lengths, seed))
    torch.testing.assert_close(KMeans(DIM, 1)(*clips), build_aggregator("mean", DIM)(*clips))


@given(length=st.integers(1, 3), seed=seeds)
@few
def test_with_a_centre_a_frame_the_best_frame_counts(length: int, seed: int) -> None:
    [clip] = make_clips([length], seed)
    query = make_clips([1], seed + 1)[0]
    kmeans = KMeans(DIM, 3)
    scores = kmeans.score(kmeans.encode_query(query), kmeans(*pad_clips([clip])))
    torch.testing.assert_close(scores[0, 0], (clip @ query[0]).max())


def test_centres_are_the_means_of_what_lies_together() -> None:
    groups = torch.eye(DIM, dtype=torch.float64)[:3].repeat_interleave(3, dim=0)
    noise = 0.05 * torch.randn(9, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    frames = torch.nn.functional.normalize(groups + noise, dim=-1)
    mixed = frames[[4, 0, 8, 1, 3, 6, 7, 2, 5]]
    [centres] = KMeans(DIM, 3).centres(*pad_clips([mixed]))
    expected = torch.nn.functional.normalize(frames.unflatten(0, (3, 3)).mean(dim=1), dim=-1)
    order = (centres @ expected.T).argmax(dim=0)
    assert sorted(order.tolist()) == [0, 1, 2]
    torch.testing.assert_close(centres[order], expected)


def test_the_best_centre_counts() -> None:
    kmeans = KMeans(DIM, 3)
    clips = pad_clips(make_clips([9, 5, 2], 1))
    queries = kmeans.encode_query(torch.cat(make_clips([4], 2)))
    scores = kmeans.score(queries, kmeans(*clips))
    rows = kmeans.centres(*clips)  # what an index holds: [B, K, D]
    torch.testing.assert_close(scores, torch.stack([(queries @ clip.T).amax(dim=1) for clip in rows], dim=1))


def test_a_long_clip_is_thinned_from_its_first_to_its_last_frame() -> None:
    clip = torch.arange(25.0)[:, None]
    frames, mask = pad_clips([clip, clip[:2]], at_most=5)
    assert frames[0, :, 0].tolist() == [0, 6, 12, 18, 24]
    assert frames[1, :2, 0].tolist() == [0, 1]
    assert mask.sum(dim=1).tolist() == [5, 2]
    assert pad_clips([clip], at_most=1)[0].flatten().tolist() == [12]


@every
def test_a_mask_with_a_gap_or_without_a_frame_is_refused(name: str) -> None:
    aggregator = build_aggregator(name, DIM, OPTIONS)
    frames = torch.ones(2, 3, DIM)
    with pytest.raises(ValueError, match="gap"):
        aggregator(frames, torch.tensor([[True, False, True], [True, True, True]]))
    with pytest.raises(ValueError, match="at least one frame"):
        aggregator(frames, torch.tensor([[True, True, True], [False, False, False]]))
    with pytest.raises(ValueError, match="mask must be bool"):
        aggregator(frames, torch.ones(2, 3))
    with pytest.raises(ValueError, match="frames must be"):
        aggregator(frames[..., :3], torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="frames must be"):
        aggregator(frames[:, :0], torch.ones(2, 0, dtype=torch.bool))


@pytest.mark.parametrize("name", ["seqtransf", "tdb", "tab", "clip2video"])
def test_a_clip_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at most 9 frames, not 10"):
        build_aggregator(name, DIM, OPTIONS)(torch.ones(1, 10, DIM), torch.ones(1, 10, dtype=torch.bool))


def test_options_and_names_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="aggregation must be one of single, mean"):
        build_aggregator("median", DIM)
    with pytest.raises(ValueError, match="multiple of heads"):
        build_aggregator("seqtransf", 12, TemporalOptions(heads=5))
    with pytest.raises(ValueError, match="center_weight"):
        TemporalOptions(center_weight=1.5)
    with pytest.raises(ValueError, match="layers must be at least 1"):
        TemporalOptions(layers=0)


def test_tab_needs_the_words() -> None:
    encoder = trained("tab")
    assert isinstance(encoder, Clip2Video)
    with pytest.raises(ValueError, match="word tokens"):
        encoder.encode_query(torch.ones(1, DIM))
    with pytest.raises(ValueError, match="words"):
        encoder.encode_query(torch.ones(1, DIM), torch.ones(1, 3, DIM), torch.ones(1, 2, dtype=torch.bool))


# The exporter warns of its own deprecated parts.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["kmeans", "seqlstm", "clip2video"])
def test_onnx_runtime_gives_the_same_vectors(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    options = TemporalOptions(max_frames=9, layers=1, heads=4, centres=3, center_weight=0.3)
    aggregator = trained(name, options).float()
    export_aggregator(aggregator, tmp_path / "temporal.onnx", dim=DIM, max_frames=9)
    session = onnxruntime.InferenceSession(tmp_path / "temporal.onnx", providers=["CPUExecutionProvider"])
    for lengths in ([1], [9, 1, 4], [5, 5, 2, 1]):
        frames, mask = pad_clips([clip.float() for clip in make_clips(lengths, 3)])
        [vectors] = session.run(["vectors"], {"frames": frames.numpy(), "mask": mask.numpy()})
        np.testing.assert_allclose(vectors, aggregator(frames, mask).detach().numpy(), atol=2e-5)
