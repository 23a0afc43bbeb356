from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from vsearch.models.itm import ItmHead, ItmOptions, export_itm, time_waves  # noqa: E402
from vsearch.models.temporal_encoder import pad_clips  # noqa: E402

WORD, FRAME = 12, 16
lengths = st.integers(1, 7)
pairs = st.lists(st.tuples(lengths, lengths), min_size=1, max_size=5)
few = settings(deadline=None, max_examples=15)


pytestmark = pytest.mark.usefixtures("one_thread")


def trained(options: ItmOptions | None = None) -> ItmHead:
    """In double precision, with every weight away from where it starts, as after training."""
    torch.manual_seed(3)
    head = ItmHead(WORD, FRAME, options or ItmOptions(width=16, layers=2)).double().eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return head


def tokens(lengths: list[int], dim: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randn(length, dim, generator=generator, dtype=torch.float64) for length in lengths]
    return pad_clips([torch.nn.functional.normalize(row, dim=-1) for row in rows])


def test_an_untrained_head_leaves_the_order_of_recall() -> None:
    head = ItmHead(WORD, FRAME).double()
    logits = head(*tokens([4], WORD, 0), *tokens([3, 1, 5], FRAME, 1))
    assert logits.tolist() == [0, 0, 0]


@few
@given(pairs=pairs, seed=st.integers(0, 1000))
def test_a_batch_of_unequal_pairs_equals_the_pairs_one_by_one(pairs: list[tuple[int, int]], seed: int) -> None:
    head = trained()
    words, word_mask = tokens([a for a, _ in pairs], WORD, seed)
    frames, frame_mask = tokens([b for _, b in pairs], FRAME, seed + 1)
    together = head(words, word_mask, frames, frame_mask)
    alone = [
        head(words[i : i + 1, :a], word_mask[i : i + 1, :a], frames[i : i + 1, :b], frame_mask[i : i + 1, :b])
        for i, (a, b) in enumerate(pairs)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-11)


@few
@given(pairs=pairs, junk=st.sampled_from([float("nan"), float("inf"), 1e30, -3.0]))
def test_what_padding_holds_never_counts(pairs: list[tuple[int, int]], junk: float) -> None:
    head = trained()
    words, word_mask = tokens([a for a, _ in pairs], WORD, 5)
    frames, frame_mask = tokens([b for _, b in pairs], FRAME, 6)
    dirty_words = words.masked_fill(~word_mask[..., None], junk)
    dirty_frames = frames.masked_fill(~frame_mask[..., None], junk)
    assert torch.equal(
        head(dirty_words, word_mask, dirty_frames, frame_mask), head(words, word_mask, frames, frame_mask)
    )


def test_a_hundred_candidates_read_the_query_once() -> None:
    head = trained()
    words, word_mask = tokens([5], WORD, 0)
    frames, frame_mask = tokens([1 + i % 7 for i in range(100)], FRAME, 1)
    seen = []
    head.reader.register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
    logits = head(words, word_mask, frames, frame_mask)
    assert seen == [(1, 5, 16)]
    repeated = head(words.expand(100, -1, -1), word_mask.expand(100, -1), frames, frame_mask)
    torch.testing.assert_close(logits, repeated, rtol=0, atol=1e-11)
    assert logits.std() > 0


def test_tokens_made_when_a_video_is_indexed_serve_as_well() -> None:
    head = trained()
    words, word_mask = tokens([5], WORD, 0)
    frames, frame_mask = tokens([3, 6], FRAME, 1)
    stored = head.frame_tokens(frames, frame_mask)
    assert torch.equal(
        head.match(head.read_words(words, word_mask), word_mask, stored, frame_mask),
        head(words, word_mask, frames, frame_mask),
    )


def test_the_words_the_frames_and_their_order_count() -> None:
    head = trained()
    torch.nn.init.constant_(head.time_scale, 0.5)
    words, word_mask = tokens([5, 5], WORD, 0)
    frames, frame_mask = tokens([4, 4], FRAME, 1)
    logits = head(words, word_mask, frames, frame_mask)
    for other in (
        head(words.flip(0), word_mask, frames, frame_mask),
        head(words, word_mask, frames.flip(0), frame_mask),
        head(words, word_mask, frames.flip(1), frame_mask),
    ):
        assert ((logits - other).abs() > 1e-5).all()  # a hundred million times what rounding does


def test_it_learns_that_one_frame_shows_the_word() -> None:
    # Ten things; a query names one, a scene shows four; they match where it is among them.
    torch.manual_seed(0)
    words, pictures = torch.randn(10, WORD), torch.nn.functional.normalize(torch.randn(10, FRAME), dim=-1)
    head = ItmHead(WORD, FRAME, ItmOptions(width=32))
    optimizer = torch.optim.AdamW(head.parameters(), lr=5e-3)

    def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        shown = torch.stack([torch.randperm(10)[:4] for _ in range(size)])  # [N, 4]
        match = torch.rand(size) < 0.5
        hidden = torch.tensor([next(i for i in range(10) if i not in row) for row in shown.tolist()])
        named = torch.where(match, shown[:, 2], hidden)
        word_mask, frame_mask = torch.ones(size, 1, dtype=torch.bool), torch.ones(size, 4, dtype=torch.bool)
        return head(words[named][:, None], word_mask, pictures[shown], frame_mask), match

    for _ in range(250):  # 150 are just enough on some processors
        logits, match = batch(64)
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(logits, match.float()).backward()
        optimizer.step()
    logits, match = batch(400)
    assert ((logits > 0) == match).float().mean() > 0.95


def test_any_number_of_frames_has_a_place() -> None:
    waves = time_waves(300, torch.zeros(1, dtype=torch.float64).expand(16))
    assert waves.shape == (300, 16)
    assert torch.equal(waves[0], torch.tensor([0.0] * 8 + [1.0] * 8, dtype=torch.float64))
    apart = torch.cdist(waves, waves) + torch.eye(300) * 9
    assert apart.min() > 1e-3


def test_what_makes_no_sense_is_refused() -> None:
    head = ItmHead(WORD, FRAME).double()
    words, frames = tokens([2, 2], WORD, 0), tokens([3, 3, 3], FRAME, 1)
    with pytest.raises(ValueError, match="2 queries, 3 scenes"):
        head(*words, *frames)
    with pytest.raises(ValueError, match="words must be"):
        head(*frames, *frames)
    with pytest.raises(ValueError, match="frames must be"):
        head(*words, *words)
    with pytest.raises(ValueError, match="even and a multiple of heads"):
        ItmOptions(width=30, heads=4)
    with pytest.raises(ValueError, match="layers must be at least 1"):
        ItmOptions(layers=0)


# The exporter warns of its own deprecated parts.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning")
def test_onnx_runtime_gives_the_same_logits(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    head = trained().float()
    export_itm(head, tmp_path / "itm.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "itm.onnx", providers=["CPUExecutionProvider"])
    for word_count, frame_counts in ((1, [1]), (5, [3, 1, 4]), (20, [12] * 100)):
        words, word_mask = tokens([word_count], WORD, 1)
        frames, frame_mask = tokens(frame_counts, FRAME, 2)
        words, frames = words.float(), frames.float()
        feed = {"words": words, "word_mask": word_mask, "frames": frames, "frame_mask": frame_mask}
        [logits] = session.run(["logits"], {name: value.numpy() for name, value in feed.items()})
        expected = head(words, word_mask, frames, frame_mask).detach().numpy()
        np.testing.assert_allclose(logits, expected, atol=2e-4)
