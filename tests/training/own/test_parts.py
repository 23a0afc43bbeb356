"""Learning on kept vectors: going on where a run was stopped, Ctrl-C, a seed, what a temporal head hears."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsearch.training.own.gather import Clip

torch = pytest.importorskip("torch")

from vsearch.training.own import fit as fitting  # noqa: E402
from vsearch.training.own.fit import Plan, check, fit  # noqa: E402
from vsearch.training.own.heads import Adapter, TemporalHead  # noqa: E402

PLAN = Plan(steps=20, batch=8, rate=0.02, check_every=4, patience=99)


@pytest.fixture
def ordered(tmp_path: Path) -> list[Clip]:
    """Clips that go from one topic to another; each is called by the topic that comes first."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(24):
        first, second = np.eye(8, dtype=np.float32)[[number % 4, (number + 1 + number // 12) % 4]]
        frames = np.stack([first, second, second]) + 0.05 * rng.standard_normal((3, 8)).astype(np.float32)
        np.save(tmp_path / f"{number}.npy", frames / np.linalg.norm(frames, axis=1, keepdims=True))
        clips.append(Clip(str(number), f"v{number}", (f"topic {number % 4}",), tmp_path / f"{number}.npy"))
    return clips


def learnt(clips: list[Clip]) -> list[Clip]:
    """What is not held for validation, which is every third."""
    return [clip for number, clip in enumerate(clips) if number % 3]


def known() -> dict[str, Any]:
    return {f"topic {number}": np.eye(8, dtype=np.float32)[number] for number in range(4)}


@pytest.mark.parametrize("name", ["tdb", "seqtransf", "seqlstm"])
def test_a_temporal_head_learns_what_comes_first(ordered: list[Clip], name: str) -> None:
    torch.manual_seed(0)
    learner = TemporalHead(name, known(), width=16)
    fitted = fit(learner, learnt(ordered), ordered[::3], replace(PLAN, steps=60, rate=3e-3))
    assert fitted.before.text_to_video.recall[0] < 100
    assert fitted.best.merit > fitted.before.merit
    assert check(learner, ordered[::3])[0] == fitted.best


def weights(learner: Any) -> Any:
    return torch.cat([parameter.detach().flatten() for parameter in learner.parameters()])


def adapter() -> Adapter:
    torch.manual_seed(3)
    return Adapter(known(), rank=4)


def test_going_on_equals_never_stopping(ordered: list[Clip], tmp_path: Path) -> None:
    parts = learnt(ordered), ordered[::3]
    whole = adapter()
    fitted = fit(whole, *parts, PLAN)
    seen: list[int] = []

    def stop(step: int, loss: float, found: Any) -> None:
        seen.append(step)
        if step == 10:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.pt"
    halted = fit(adapter(), *parts, PLAN, checkpoint=checkpoint, lineage="x", progress=stop)
    assert halted.stopped and halted.steps == 10 and halted.step in (0, 4, 8)
    seen.clear()
    learner = adapter()
    again = fit(learner, *parts, PLAN, checkpoint=checkpoint, lineage="x", progress=lambda *told: seen.append(told[0]))
    assert seen[0] == 9 and again == fitted and torch.equal(weights(learner), weights(whole))
    seen.clear()  # another recipe begins anew
    fit(adapter(), *parts, PLAN, checkpoint=checkpoint, lineage="y", progress=lambda *told: seen.append(told[0]))
    assert seen[0] == 1


def test_what_a_stopped_run_leaves_is_its_best(ordered: list[Clip]) -> None:
    def stop(step: int, loss: float, found: Any) -> None:
        if step == 9:
            raise KeyboardInterrupt

    learner = adapter()
    fitted = fit(learner, learnt(ordered), ordered[::3], PLAN, progress=stop)
    assert fitted.stopped and fitted.step and check(learner, ordered[::3])[0] == fitted.best


def test_a_seed_fixes_a_run(ordered: list[Clip]) -> None:
    results = []
    for seed in (1, 1, 2):
        learner = adapter()
        fit(learner, learnt(ordered), ordered[::3], replace(PLAN, seed=seed))
        results.append(weights(learner))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_it_stops_where_nothing_is_gained(ordered: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    flat = check(adapter(), ordered)
    monkeypatch.setattr(fitting, "check", lambda *told: flat)
    learner = adapter()
    before = weights(learner)
    fitted = fit(learner, learnt(ordered), ordered[::3], replace(PLAN, patience=2))
    assert fitted.steps == 8 and fitted.step == 0 and torch.equal(before, weights(learner))


def test_what_ranks_no_better_than_the_model_without_it_is_not_kept(ordered: list[Clip]) -> None:
    parts = learnt(ordered), ordered[::3]
    first = fit(adapter(), *parts, PLAN)
    learner = adapter()
    before = weights(learner)
    assert first.step and first.best.merit > first.before.merit
    again = fit(learner, *parts, PLAN, beaten=first.best)
    assert again.step == 0 and again.steps == PLAN.steps and torch.equal(before, weights(learner))


def test_an_untrained_learner_is_the_base(ordered: list[Clip]) -> None:
    frames = [c.load() for c in ordered[:3]]
    mean = np.stack([f.mean(0) / np.linalg.norm(f.mean(0)) for f in frames])
    for learner in (adapter(), TemporalHead("tdb", known())):
        np.testing.assert_allclose(learner.clip_vectors(frames).detach().numpy(), mean, atol=1e-5)
        np.testing.assert_allclose(learner.text_vectors(["Topic  1"]).detach().numpy()[0], np.eye(8)[1], atol=1e-6)
