"""Utterances out of probabilities: what is kept, what is cut, and that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from vsearch.models.protocols import SAMPLE_RATE, AudioBlock
from vsearch.models.voice import STEP, Samples, VoiceOptions, utterances


class Loud:
    """Takes whatever is loud for a voice."""

    calls = 0

    def __init__(self) -> None:
        type(self).calls += 1

    def __call__(self, samples: Samples) -> Samples:
        return np.abs(samples.reshape(-1, STEP)).max(axis=1).astype(np.float32)


def sound(*parts: tuple[float, float]) -> Samples:
    """(seconds, loudness) one after the other."""
    return np.concatenate([np.full(round(s * SAMPLE_RATE), level, np.float32) for s, level in parts])


def blocks(samples: Samples, size: float = 1.3, start: float = 0.0) -> Iterator[AudioBlock]:
    step = round(size * SAMPLE_RATE)
    for at in range(0, len(samples), step):
        yield AudioBlock(start + at / SAMPLE_RATE, samples[at : at + step])


def spans(found: list[AudioBlock]) -> list[tuple[float, float]]:
    return [(block.start, block.end) for block in found]


STEP_SECONDS = STEP / SAMPLE_RATE


@pytest.mark.parametrize("size", [0.01, 0.5, 1.3, 60.0])
def test_speech_is_kept_with_a_little_around_it_however_it_arrives(size: float) -> None:
    samples = sound((2, 0), (1.5, 1), (0.3, 0), (1, 1), (4, 0), (2, 1), (3, 0))
    found = spans(list(utterances(blocks(samples, size), Loud)))
    expected = [(1.75, 5.05), (8.55, 11.05)]
    assert len(found) == 2
    for (start, end), (first, last) in zip(found, expected, strict=True):
        assert start == pytest.approx(first, abs=2 * STEP_SECONDS)
        assert end == pytest.approx(last, abs=2 * STEP_SECONDS)


def test_silence_and_clicks_are_nothing() -> None:
    assert list(utterances(blocks(sound((20, 0))), Loud)) == []
    assert list(utterances(blocks(sound((1, 0), (0.05, 1), (2, 0))), Loud)) == []
    assert list(utterances([], Loud)) == []


def test_a_long_talk_is_cut_where_it_is_quietest_and_nothing_is_lost() -> None:
    samples = sound((18, 1), (0.1, 0.6), (30, 1), (1, 0))
    found = list(utterances(blocks(samples), Loud))
    assert found[0].end == pytest.approx(18.05 + 0.25, abs=0.2)
    assert all(block.end - block.start <= VoiceOptions().longest + 2 * STEP_SECONDS for block in found)
    assert found[-1].end == pytest.approx(48.35, abs=0.1)
    for before, after in pairwise(found):
        assert after.start == pytest.approx(before.end)


def test_sound_that_ends_in_the_middle_of_a_word_is_kept() -> None:
    (found,) = utterances(blocks(sound((1, 0), (1, 1))), Loud)
    assert found.end == pytest.approx(2.0, abs=STEP_SECONDS)


def test_a_gap_in_the_sound_is_no_silence() -> None:
    Loud.calls = 0
    parts = [*blocks(sound((1, 1))), *blocks(sound((1, 1)), start=100.0)]
    found = spans(list(utterances(parts, Loud)))
    assert [round(start) for start, _ in found] == [0, 100]
    assert Loud.calls == 2


def test_what_is_handed_out_is_the_sound_itself() -> None:
    samples = sound((1, 0), (1, 1), (2, 0)) * np.linspace(0.6, 1, 4 * SAMPLE_RATE, dtype=np.float32)
    (found,) = utterances(blocks(samples, 0.37), Loud)
    at = round(found.start * SAMPLE_RATE)
    assert (found.samples == samples[at : at + len(found.samples)]).all()
