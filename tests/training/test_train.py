"""A seed fixes a run; an interrupted run that goes on is the run that was not interrupted."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vsearch.training.backbone import Backbones, Lite0, Lite2  # noqa: E402
from vsearch.training.batches import Writing, draw_batch  # noqa: E402
from vsearch.training.export import PictureGraph  # noqa: E402
from vsearch.training.metrics import retrieval, top1  # noqa: E402
from vsearch.training.prepare import settle  # noqa: E402
from vsearch.training.recipe import Recipe, changed  # noqa: E402
from vsearch.training.train import (  # noqa: E402
    frame_features,
    paired_loss,
    parameter_groups,
    rate_factor,
    step_loss,
    text_vectors,
    train,
    train_apart,
)
from vsearch.training.validate import evaluate  # noqa: E402

SHORT = Recipe(steps=4, batch=8, views=2, weights={"msrvtt": 0.7, "places": 0.3})


def weights_of(towers: Any) -> Any:
    parts = (towers.picture.head, towers.text.head)
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


def test_one_seed_gives_one_result_and_another_seed_another(made_up: Any, fresh_towers: Any) -> None:
    sets = [made_up(), made_up("places", labelled=True)]
    runs = []
    for seed in (1, 1, 2):
        towers = fresh_towers()
        train(towers, sets, Recipe(**{**{f: getattr(SHORT, f) for f in SHORT.__slots__}, "seed": seed}))
        runs.append(weights_of(towers))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_resuming_equals_never_stopping(made_up: Any, fresh_towers: Any, tmp_path: Path, ema: float) -> None:
    sets = [made_up(), made_up("places", labelled=True)]
    recipe = Recipe(steps=4, batch=8, views=2, weights=SHORT.weights, ema=ema)
    whole = fresh_towers()
    train(whole, sets, recipe)
    checkpoint = tmp_path / "stage.pt"
    train(fresh_towers(), sets, recipe, checkpoint=checkpoint, stop_at=2)
    seen: list[int] = []
    resumed = fresh_towers()
    train(resumed, sets, recipe, checkpoint=checkpoint, progress=lambda step, loss: seen.append(step))
    assert seen == [3, 4]
    assert torch.equal(weights_of(whole), weights_of(resumed))


def test_a_checkpoint_of_another_recipe_is_not_resumed(made_up: Any, fresh_towers: Any, tmp_path: Path) -> None:
    checkpoint = tmp_path / "stage.pt"
    train(fresh_towers(), [made_up()], SHORT, checkpoint=checkpoint, stop_at=2)
    seen: list[int] = []
    other = Recipe(steps=4, batch=6, views=2, weights=SHORT.weights)
    train(fresh_towers(), [made_up()], other, checkpoint=checkpoint, progress=lambda step, loss: seen.append(step))
    assert seen == [1, 2, 3, 4]


def test_training_learns_what_can_be_learnt(made_up: Any, fresh_towers: Any) -> None:
    data = made_up(items=16)
    towers = fresh_towers()
    before = evaluate(towers, first_captions(data), [])["MnR"]
    train(towers, [data], Recipe(steps=40, batch=16, views=2, soft_share=0, weights={"msrvtt": 1}))
    assert evaluate(towers, first_captions(data), [])["MnR"] < before / 2


def first_captions(data: Any) -> Any:
    """The same set with one caption an item, as the validation split has."""
    items = tuple(replace(item, captions=item.captions[:1]) for item in data.pictures.items)
    first = np.arange(len(items) + 1)
    return replace(
        data, pictures=data.pictures.take(items), sentences=data.sentences[::2], first=first, ids=data.ids[::2]
    )


def test_a_batch_is_of_readable_pictures_of_its_own_items(made_up: Any) -> None:
    data = made_up(items=6)
    data.cache.readable[3] = False
    for seed in range(20):
        batch = draw_batch(data, SHORT, np.random.default_rng(seed), mixing=True)
        for row, item in enumerate(batch.items):
            shown = batch.places[row][batch.mask[row].bool().numpy()]
            assert len(shown) > 0 and 3 not in shown
            assert set(shown) <= set(data.pictures.items[item].pictures)
            assert all(data.first[item] <= c < data.first[item + 1] for c in batch.captions[row])


def test_a_rate_of_zero_freezes_and_words_stay_frozen(fresh_towers: Any) -> None:
    towers = fresh_towers()
    parameter_groups(towers, Recipe())
    trained = {name for name, p in towers.named_parameters() if p.requires_grad}
    assert all(name.startswith(("picture.head", "text.head", "log_scale")) for name in trained)
    parameter_groups(towers, Recipe(text_rate=1e-5, tail_rate=1e-5))
    trained = {name for name, p in towers.named_parameters() if p.requires_grad}
    assert "text.encoder.layers.0.query.weight" in trained and "text.encoder.words.weight" not in trained
    assert "picture.tail.blocks.16.expand.0.weight" in trained
    assert not any(name.startswith("picture.tail.blocks.15.") for name in trained)


def moved(before: dict[str, Any], towers: Any) -> set[str]:
    return {name for name, value in towers.state_dict().items() if not torch.equal(before[name], value)}


def test_locked_image_tuning_and_tuning_both_towers(made_up: Any, fresh_towers: Any) -> None:
    data = made_up(items=8)
    recipe = Recipe(steps=2, batch=4, views=1, mix=0, text_rate=1e-3, weights={"msrvtt": 1})
    for locked, tail, pictures in ((True, 0.0, False), (True, 1e-3, False), (False, 1e-3, True)):
        towers = fresh_towers()
        before = {name: value.clone() for name, value in towers.state_dict().items()}
        train(towers, [data], replace(recipe, tail_rate=tail), locked=locked)
        names = moved(before, towers)
        assert any(name.startswith("text.encoder.layers") for name in names)
        assert any(name.startswith("text.head") for name in names)
        assert any(name.startswith("picture.head") for name in names) == pictures
        assert any(name.startswith("picture.tail") for name in names) == pictures
        assert towers.tuned_picture == pictures


def test_the_command_gives_its_stages_their_rates() -> None:
    from vsearch.training.pipeline import Settings, stages_of

    settings = Settings(Path(), Path(), Path(), ())
    assert not any(recipe.tail_rate for _, recipe in stages_of(settings))
    both = dict(stages_of(replace(settings, tail_rate=1e-5)))
    assert {name: r.tail_rate for name, r in both.items() if r.tail_rate} == {"text": 1e-5, "text again": 1e-5}
    full = dict(stages_of(replace(settings, whole_rate=1e-6)))
    assert {name: r.whole_rate for name, r in full.items() if r.whole_rate} == {"text": 1e-6, "text again": 1e-6}
    # a tuned network runs on every frame of a batch: its maps, held for the way back, would not fit in memory
    assert {r.frames for run in (both, full) for name, r in run.items() if "text" in name} == {1}
    later = dict(stages_of(replace(settings, pictures=True)))
    assert [name for name, r in later.items() if r.tail_rate] == ["pictures"] and "another head" not in later
    assert [name for name, _ in stages_of(replace(settings, frozen=True))] == ["heads"]


def test_text_in_chunks_of_like_length_keeps_its_order(fresh_towers: Any) -> None:
    towers = fresh_towers().eval()
    ids = [[1, 5, 6, 7, 8, 3], [1, 9, 3], [1, 4, 4, 3], [1, 3]]
    with torch.inference_mode():
        alone = torch.cat([text_vectors(towers, [row]) for row in ids])
        chunked = text_vectors(towers, ids, chunk=2)
    assert torch.allclose(alone, chunked, atol=1e-5)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    recipe = Recipe(steps=100, warm_up=0.3)
    factors = [rate_factor(step, recipe) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 25) and max(factors) == factors[30] == 1.0 and factors[-1] < 0.01


def test_ranks_count_a_tie_against_the_query() -> None:
    found = retrieval(np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.3, 0.2, 0.1]], np.float32))
    assert found["R@1"] == pytest.approx(100 / 3)
    assert (found["MdR"], found["MnR"]) == (2.0, 2.0)
    assert top1(np.array([[0.1, 0.9], [0.8, 0.2]], np.float32), np.array([1, 1])) == 50.0


def test_captions_are_rewritten_and_paired_only_where_the_encoder_is_tuned(made_up: Any, fresh_towers: Any) -> None:
    data, asked = made_up(), []

    def tokens(sentences: Sequence[str]) -> list[list[int]]:
        asked.extend(sentences)
        return [[1, 2, 3] for _ in sentences]

    writing = Writing(tokens, [[[1, 5 + i, 3], [1, 6 + i, 3]] for i in range(12)])
    frozen = Recipe(steps=2, batch=8, typed=1.0, paired=1.0, pairs=4)
    train(fresh_towers(), [data], frozen, writing=writing)
    assert not asked
    train(fresh_towers(), [data], replace(frozen, text_rate=1e-3), writing=writing)
    assert len(asked) == 16


def test_pairs_of_captions_alone_bring_them_together(fresh_towers: Any) -> None:
    towers = fresh_towers()
    towers.eval()
    pairs = [[[1, 4 + i, 3], [1, 24 + i, 3]] for i in range(12)]
    writing, recipe = Writing(lambda sentences: [[1]] * len(sentences), pairs), Recipe(pairs=12)
    optimiser = torch.optim.Adam(towers.text.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = paired_loss(towers, recipe, np.random.default_rng(0), writing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5


def test_a_blend_lies_between_what_was_and_what_was_learnt(made_up: Any, fresh_towers: Any) -> None:
    recipe = replace(SHORT, steps=3, ema=0.5)
    before, whole, part = fresh_towers(), fresh_towers(), fresh_towers()
    train(whole, [made_up()], recipe)
    train(part, [made_up()], replace(recipe, blend=0.25))
    expected = torch.lerp(weights_of(before), weights_of(whole), 0.25)
    assert torch.allclose(weights_of(part), expected, atol=1e-6)
    assert not torch.allclose(weights_of(part), weights_of(before), atol=1e-4)


def test_a_head_that_was_trained_apart_joins_the_others_and_moves_nothing_else(made_up: Any, fresh_towers: Any) -> None:
    towers, data = fresh_towers(), made_up()
    towers.eval()
    before = weights_of(towers)
    features = torch.from_numpy(data.cache.features[:, 0]).float()
    alone = towers.picture.embed(features)
    train_apart(towers, [data], replace(SHORT, apart=True, text_head_rate=0.0, seed=5))
    assert torch.equal(weights_of(towers), before)
    assert len(towers.picture.others) == 1
    seen = towers.picture.inputs(features, towers.picture.classes(features))
    other = torch.nn.functional.normalize(towers.picture.others[0](seen), dim=-1)
    both = torch.nn.functional.normalize(alone + other, dim=-1)
    assert torch.allclose(towers.picture.embed(features), both, atol=1e-6)
    assert not torch.allclose(alone, both, atol=1e-3)


def test_what_a_stage_is_known_by_says_only_what_it_changes() -> None:
    assert changed(Recipe()) == "{}"
    assert changed(replace(Recipe(), steps=7, blend=0.5)) == "{'steps': 7, 'blend': 0.5}"


def test_tuned_blocks_see_the_maps_and_frozen_ones_the_cache(made_up: Any, fresh_towers: Any) -> None:
    data, towers = made_up(items=4), fresh_towers().eval()
    data.cache.maps[0][:] = np.random.default_rng(0).standard_normal(data.cache.maps[0].shape)
    batch = draw_batch(data, replace(SHORT, views=1), np.random.default_rng(0), mixing=False)
    shown = batch.places[batch.mask.bool().numpy()]
    with torch.inference_mode():
        assert torch.equal(frame_features(towers, data, batch), torch.from_numpy(data.cache.features[shown, 0]).float())
        towers.tuned_picture = True
        seen = frame_features(towers, data, batch)
        expected = towers.picture.tail.tail(torch.from_numpy(data.cache.maps[0][shown]).float())
    assert torch.allclose(seen[:, :1280], expected, atol=1e-3)
    assert torch.equal(seen[:, 1280:], torch.from_numpy(data.cache.features[shown, 0][:, 1280:]).float())


def test_settled_sets_hold_what_the_tuned_blocks_see(made_up: Any, fresh_towers: Any) -> None:
    data, towers = made_up(items=4), fresh_towers().eval()
    assert settle(towers, [data], 1) == [data]
    data.cache.maps[1][:] = np.random.default_rng(0).standard_normal(data.cache.maps[1].shape)
    towers.tuned_picture = True
    one, same = settle(towers, [data, data], 2)
    assert one.settled and one.cache is same.cache
    found = torch.from_numpy(one.cache.features[:, 1]).float()
    with torch.inference_mode():
        expected = towers.picture.tail.tail(torch.from_numpy(data.cache.maps[1]).float())
    assert float(torch.nn.functional.cosine_similarity(found[:, :1280], expected).min()) > 0.99
    assert torch.equal(found[:, 1280:], torch.from_numpy(data.cache.features[:, 1, 1280:]).float())
    batch = draw_batch(one, SHORT, np.random.default_rng(0), mixing=False)
    valid = batch.mask.bool().numpy()
    kept = torch.from_numpy(one.cache.features[batch.places[valid], batch.views[valid]]).float()
    assert torch.equal(frame_features(towers, one, batch), kept)


def test_full_tuning_reaches_every_layer_of_both_towers_from_the_pixels(made_up: Any, fresh_towers: Any) -> None:
    data = made_up(items=4)
    shown = np.random.default_rng(0).integers(0, 256, (8, 260, 260, 3), dtype=np.uint8)
    asked: list[tuple[int, int]] = []

    def pixels(place: int, view: int) -> Any:
        asked.append((int(place), int(view)))
        return shown[place]

    data = replace(data, pixels=pixels)
    towers = fresh_towers()
    recipe = Recipe(steps=1, batch=2, frames=1, views=1, mix=0, text_rate=1e-3, whole_rate=1e-3, weights={"msrvtt": 1})
    with pytest.raises(ValueError, match="open it up"):
        train(towers, [data], recipe)
    towers.picture.open_up(Backbones(Lite2(), Lite0()))
    before = {name: value.clone() for name, value in towers.state_dict().items()}
    asked.clear()
    train(towers, [data], recipe)
    assert len(asked) == 2
    names = moved(before, towers)
    for part in (
        "picture.tail.stem", "picture.tail.blocks.0", "picture.tail.blocks.20", "picture.other.stem",
        "picture.other.blocks.15", "picture.head", "text.encoder.layers.0", "text.head",
    ):  # fmt: skip
        assert any(name.startswith(part) for name in names), part
    assert not any("running_" in name for name in names)
    with torch.inference_mode():
        seen = towers.picture.look(torch.from_numpy(shown[:3]).permute(0, 3, 1, 2).float())
        graph = PictureGraph(Backbones(Lite2(), Lite0()), towers.picture).eval()
        assert torch.allclose(graph(torch.from_numpy(shown[:3])), towers.picture.embed(seen), atol=1e-5)


def test_new_heads_with_a_loss_each_are_all_trained_while_text_stays(made_up: Any, fresh_towers: Any) -> None:
    towers, data = fresh_towers(), made_up(items=8)
    data.cache.maps[0][:] = np.random.default_rng(0).standard_normal(data.cache.maps[0].shape)
    written = replace(data, written=torch.nn.functional.normalize(torch.randn(16, 512), dim=-1))
    recipe = Recipe(
        steps=2, batch=4, views=1, mix=0, frames=1, text_head_rate=0, each=True, fresh=3, weights={"msrvtt": 1}
    )
    train(towers, [written], recipe)
    assert len(towers.picture.others) == 2
    before = {name: value.clone() for name, value in towers.state_dict().items()}
    train(towers, [written], replace(recipe, fresh=0, tail_rate=1e-3, classes=1.0))
    names = moved(before, towers)
    for part in ("picture.head.linear", "picture.others.0.linear", "picture.others.1.linear", "picture.tail.blocks.20"):
        assert any(name.startswith(part) for name in names), part
    assert not any(name.startswith("text.") for name in names)


def test_the_finished_text_tower_is_taken_at_its_word(made_up: Any, fresh_towers: Any) -> None:
    """With vectors at hand, the tower itself is not asked."""
    towers, data = fresh_towers().eval(), made_up(items=8)
    with torch.inference_mode():
        said = towers.text.embed(data.sentences.float())
    recipe = replace(SHORT, mix=0, text_head_rate=0.0)
    losses = []
    for given in (data, replace(data, written=said.clone())):
        losses.append(float(step_loss(towers, given, recipe, np.random.default_rng(0)).detach()))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    towers.text = None
    assert float(step_loss(towers, replace(data, written=said), recipe, np.random.default_rng(0)).detach()) > 0


def test_frames_a_step_looks_at_can_be_limited(made_up: Any) -> None:
    batch = draw_batch(made_up(), replace(SHORT, keep_frame=1.0, frames=1), np.random.default_rng(0), mixing=False)
    assert batch.mask.sum(1).tolist() == [1.0] * len(batch.items)


def test_holding_the_classes_costs_nothing_until_they_move(made_up: Any, fresh_towers: Any) -> None:
    data, towers = made_up(items=8), fresh_towers().eval()
    maps = torch.randn(16, 208, 9, 9)
    data.cache.maps[0][:], data.cache.maps[1][:] = maps.numpy(), maps.numpy()
    with torch.inference_mode():
        main = towers.picture.tail.tail(maps.half().float()).numpy()
    data.cache.features[:, :, :1280] = main[:, None]
    towers.tuned_picture = True
    recipe = replace(SHORT, mix=0, soft_share=0)
    losses = []
    for moved_by in (0.0, 0.5):
        with torch.no_grad():
            towers.picture.tail.head[-1].bias += moved_by * torch.randn(1280)
        with_it, without = (
            float(step_loss(towers, data, replace(recipe, classes=share), np.random.default_rng(0)).detach())
            for share in (1.0, 0.0)
        )
        losses.append(with_it - without)
    assert losses[0] == pytest.approx(0, abs=1e-3) and losses[1] > 0.01
