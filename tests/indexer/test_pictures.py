"""One contract for every backend: a frame looks as a player shows it. It may refuse a file, not distort it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from indexer.decode import DecodedFrame, DecodeRequest, find_decoder
from indexer.probe import Probed, probe_video
from indexer.stills import stills
from tests.cards import (
    ASPECTS,
    CODINGS,
    FIELDS,
    HDR,
    ORIENTATIONS,
    Card,
    draw_card,
    error_of,
    named,
    read_card,
    write_card,
)
from tests.indexer.test_thumbnails import picture
from vsearch.errors import MediaError
from vsearch.media import Scene
from vsearch.models.base import FrameSize
from vsearch.models.fitting import scale_picture

BACKENDS = ["pyav", "decord"]
NEAR = 6
"""255ths: what encoding and scaling cost."""


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Card], Path]:
    """The file of a card, made when it is first asked for."""

    @cache
    def path_of(name: str, card: Card) -> Path:
        return write_card(tmp_path_factory.mktemp("card"), card)

    return lambda card: path_of(named(card), card)


def first_frame(path: Path, backend: str, size: FrameSize) -> DecodedFrame:
    """Skips the test where the backend refuses the file."""
    probed = probe_video(path)
    assert isinstance(probed, Probed)
    try:
        return next(iter(find_decoder(backend)(DecodeRequest(path, probed, size, large=True))))
    except MediaError:
        assert backend != "pyav"
        pytest.skip("left to PyAV")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("card", [*ORIENTATIONS, *ASPECTS, *CODINGS], ids=named)
def test_what_a_player_shows(cards: Callable[[Card], Path], card: Card, backend: str) -> None:
    probed = probe_video(cards(card))
    assert isinstance(probed, Probed) and (probed.info.width, probed.info.height) == card.shown
    size = FrameSize(96, 96, "crop")
    frame = first_frame(cards(card), backend, size)
    for shown in (frame.thumbnail(), frame.large()):
        assert error_of(shown) < NEAR
        assert shown.shape[1] / shown.shape[0] == pytest.approx(card.shown[0] / card.shown[1], abs=0.01)
    expected = scale_picture(draw_card(*card.shown), size)
    assert np.abs(frame.pixels().astype(float) - expected).mean() < NEAR


@pytest.mark.parametrize("card", [*ORIENTATIONS, *ASPECTS], ids=named)
def test_filters_of_models(cards: Callable[[Card], Path], card: Card) -> None:
    size = FrameSize(96, 96, "crop", "bicubic")
    expected = scale_picture(draw_card(*card.shown), size)
    assert np.abs(first_frame(cards(card), "pyav", size).pixels().astype(float) - expected).mean() < NEAR


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("card", HDR, ids=named)
def test_high_dynamic_range_has_the_contrast_of_the_original(
    cards: Callable[[Card], Path], card: Card, backend: str
) -> None:
    frame = first_frame(cards(card), backend, FrameSize(96, 96))
    for shown in (frame.pixels(), frame.thumbnail(), frame.large(), frame.small()[..., ::-1]):
        assert 0.8 < shown.std() / FIELDS.std() < 1.2
        assert np.abs(read_card(shown) - FIELDS).mean() < 30
        assert np.abs(read_card(shown)[1, 1] - FIELDS[1, 1]).max() < 8, "black stays black"


@pytest.mark.parametrize("card", [ORIENTATIONS[5], ASPECTS[1], HDR[1]], ids=named)
def test_thumbnails_made_later_look_the_same(cards: Callable[[Card], Path], card: Card) -> None:
    ((_, jpeg),) = [item for item in stills(cards(card), [Scene(0.0, 0.4)]) if isinstance(item, tuple)]
    at_once = first_frame(cards(card), "pyav", FrameSize(96, 96)).thumbnail()
    later = picture(jpeg)
    assert later.shape == at_once.shape and np.abs(read_card(later) - read_card(at_once)).max() < NEAR


def test_a_shape_that_cannot_be_meant_is_ignored(tmp_path: Path) -> None:
    probed = probe_video(write_card(tmp_path, Card(aspect=Fraction(1000, 1))))
    assert isinstance(probed, Probed) and (probed.info.width, probed.info.height) == (192, 128)
