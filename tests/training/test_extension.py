"""Temporal encoders and matching heads on trained towers: losses, checks, reproducible and resumable training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.training.test_tower_training import interrupt_at  # noqa: E402
from vsearch.models.itm import ItmOptions  # noqa: E402
from vsearch.training.extension import ExtendedModel, ExtensionRecipe, TokenizedSet, draw_clips, extension_loss  # noqa: E402
from vsearch.training.extension_training import check_extension, train_extension  # noqa: E402
from vsearch.training.loop import trained_parameters  # noqa: E402
from vsearch.training.precision import Precision  # noqa: E402
from vsearch.training.recipe import StageRecipe  # noqa: E402
from vsearch.training.word_tokens import WordTokens, keep_captions, read_words  # noqa: E402

BASE = StageRecipe(steps=4, batch=8, head_rate=0, mix=0, views=2, warm_up=0.1, weights={"msrvtt": 0.7, "places": 0.3})
SMALL = ExtensionRecipe(base=BASE, itm_options=ItmOptions(width=16), temporal_width=16, negatives=3, check_every=2)
EVERYTHING = replace(SMALL, base=replace(BASE, head_rate=1e-3), temporal="tdb")


@pytest.fixture
def stage(made_up: Any) -> Any:
    """A function like `made_up`, with word tokens whose mean is the sentence embedding."""

    def make(name: str = "msrvtt", items: int = 24, labelled: bool = False) -> TokenizedSet:
        data = made_up(name, items, labelled)
        rng = np.random.default_rng(3)
        apart = rng.standard_normal((len(data.ids), 1, 384)) * 0.05
        words = np.concatenate([data.sentences.numpy()[:, None] + sign * apart for sign in (1, -1, 0)], axis=1)
        first = np.arange(0, 3 * len(data.ids) + 1, 3)
        return TokenizedSet(data, WordTokens(words.reshape(-1, 384).astype(np.float16), first))

    return make


EVERY = ("single", "mean", "kmeans", "seqlstm", "seqtransf", "tdb", "tab", "clip2video")


def build(fresh_towers: Any, recipe: ExtensionRecipe) -> ExtendedModel:
    towers = fresh_towers()
    torch.manual_seed(5)
    return ExtendedModel(towers, recipe)


def learnt(model: ExtendedModel) -> Any:
    return torch.cat([p.detach().flatten() for p in trained_parameters(model).values()])


def test_untrained_head_ranks_like_recall(stage: Any, fresh_towers: Any) -> None:
    found = check_extension(build(fresh_towers, replace(SMALL, temporal="tdb")), stage())
    plain = check_extension(build(fresh_towers, replace(SMALL, itm=0)), stage())
    assert found.recall == pytest.approx(plain.recall)
    assert all(after == (found.recall, found.recall_all) for after in found.reranked.values())
    assert plain.reranked == {}


@pytest.mark.parametrize("kind", ["binary", "ranking"])
def test_matching_head_is_trained_on_frozen_towers(stage: Any, fresh_towers: Any, kind: Any) -> None:
    data = stage(items=16)
    base = replace(BASE, steps=60, batch=16, weights={"msrvtt": 1})
    recipe = replace(SMALL, base=base, itm_loss=kind, rate=3e-3, noisy=False)
    model = build(fresh_towers, recipe)
    before = model.towers.picture.head.linear.weight.clone()
    found = train_extension(model, [data], data)
    assert found.reranked[1.5][1]["MnR"] < found.recall_all["MnR"] * 0.8
    assert torch.equal(before, model.towers.picture.head.linear.weight)


@pytest.mark.parametrize(
    "switch",
    [
        {"itm": 0.0, "temporal": "tdb"},
        {"itm": 1.0},
        {"itm": 0.0, "base": replace(BASE, head_rate=1e-3)},
    ],
)
def test_each_loss_reaches_its_part_alone(stage: Any, fresh_towers: Any, switch: dict[str, Any]) -> None:
    model = build(fresh_towers, replace(SMALL, **switch))
    model.groups()  # sets what is trained
    model.set_mode()
    extension_loss(model, stage(), np.random.default_rng(0)).backward()
    moved = {name for name, p in trained_parameters(model).items() if p.grad is not None and bool((p.grad != 0).any())}
    wanted = (
        "aggregator.tdb.out" if "temporal" in switch else "towers.text.head.linear" if "base" in switch else "head."
    )
    assert any(name.startswith(wanted) for name in moved)
    assert not any(name.startswith(("towers.text.encoder", "towers.picture.tail")) for name in moved)


@pytest.mark.parametrize("temporal", EVERY)
def test_aggregations_are_measured_and_temporal_encoders_trained(stage: Any, fresh_towers: Any, temporal: str) -> None:
    data = stage(items=12)
    base = replace(BASE, steps=12, batch=12, weights={"msrvtt": 1})
    recipe = replace(SMALL, base=base, itm=0, temporal=temporal, rate=3e-3)
    model = build(fresh_towers, recipe)
    before = [parameter.clone() for parameter in model.aggregator.parameters()]
    found = train_extension(model, [data], data)
    moved = [not torch.equal(old, new) for old, new in zip(before, model.aggregator.parameters(), strict=True)]
    assert any(moved) == (temporal not in ("single", "mean", "kmeans"))
    assert 1 <= found.recall_all["MnR"] <= 12


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_keeps_float32_weights(stage: Any, fresh_towers: Any, dtype: str) -> None:
    data = stage(items=12)
    recipe = replace(EVERYTHING, base=replace(EVERYTHING.base, steps=6, weights={"msrvtt": 1}))
    plain, mixed = build(fresh_towers, recipe), build(fresh_towers, recipe)
    train_extension(plain, [data], data)
    train_extension(mixed, [data], data, precision=Precision("cpu", getattr(torch, dtype)))
    assert learnt(mixed).dtype == torch.float32 and bool(learnt(mixed).isfinite().all())
    assert not torch.equal(learnt(plain), learnt(mixed))
    assert torch.nn.functional.cosine_similarity(learnt(plain), learnt(mixed), dim=0) > 0.99


def test_resumed_run_keeps_its_loss_scale(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    half = Precision("cpu", torch.float16)
    data, checkpoint = stage(items=12), tmp_path / "second.pt"
    recipe = replace(SMALL, base=replace(BASE, weights={"msrvtt": 1}))
    whole = build(fresh_towers, recipe)
    train_extension(whole, [data], data, precision=half)
    with pytest.raises(KeyboardInterrupt):
        train_extension(
            build(fresh_towers, recipe), [data], data, precision=half, checkpoint=checkpoint, progress=interrupt_at(2)
        )
    resumed = build(fresh_towers, recipe)
    seen: list[int] = []
    train_extension(
        resumed, [data], data, precision=half, checkpoint=checkpoint, progress=lambda step, *_: seen.append(step)
    )
    assert seen == [3, 4] and torch.equal(learnt(whole), learnt(resumed))
    seen.clear()  # another precision is another run
    train_extension(
        build(fresh_towers, recipe), [data], data, checkpoint=checkpoint, progress=lambda step, *_: seen.append(step)
    )
    assert seen == [1, 2, 3, 4]


def test_seed_determines_trained_weights(stage: Any, fresh_towers: Any) -> None:
    sets = [stage(), stage("places", labelled=True)]
    runs = []
    for seed in (1, 1, 2):
        model = build(fresh_towers, replace(EVERYTHING, base=replace(EVERYTHING.base, seed=seed)))
        train_extension(model, sets, sets[0])
        runs.append(learnt(model))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_resumed_run_equals_uninterrupted_run(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    sets = [stage(), stage("places", labelled=True)]
    whole = build(fresh_towers, EVERYTHING)
    train_extension(whole, sets, sets[0])
    checkpoint = tmp_path / "second.pt"
    with pytest.raises(KeyboardInterrupt):
        train_extension(build(fresh_towers, EVERYTHING), sets, sets[0], checkpoint=checkpoint, progress=interrupt_at(2))
    seen: list[int] = []
    resumed = build(fresh_towers, EVERYTHING)
    train_extension(resumed, sets, sets[0], checkpoint=checkpoint, progress=lambda step, loss, found: seen.append(step))
    assert seen == [3, 4]
    assert torch.equal(learnt(whole), learnt(resumed))


def test_run_stops_after_checks_without_gain(stage: Any, fresh_towers: Any) -> None:
    data = stage()
    recipe = replace(SMALL, base=replace(BASE, steps=40, weights={"msrvtt": 1}), rate=0.0, patience=2, check_every=2)
    model = build(fresh_towers, replace(recipe, rate=1e-9))
    seen: list[int] = []
    train_extension(model, [data], data, progress=lambda step, loss, found: seen.append(step))
    assert seen[-1] == 6  # the first check counts as a gain, the next two bring none


def test_drawn_clip_has_one_view_and_is_in_time_order(stage: Any) -> None:
    data = stage()
    for seed in range(10):
        batch = draw_clips(data, BASE, np.random.default_rng(seed))
        assert (batch.views == batch.views[:, :1]).all()
        for places, mask in zip(batch.places, batch.mask.bool().numpy(), strict=True):
            assert (np.diff(places[mask]) > 0).all()
            assert mask[0] and not (mask[1:] & ~mask[:-1]).any()


def test_keep_captions_keeps_their_rows(made_up: Any) -> None:
    data = made_up(items=6)
    kept = keep_captions(data, 1)
    assert len(kept.ids) == 6 and kept.first.tolist() == list(range(7))
    assert torch.equal(kept.sentences, data.sentences[::2]) and kept.ids == data.ids[::2]


def test_cached_word_tokens_are_those_of_the_encoder(fresh_towers: Any, tmp_path: Path) -> None:
    encoder = fresh_towers().text.encoder
    ids = [[1, 5, 6, 3], [1, 7, 3], [1, 3]]
    words, mask = read_words(tmp_path, encoder, ids).take([2, 0])
    assert mask.tolist() == [[True, True, False, False], [True] * 4]
    with torch.inference_mode():
        expected = encoder.read(torch.tensor([ids[0]]), torch.ones(1, 4))[0]
    assert torch.allclose(words[1], expected, atol=3e-2)  # bfloat16 where the CPU has it, then float16
    assert not words[0, 2:].any()
    again = read_words(tmp_path, encoder, ids).take([2, 0])
    assert torch.equal(words, again[0]) and len(list(tmp_path.iterdir())) == 1


def test_contradictory_recipe_is_rejected() -> None:
    with pytest.raises(ValueError, match="leaves backbones frozen"):
        ExtensionRecipe(base=StageRecipe(text_rate=1e-5))
    with pytest.raises(ValueError, match="temporal must be"):
        ExtensionRecipe(temporal="max")
    with pytest.raises(ValueError, match="kmeans is no inner product"):
        ExtensionRecipe(base=StageRecipe(head_rate=1e-3), temporal="kmeans")


def test_row_is_measured_and_not_trained_twice(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    from vsearch.training.ablation_rows import AblationSets, row_lines, run_row

    sets = [stage(), stage("places", labelled=True)]
    ablation = AblationSets(sets, sets[0], sets[1:])
    model, found = run_row(fresh_towers(), SMALL, ablation, tmp_path, "lineage")
    assert set(found.labels) == {"places"} and len(row_lines("itm", found)) == 1 + len(found.reranked)
    [checkpoint] = tmp_path.iterdir()
    written = checkpoint.stat().st_mtime_ns
    again, _ = run_row(fresh_towers(), SMALL, ablation, tmp_path, "lineage")
    assert torch.equal(learnt(model), learnt(again)) and checkpoint.stat().st_mtime_ns == written


def test_rows_cover_each_loss() -> None:
    from vsearch.training.ablation_rows import ROWS

    assert ROWS["towers"].base.steps == 0 and not ROWS["towers"].itm
    assert ROWS["itc"].base.head_rate and ROWS["tdb"].temporal == "tdb" and ROWS["itm"].itm


def test_towers_alone_are_a_row(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    from vsearch.training.ablation_rows import ROWS, AblationSets, run_row

    data = stage(items=8)
    _, found = run_row(fresh_towers(), ROWS["towers"], AblationSets([data], data, []), tmp_path, "lineage")
    assert found.reranked == {} and found.recall["MnR"] >= 1
