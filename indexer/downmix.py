"""Sound of several channels as one, without losing what their sum loses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vsearch.models.protocols import SAMPLE_RATE

WINDOW = SAMPLE_RATE // 2
"""Samples that are mixed in one way."""
WEAK = 0.2
"""Of the strongest channel's power: a sum below it has cancelled out, or holds one voice among many silent channels."""

Samples = NDArray[np.float32]


def mono(samples: Samples) -> Samples:
    """float32 [N, C] -> [N]: the sum of the channels at the loudness of one; where they cancel out, one of them.

    Microphones wired in antiphase are silent in the sum, and one voice among many silent channels is faint.
    """
    if samples.shape[1] == 1:
        return samples[:, 0]
    mixed: Samples = samples.sum(axis=1, dtype=np.float32) / np.float32(samples.shape[1] ** 0.5)
    for at in range(0, len(samples), WINDOW):
        channels = samples[at : at + WINDOW]
        powers = np.square(channels).mean(axis=0)
        if np.square(mixed[at : at + WINDOW]).mean() < WEAK * powers.max():
            strong = int(np.flatnonzero(powers >= powers.max() / 2)[0])  # the same one from window to window
            mixed[at : at + WINDOW] = channels[:, strong]
    return mixed
