"""The second act: each loss does what it says, a seed fixes a run, an interrupted run goes on, what it exports answers
the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vsearch.models.itm import ItmOptions  # noqa: E402
from vsearch.training.precision import Precision  # noqa: E402
from vsearch.training.recipe import Recipe  # noqa: E402
from vsearch.training.second import Second, SecondRecipe, StageSet, drawn, step_loss  # noqa: E402
from vsearch.training.second_loop import check, run  # noqa: E402
from vsearch.training.words import WordTokens, keep_captions, read_words  # noqa: E402

BASE = Recipe(steps=4, batch=8, head_rate=0, mix=0, views=2, warm_up=0.1, weights={"msrvtt": 0.7, "places": 0.3})
SMALL = SecondRecipe(base=BASE, itm_options=ItmOptions(width=16), temporal_width=16, negatives=3, check_every=2)
EVERYTHING = replace(SMALL, base=replace(BASE, head_rate=1e-3), temporal="tdb", queue=12, mfm=0.5)


@pytest.fixture
def stage(made_up: Any) -> Any:
    """A function like `made_up`, with word tokens whose mean is the sentence vector."""

    def make(name: str = "msrvtt", items: int = 24, labelled: bool = False) -> StageSet:
        data = made_up(name, items, labelled)
        rng = np.random.default_rng(3)
        apart = rng.standard_normal((len(data.ids), 1, 384)) * 0.05
        words = np.concatenate([data.sentences.numpy()[:, None] + sign * apart for sign in (1, -1, 0)], axis=1)
        first = np.arange(0, 3 * len(data.ids) + 1, 3)
        return StageSet(data, WordTokens(words.reshape(-1, 384).astype(np.float16), first))

    return make


EVERY = ("single", "mean", "kmeans", "seqlstm", "seqtransf", "tdb", "tab", "clip2video")


def build(fresh_towers: Any, recipe: SecondRecipe) -> Second:
    towers = fresh_towers()
    torch.manual_seed(5)
    return Second(towers, recipe, ["msrvtt", "places"])


def learnt(model: Second) -> Any:
    return torch.cat([p.detach().flatten() for _, p in model.trained()])


def test_before_training_it_ranks_as_recall_does(stage: Any, fresh_towers: Any) -> None:
    found = check(build(fresh_towers, replace(SMALL, temporal="tdb")), stage())
    plain = check(build(fresh_towers, replace(SMALL, itm=0)), stage())
    assert found.recall == pytest.approx(plain.recall)
    assert all(after == (found.recall, found.recall_all) for after in found.reranked.values())
    assert plain.reranked == {}


@pytest.mark.parametrize("kind", ["binary", "ranking"])
def test_the_matching_head_learns_on_frozen_towers(stage: Any, fresh_towers: Any, kind: Any) -> None:
    data = stage(items=16)
    base = replace(BASE, steps=60, batch=16, weights={"msrvtt": 1})
    recipe = replace(SMALL, base=base, itm_loss=kind, rate=3e-3, noisy=False)
    model = build(fresh_towers, recipe)
    before = model.main.towers.picture.head.linear.weight.clone()
    found = run(model, [data], data)
    assert found.reranked[1.5][1]["MnR"] < found.recall_all["MnR"] * 0.8
    assert torch.equal(before, model.main.towers.picture.head.linear.weight)


@pytest.mark.parametrize(
    "switch",
    [
        {"itm": 0.0, "temporal": "tdb"},
        {"itm": 0.0, "temporal": "seqtransf", "mfm": 1.0},
        {"itm": 0.0, "base": replace(BASE, head_rate=1e-3)},
        {"itm": 0.0, "base": replace(BASE, head_rate=1e-3), "queue": 12},
    ],
)
def test_each_loss_alone_gives_its_part_a_gradient(stage: Any, fresh_towers: Any, switch: dict[str, Any]) -> None:
    model = build(fresh_towers, replace(SMALL, **switch))
    model.groups()  # sets what learns
    model.set_mode()
    step_loss(model, stage(), np.random.default_rng(0)).backward()
    moved = {name for name, p in model.trained() if p.grad is not None and bool((p.grad != 0).any())}
    wanted = "main.aggregator.tdb.out" if switch.get("temporal") == "tdb" else "main.towers.text.head.linear"
    if switch.get("temporal") == "seqtransf":
        wanted = "guess.out"
    assert any(name.startswith(wanted) for name in moved)
    assert not any(name.startswith(("twin.", "main.towers.text.encoder", "main.towers.picture.tail")) for name in moved)


@pytest.mark.parametrize("temporal", EVERY)
def test_every_aggregation_is_measured_and_those_that_learn_learn(stage: Any, fresh_towers: Any, temporal: str) -> None:
    data = stage(items=12)
    base = replace(BASE, steps=12, batch=12, weights={"msrvtt": 1})
    recipe = replace(SMALL, base=base, itm=0, temporal=temporal, rate=3e-3)
    model = build(fresh_towers, recipe)
    before = [parameter.clone() for parameter in model.main.aggregator.parameters()]
    found = run(model, [data], data)
    moved = [not torch.equal(old, new) for old, new in zip(before, model.main.aggregator.parameters(), strict=True)]
    assert any(moved) == (temporal not in ("single", "mean", "kmeans"))
    assert 1 <= found.recall_all["MnR"] <= 12


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_trains_and_weights_stay_wide(stage: Any, fresh_towers: Any, dtype: str) -> None:
    data = stage(items=12)
    recipe = replace(EVERYTHING, base=replace(EVERYTHING.base, steps=6, weights={"msrvtt": 1}), queue=8)
    plain, mixed = build(fresh_towers, recipe), build(fresh_towers, recipe)
    run(plain, [data], data)
    run(mixed, [data], data, precision=Precision("cpu", getattr(torch, dtype)))
    assert learnt(mixed).dtype == torch.float32 and bool(learnt(mixed).isfinite().all())
    assert not torch.equal(learnt(plain), learnt(mixed))
    assert torch.nn.functional.cosine_similarity(learnt(plain), learnt(mixed), dim=0) > 0.99


def test_a_resumed_run_keeps_the_scale_of_its_loss(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    half = Precision("cpu", torch.float16)
    data, checkpoint = stage(items=12), tmp_path / "second.pt"
    recipe = replace(SMALL, base=replace(BASE, weights={"msrvtt": 1}))
    whole = build(fresh_towers, recipe)
    run(whole, [data], data, precision=half)
    run(build(fresh_towers, recipe), [data], data, precision=half, checkpoint=checkpoint, stop_at=2)
    resumed = build(fresh_towers, recipe)
    seen: list[int] = []
    run(resumed, [data], data, precision=half, checkpoint=checkpoint, progress=lambda *told: seen.append(told[0]))
    assert seen == [3, 4] and torch.equal(learnt(whole), learnt(resumed))
    seen.clear()  # other numbers are another run
    run(build(fresh_towers, recipe), [data], data, checkpoint=checkpoint, progress=lambda *told: seen.append(told[0]))
    assert seen == [1, 2, 3, 4]


def test_one_seed_gives_one_result(stage: Any, fresh_towers: Any) -> None:
    sets = [stage(), stage("places", labelled=True)]
    runs = []
    for seed in (1, 1, 2):
        model = build(fresh_towers, replace(EVERYTHING, base=replace(EVERYTHING.base, seed=seed)))
        run(model, sets, sets[0])
        runs.append(learnt(model))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_resuming_equals_never_stopping(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    sets = [stage(), stage("places", labelled=True)]
    whole = build(fresh_towers, EVERYTHING)
    run(whole, sets, sets[0])
    checkpoint = tmp_path / "second.pt"
    run(build(fresh_towers, EVERYTHING), sets, sets[0], checkpoint=checkpoint, stop_at=2)
    seen: list[int] = []
    resumed = build(fresh_towers, EVERYTHING)
    run(resumed, sets, sets[0], checkpoint=checkpoint, progress=lambda step, loss, found: seen.append(step))
    assert seen == [3, 4]
    assert torch.equal(learnt(whole), learnt(resumed))
    for name, queue in whole.queues.items():
        assert torch.equal(queue.video, resumed.queues[name].video) and int(queue.place) == int(
            resumed.queues[name].place
        )


def test_it_stops_early_and_keeps_the_best(stage: Any, fresh_towers: Any) -> None:
    data = stage()
    recipe = replace(SMALL, base=replace(BASE, steps=40, weights={"msrvtt": 1}), rate=0.0, patience=2, check_every=2)
    model = build(fresh_towers, replace(recipe, rate=1e-9))
    seen: list[int] = []
    run(model, [data], data, progress=lambda step, loss, found: seen.append(step))
    assert seen[-1] == 6  # the first check is a gain over nothing, the next two are none


def test_a_clip_is_of_one_view_in_time_order(stage: Any) -> None:
    data = stage()
    for seed in range(10):
        batch = drawn(data, BASE, np.random.default_rng(seed))
        assert (batch.views == batch.views[:, :1]).all()
        for places, mask in zip(batch.places, batch.mask.bool().numpy(), strict=True):
            assert (np.diff(places[mask]) > 0).all()
            assert mask[0] and not (mask[1:] & ~mask[:-1]).any()


def test_fewer_captions_keep_their_rows(made_up: Any) -> None:
    data = made_up(items=6)
    kept = keep_captions(data, 1)
    assert len(kept.ids) == 6 and kept.first.tolist() == list(range(7))
    assert torch.equal(kept.sentences, data.sentences[::2]) and kept.ids == data.ids[::2]


def test_cached_words_are_those_of_the_encoder(fresh_towers: Any, tmp_path: Path) -> None:
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


def test_a_recipe_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves backbones alone"):
        SecondRecipe(base=Recipe(text_rate=1e-5))
    with pytest.raises(ValueError, match="temporal must be"):
        SecondRecipe(temporal="max")
    with pytest.raises(ValueError, match="kmeans is no inner product"):
        SecondRecipe(base=Recipe(head_rate=1e-3), temporal="kmeans")
    with pytest.raises(ValueError, match="mean has none"):
        SecondRecipe(mfm=1.0)


def test_a_row_of_the_table_is_measured_and_not_trained_twice(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    from vsearch.training.table import Stages, lines, run_row

    sets = [stage(), stage("places", labelled=True)]
    stages = Stages(sets, sets[0], sets[1:])
    model, found = run_row(fresh_towers(), SMALL, stages, tmp_path, "lineage")
    assert set(found.labels) == {"places"} and len(lines("itm", found)) == 1 + len(found.reranked)
    [checkpoint] = tmp_path.iterdir()
    written = checkpoint.stat().st_mtime_ns
    again, _ = run_row(fresh_towers(), SMALL, stages, tmp_path, "lineage")
    assert torch.equal(learnt(model), learnt(again)) and checkpoint.stat().st_mtime_ns == written


def test_the_table_has_a_row_for_each_loss() -> None:
    from vsearch.training.table import ROWS

    assert ROWS["towers"].base.steps == 0 and not ROWS["towers"].itm
    assert ROWS["itc-queue"].queue and ROWS["tdb-mfm"].mfm and ROWS["tdb"].temporal == "tdb" and ROWS["itm"].itm


def test_the_towers_alone_are_a_row(stage: Any, fresh_towers: Any, tmp_path: Path) -> None:
    from vsearch.training.table import ROWS, Stages, run_row

    data = stage(items=8)
    _, found = run_row(fresh_towers(), ROWS["towers"], Stages([data], data, []), tmp_path, "lineage")
    assert found.reranked == {} and found.recall["MnR"] >= 1
