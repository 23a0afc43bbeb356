"""The curve by which high dynamic range is mapped to an ordinary screen."""

from __future__ import annotations

import numpy as np
import pytest

from vsearch.video.colour import tone_map

PQ, HLG = 16, 18


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_more_light_is_never_darker_and_grey_stays_grey(transfer: int) -> None:
    ramp = np.linspace(0, 65535, 4096).astype(np.uint16)
    shown = tone_map(np.repeat(ramp[None, :, None], 3, 2), transfer, 9)[0].astype(int)
    assert shown[0].max() == 0 and shown[-1].min() == 255
    assert (np.diff(shown, axis=0) >= 0).all() and np.ptp(shown, axis=1).max() <= 1


@pytest.mark.parametrize(("nits", "code"), [(0.0, 0), (20.0, 113), (100.0, 213), (203.0, 238), (1000.0, 255)])
def test_light_in_cd_m2(nits: float, code: int) -> None:
    power = (nits / 10_000) ** 0.1593017578125
    stored = round(65535 * ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)
    shown = tone_map(np.full((1, 1, 3), stored, np.uint16), PQ, 9)
    assert np.abs(shown.astype(int) - code).max() <= 2
