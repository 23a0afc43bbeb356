"""One contract for every backend: a frame looks as a player shows it. It may refuse a file, not distort it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

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
from tests.media import COLOURS, DECODERS, Shot, draw
from vsearch.errors import MediaError
from vsearch.indexer.decode import DecodedFrame, DecodeRequest, find_decoder
from vsearch.indexer.probe import Probed, probe_video
from vsearch.indexer.stills import stills
from vsearch.media import Scene
from vsearch.models.fitting import scale_picture
from vsearch.models.protocols import FrameSize

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


@pytest.mark.parametrize("backend", DECODERS)
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


@pytest.mark.parametrize("backend", DECODERS)
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


@dataclass(frozen=True)
class Track:
    """A stream of pictures of one colour."""

    look: str
    pictures: int = 25
    default: bool = True
    cover: bool = False


def write_tracks(path: Path, tracks: Sequence[Track]) -> Path:
    with av.open(str(path), "w") as container:
        streams = []
        for track in tracks:
            stream = container.add_stream("mjpeg" if track.cover else "libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if track.cover else "yuv420p"
            if not track.cover:
                stream.options = {"preset": "ultrafast", "bf": "0"}
            stream.disposition = (
                Disposition.attached_pic if track.cover else Disposition.default if track.default else Disposition(0)
            )
            streams.append(stream)
        for number in range(max(track.pictures for track in tracks)):
            for stream, track in zip(streams, tracks, strict=True):
                if number < track.pictures:
                    picture = draw(Shot(track.look, 1.0), 0.0, (64, 48))
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


CONTAINERS = {
    "the default one comes second": (".mkv", [Track("red", default=False), Track("green")]),
    "the same in mp4": (".mp4", [Track("red", default=False), Track("green")]),
    "the first of two": (".mkv", [Track("green"), Track("red")]),
    "none is the default": (".mkv", [Track("green", default=False), Track("red", default=False)]),
    "a still that is the default": (".mkv", [Track("red", 1), Track("green", default=False)]),
    "a still in mp4": (".mp4", [Track("red", 1), Track("green", default=False)]),
    "a still in a transport stream": (".ts", [Track("red", 1), Track("green")]),
    "cover art first": (".mkv", [Track("red", 1, cover=True), Track("green")]),
    "a still alone": (".mkv", [Track("green", 1)]),
}


@pytest.mark.parametrize("case", CONTAINERS)
@pytest.mark.parametrize("backend", DECODERS)
def test_the_stream_that_a_player_shows(tmp_path: Path, backend: str, case: str) -> None:
    ending, tracks = CONTAINERS[case]
    path = write_tracks(tmp_path / f"v{ending}", tracks)
    shown = first_frame(path, backend, FrameSize(16, 16)).pixels()
    assert np.abs(shown.mean((0, 1)) - COLOURS["green"]).max() < 25
