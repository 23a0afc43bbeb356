"""Stages of tower training: reproducible, resumable, and training exactly what the recipe says."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vsearch.training import tower_training  # noqa: E402
from vsearch.training.backbone import Backbones, Lite0, Lite2  # noqa: E402
from vsearch.training.batches import TextSource, draw_batch  # noqa: E402
from vsearch.training.encode import encode_captions, frame_features  # noqa: E402
from vsearch.training.export_towers import PictureTowerGraph  # noqa: E402
from vsearch.training.prepare import recompute_features  # noqa: E402
from vsearch.training.recipe import StageRecipe, changed  # noqa: E402
from vsearch.training.tower_training import (  # noqa: E402
    one_cycle,
    paired_loss,
    stage_groups,
    step_loss,
    train_extra_head,
    train_stage,
)
from vsearch.training.validate import validate_towers  # noqa: E402

SHORT = StageRecipe(steps=4, batch=8, views=2, weights={"msrvtt": 0.7, "places": 0.3})


def interrupt_at(stop: int) -> Any:
    """A progress function that interrupts a run after a step, as Ctrl-C does."""

    def progress(step: int, *_: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    return progress


def weights_of(towers: Any) -> Any:
    parts = (towers.picture.head, towers.text.head)
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


def test_seed_determines_trained_weights(made_up: Any, fresh_towers: Any) -> None:
    sets = [made_up(), made_up("places", labelled=True)]
    runs = []
    for seed in (1, 1, 2):
        towers = fresh_towers()
        train_stage(towers, sets, StageRecipe(**{**{f: getattr(SHORT, f) for f in SHORT.__slots__}, "seed": seed}))
        runs.append(weights_of(towers))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_resumed_stage_equals_uninterrupted_stage(
    made_up: Any, fresh_towers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ema: float
) -> None:
    sets = [made_up(), made_up("places", labelled=True)]
    recipe = StageRecipe(steps=4, batch=8, views=2, weights=SHORT.weights, ema=ema)
    whole = fresh_towers()
    train_stage(whole, sets, recipe)
    checkpoint = tmp_path / "stage.pt"
    monkeypatch.setattr(tower_training, "CHECKPOINT_EVERY", 2)
    with pytest.raises(KeyboardInterrupt):
        train_stage(fresh_towers(), sets, recipe, checkpoint=checkpoint, progress=interrupt_at(2))
    seen: list[int] = []
    resumed = fresh_towers()
    train_stage(resumed, sets, recipe, checkpoint=checkpoint, progress=lambda step, loss: seen.append(step))
    assert seen == [3, 4]
    assert torch.equal(weights_of(whole), weights_of(resumed))


def test_checkpoint_of_another_recipe_is_not_resumed(
    made_up: Any, fresh_towers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "stage.pt"
    monkeypatch.setattr(tower_training, "CHECKPOINT_EVERY", 2)
    with pytest.raises(KeyboardInterrupt):
        train_stage(fresh_towers(), [made_up()], SHORT, checkpoint=checkpoint, progress=interrupt_at(2))
    seen: list[int] = []
    other = StageRecipe(steps=4, batch=6, views=2, weights=SHORT.weights)
    train_stage(
        fresh_towers(), [made_up()], other, checkpoint=checkpoint, progress=lambda step, loss: seen.append(step)
    )
    assert seen == [1, 2, 3, 4]


def test_training_improves_ranks(made_up: Any, fresh_towers: Any) -> None:
    data = made_up(items=16)
    towers = fresh_towers()
    before = validate_towers(towers, first_captions(data), [])["MnR"]
    train_stage(towers, [data], StageRecipe(steps=40, batch=16, views=2, soft_share=0, weights={"msrvtt": 1}))
    assert validate_towers(towers, first_captions(data), [])["MnR"] < before / 2


def first_captions(data: Any) -> Any:
    """The same set with one caption an item, as the validation split has."""
    items = tuple(replace(item, captions=item.captions[:1]) for item in data.pictures.items)
    first = np.arange(len(items) + 1)
    return replace(
        data, pictures=data.pictures.take(items), sentences=data.sentences[::2], first=first, ids=data.ids[::2]
    )


def test_batch_contains_readable_pictures_of_its_items_only(made_up: Any) -> None:
    data = made_up(items=6)
    data.cache.readable[3] = False
    for seed in range(20):
        batch = draw_batch(data, SHORT, np.random.default_rng(seed), mixing=True)
        for row, item in enumerate(batch.items):
            shown = batch.places[row][batch.mask[row].bool().numpy()]
            assert len(shown) > 0 and 3 not in shown
            assert set(shown) <= set(data.pictures.items[item].pictures)
            assert all(data.first[item] <= c < data.first[item + 1] for c in batch.captions[row])


def test_rate_of_zero_freezes_a_part_and_word_embeddings_are_always_frozen(fresh_towers: Any) -> None:
    towers = fresh_towers()
    stage_groups(towers, StageRecipe())
    trained = {name for name, p in towers.named_parameters() if p.requires_grad}
    assert all(name.startswith(("picture.head", "text.head", "log_scale")) for name in trained)
    stage_groups(towers, StageRecipe(text_rate=1e-5, tail_rate=1e-5))
    trained = {name for name, p in towers.named_parameters() if p.requires_grad}
    assert "text.encoder.layers.0.query.weight" in trained and "text.encoder.words.weight" not in trained
    assert "picture.tail.blocks.16.expand.0.weight" in trained
    assert not any(name.startswith("picture.tail.blocks.15.") for name in trained)


def moved(before: dict[str, Any], towers: Any) -> set[str]:
    return {name for name, value in towers.state_dict().items() if not torch.equal(before[name], value)}


def test_locked_image_tuning_and_tuning_both_towers(made_up: Any, fresh_towers: Any) -> None:
    data = made_up(items=8)
    recipe = StageRecipe(steps=2, batch=4, views=1, mix=0, text_rate=1e-3, weights={"msrvtt": 1})
    for locked, tail, pictures in ((True, 0.0, False), (True, 1e-3, False), (False, 1e-3, True)):
        towers = fresh_towers()
        before = {name: value.clone() for name, value in towers.state_dict().items()}
        train_stage(towers, [data], replace(recipe, tail_rate=tail), locked=locked)
        names = moved(before, towers)
        assert any(name.startswith("text.encoder.layers") for name in names)
        assert any(name.startswith("text.head") for name in names)
        assert any(name.startswith("picture.head") for name in names) == pictures
        assert any(name.startswith("picture.tail") for name in names) == pictures
        assert towers.tuned_picture == pictures


def test_options_set_the_rates_of_stages() -> None:
    from vsearch.training.stages import BuildOptions, stages_of

    settings = BuildOptions(Path(), Path(), Path(), ())
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


def test_captions_encoded_in_chunks_keep_their_order(fresh_towers: Any) -> None:
    towers = fresh_towers().eval()
    ids = [[1, 5, 6, 7, 8, 3], [1, 9, 3], [1, 4, 4, 3], [1, 3]]
    with torch.inference_mode():
        alone = torch.cat([encode_captions(towers, [row]) for row in ids])
        chunked = encode_captions(towers, ids, chunk=2)
    assert torch.allclose(alone, chunked, atol=1e-5)


def test_one_cycle_rises_and_falls_to_zero() -> None:
    recipe = StageRecipe(steps=100, warm_up=0.3)
    factors = [one_cycle(step, recipe) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 25) and max(factors) == factors[30] == 1.0 and factors[-1] < 0.01


def test_captions_are_rewritten_and_paired_only_for_a_tuned_encoder(made_up: Any, fresh_towers: Any) -> None:
    data, asked = made_up(), []

    def tokens(sentences: Sequence[str]) -> list[list[int]]:
        asked.extend(sentences)
        return [[1, 2, 3] for _ in sentences]

    source = TextSource(tokens, [[[1, 5 + i, 3], [1, 6 + i, 3]] for i in range(12)])
    frozen = StageRecipe(steps=2, batch=8, typed=1.0, paired=1.0, pairs=4)
    train_stage(fresh_towers(), [data], frozen, source=source)
    assert not asked
    train_stage(fresh_towers(), [data], replace(frozen, text_rate=1e-3), source=source)
    assert len(asked) == 16


def test_paired_loss_alone_brings_captions_of_a_video_together(fresh_towers: Any) -> None:
    towers = fresh_towers()
    towers.eval()
    pairs = [[[1, 4 + i, 3], [1, 24 + i, 3]] for i in range(12)]
    source, recipe = TextSource(lambda sentences: [[1]] * len(sentences), pairs), StageRecipe(pairs=12)
    optimiser = torch.optim.Adam(towers.text.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = paired_loss(towers, recipe, np.random.default_rng(0), source)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5


def test_blend_interpolates_weights_before_and_after_a_stage(made_up: Any, fresh_towers: Any) -> None:
    recipe = replace(SHORT, steps=3, ema=0.5)
    before, whole, part = fresh_towers(), fresh_towers(), fresh_towers()
    train_stage(whole, [made_up()], recipe)
    train_stage(part, [made_up()], replace(recipe, blend=0.25))
    expected = torch.lerp(weights_of(before), weights_of(whole), 0.25)
    assert torch.allclose(weights_of(part), expected, atol=1e-6)
    assert not torch.allclose(weights_of(part), weights_of(before), atol=1e-4)


def test_extra_head_is_added_and_changes_nothing_else(made_up: Any, fresh_towers: Any) -> None:
    towers, data = fresh_towers(), made_up()
    towers.eval()
    before = weights_of(towers)
    features = torch.from_numpy(data.cache.features[:, 0]).float()
    alone = towers.picture.embed(features)
    train_extra_head(towers, [data], replace(SHORT, apart=True, text_head_rate=0.0, seed=5))
    assert torch.equal(weights_of(towers), before)
    assert len(towers.picture.others) == 1
    seen = towers.picture.inputs(features, towers.picture.classes(features))
    other = torch.nn.functional.normalize(towers.picture.others[0](seen), dim=-1)
    both = torch.nn.functional.normalize(alone + other, dim=-1)
    assert torch.allclose(towers.picture.embed(features), both, atol=1e-6)
    assert not torch.allclose(alone, both, atol=1e-3)


def test_changed_names_fields_that_differ_from_defaults() -> None:
    assert changed(StageRecipe()) == "{}"
    assert changed(replace(StageRecipe(), steps=7, blend=0.5)) == "{'steps': 7, 'blend': 0.5}"


def test_tuned_blocks_use_cached_maps_and_frozen_ones_cached_features(made_up: Any, fresh_towers: Any) -> None:
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


def test_recomputed_features_are_those_of_tuned_blocks(made_up: Any, fresh_towers: Any) -> None:
    data, towers = made_up(items=4), fresh_towers().eval()
    assert recompute_features(towers, [data], 1) == [data]
    data.cache.maps[1][:] = np.random.default_rng(0).standard_normal(data.cache.maps[1].shape)
    towers.tuned_picture = True
    one, same = recompute_features(towers, [data, data], 2)
    assert one.recomputed and one.cache is same.cache
    found = torch.from_numpy(one.cache.features[:, 1]).float()
    with torch.inference_mode():
        expected = towers.picture.tail.tail(torch.from_numpy(data.cache.maps[1]).float())
    assert float(torch.nn.functional.cosine_similarity(found[:, :1280], expected).min()) > 0.99
    assert torch.equal(found[:, 1280:], torch.from_numpy(data.cache.features[:, 1, 1280:]).float())
    batch = draw_batch(one, SHORT, np.random.default_rng(0), mixing=False)
    valid = batch.mask.bool().numpy()
    kept = torch.from_numpy(one.cache.features[batch.places[valid], batch.views[valid]]).float()
    assert torch.equal(frame_features(towers, one, batch), kept)


def test_full_tuning_trains_every_layer_of_both_towers_from_pixels(made_up: Any, fresh_towers: Any) -> None:
    data = made_up(items=4)
    shown = np.random.default_rng(0).integers(0, 256, (8, 260, 260, 3), dtype=np.uint8)
    asked: list[tuple[int, int]] = []

    def pixels(place: int, view: int) -> Any:
        asked.append((int(place), int(view)))
        return shown[place]

    data = replace(data, pixels=pixels)
    towers = fresh_towers()
    recipe = StageRecipe(
        steps=1, batch=2, frames=1, views=1, mix=0, text_rate=1e-3, whole_rate=1e-3, weights={"msrvtt": 1}
    )
    with pytest.raises(ValueError, match="hold_networks"):
        train_stage(towers, [data], recipe)
    towers.picture.hold_networks(Backbones(Lite2(), Lite0()))
    before = {name: value.clone() for name, value in towers.state_dict().items()}
    asked.clear()
    train_stage(towers, [data], recipe)
    assert len(asked) == 2
    names = moved(before, towers)
    for part in (
        "picture.tail.stem", "picture.tail.blocks.0", "picture.tail.blocks.20", "picture.other.stem",
        "picture.other.blocks.15", "picture.head", "text.encoder.layers.0", "text.head",
    ):  # fmt: skip
        assert any(name.startswith(part) for name in names), part
    assert not any("running_" in name for name in names)
    with torch.inference_mode():
        seen = towers.picture.whole_features(torch.from_numpy(shown[:3]).permute(0, 3, 1, 2).float())
        graph = PictureTowerGraph(Backbones(Lite2(), Lite0()), towers.picture).eval()
        assert torch.allclose(graph(torch.from_numpy(shown[:3])), towers.picture.embed(seen), atol=1e-5)


def test_all_new_heads_are_trained_while_the_text_tower_is_frozen(made_up: Any, fresh_towers: Any) -> None:
    towers, data = fresh_towers(), made_up(items=8)
    data.cache.maps[0][:] = np.random.default_rng(0).standard_normal(data.cache.maps[0].shape)
    encoded = replace(data, caption_vectors=torch.nn.functional.normalize(torch.randn(16, 512), dim=-1))
    recipe = StageRecipe(
        steps=2, batch=4, views=1, mix=0, frames=1, text_head_rate=0, each=True, fresh=3, weights={"msrvtt": 1}
    )
    train_stage(towers, [encoded], recipe)
    assert len(towers.picture.others) == 2
    before = {name: value.clone() for name, value in towers.state_dict().items()}
    train_stage(towers, [encoded], replace(recipe, fresh=0, tail_rate=1e-3, classes=1.0))
    names = moved(before, towers)
    for part in ("picture.head.linear", "picture.others.0.linear", "picture.others.1.linear", "picture.tail.blocks.20"):
        assert any(name.startswith(part) for name in names), part
    assert not any(name.startswith("text.") for name in names)


def test_cached_caption_vectors_replace_the_finished_text_tower(made_up: Any, fresh_towers: Any) -> None:
    """With caption vectors, the tower itself is not needed."""
    towers, data = fresh_towers().eval(), made_up(items=8)
    with torch.inference_mode():
        said = towers.text.embed(data.sentences.float())
    recipe = replace(SHORT, mix=0, text_head_rate=0.0)
    losses = []
    for given in (data, replace(data, caption_vectors=said.clone())):
        losses.append(float(step_loss(towers, given, recipe, np.random.default_rng(0)).detach()))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    towers.text = None
    assert float(step_loss(towers, replace(data, caption_vectors=said), recipe, np.random.default_rng(0)).detach()) > 0


def test_recipe_limits_frames_of_a_step(made_up: Any) -> None:
    batch = draw_batch(made_up(), replace(SHORT, keep_frame=1.0, frames=1), np.random.default_rng(0), mixing=False)
    assert batch.mask.sum(1).tolist() == [1.0] * len(batch.items)


def test_class_drift_is_zero_until_classes_change(made_up: Any, fresh_towers: Any) -> None:
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
