"""Fine-tuning on embeddings: resume, Ctrl-C, seed, early stopping, temporal encoders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsearch.training.finetune.clip_frames import CaptionedClip

torch = pytest.importorskip("torch")

from vsearch.training.finetune import fit as fitting  # noqa: E402
from vsearch.training.finetune.adapters import Adapter, TemporalHead  # noqa: E402
from vsearch.training.finetune.fit import FitPlan, check, fit  # noqa: E402

PLAN = FitPlan(steps=20, batch=8, rate=0.02, check_every=4, patience=99)


@pytest.fixture
def ordered(tmp_path: Path) -> list[CaptionedClip]:
    """Clips that change from one topic to another; the caption is the first topic."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(24):
        first, second = np.eye(8, dtype=np.float32)[[number % 4, (number + 1 + number // 12) % 4]]
        frames = np.stack([first, second, second]) + 0.05 * rng.standard_normal((3, 8)).astype(np.float32)
        np.save(tmp_path / f"{number}.npy", frames / np.linalg.norm(frames, axis=1, keepdims=True))
        clips.append(CaptionedClip(str(number), f"v{number}", (f"topic {number % 4}",), tmp_path / f"{number}.npy"))
    return clips


def learnt(clips: list[CaptionedClip]) -> list[CaptionedClip]:
    """The training clips: all but every third."""
    return [clip for number, clip in enumerate(clips) if number % 3]


def known() -> dict[str, Any]:
    return {f"topic {number}": np.eye(8, dtype=np.float32)[number] for number in range(4)}


@pytest.mark.parametrize("name", ["tdb", "seqtransf", "seqlstm"])
def test_temporal_encoder_learns_the_first_topic(ordered: list[CaptionedClip], name: str) -> None:
    torch.manual_seed(0)
    learner = TemporalHead(name, known(), width=16)
    fitted = fit(learner, learnt(ordered), ordered[::3], replace(PLAN, steps=60, rate=3e-3))
    assert fitted.before.text_to_video.metrics["R@1"] < 100
    assert fitted.best.reciprocal > fitted.before.reciprocal
    assert check(learner, ordered[::3]).ranks == fitted.best


def weights(learner: Any) -> Any:
    return torch.cat([parameter.detach().flatten() for parameter in learner.parameters()])


def adapter() -> Adapter:
    torch.manual_seed(3)
    return Adapter(known(), rank=4)


def test_resumed_run_equals_uninterrupted_run(ordered: list[CaptionedClip], tmp_path: Path) -> None:
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
    assert halted.interrupted and halted.steps == 10 and halted.best_step in (0, 4, 8)
    seen.clear()
    learner = adapter()
    again = fit(learner, *parts, PLAN, checkpoint=checkpoint, lineage="x", progress=lambda step, *_: seen.append(step))
    assert seen[0] == 9 and again == fitted and torch.equal(weights(learner), weights(whole))
    seen.clear()  # another run starts from the beginning
    fit(adapter(), *parts, PLAN, checkpoint=checkpoint, lineage="y", progress=lambda step, *_: seen.append(step))
    assert seen[0] == 1


def test_interrupted_run_keeps_its_best_weights(ordered: list[CaptionedClip]) -> None:
    def stop(step: int, loss: float, found: Any) -> None:
        if step == 9:
            raise KeyboardInterrupt

    learner = adapter()
    fitted = fit(learner, learnt(ordered), ordered[::3], PLAN, progress=stop)
    assert fitted.interrupted and fitted.best_step and check(learner, ordered[::3]).ranks == fitted.best


def test_seed_determines_trained_weights(ordered: list[CaptionedClip]) -> None:
    results = []
    for seed in (1, 1, 2):
        learner = adapter()
        fit(learner, learnt(ordered), ordered[::3], replace(PLAN, seed=seed))
        results.append(weights(learner))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_run_stops_after_checks_without_gain(ordered: list[CaptionedClip], monkeypatch: pytest.MonkeyPatch) -> None:
    flat = check(adapter(), ordered)
    monkeypatch.setattr(fitting, "check", lambda *_: flat)
    learner = adapter()
    before = weights(learner)
    fitted = fit(learner, learnt(ordered), ordered[::3], replace(PLAN, patience=2))
    assert fitted.steps == 8 and fitted.best_step == 0 and torch.equal(before, weights(learner))


def test_weights_not_better_than_the_baseline_are_not_kept(ordered: list[CaptionedClip]) -> None:
    parts = learnt(ordered), ordered[::3]
    first = fit(adapter(), *parts, PLAN)
    learner = adapter()
    before = weights(learner)
    assert first.best_step and first.best.reciprocal > first.before.reciprocal
    again = fit(learner, *parts, PLAN, baseline=first.best)
    assert again.best_step == 0 and again.steps == PLAN.steps and torch.equal(before, weights(learner))


def test_untrained_learner_equals_the_model(ordered: list[CaptionedClip]) -> None:
    frames = [c.load() for c in ordered[:3]]
    mean = np.stack([f.mean(0) / np.linalg.norm(f.mean(0)) for f in frames])
    for learner in (adapter(), TemporalHead("tdb", known())):
        np.testing.assert_allclose(learner.clip_vectors(frames).detach().numpy(), mean, atol=1e-5)
        np.testing.assert_allclose(learner.text_vectors(["Topic  1"]).detach().numpy()[0], np.eye(8)[1], atol=1e-6)
