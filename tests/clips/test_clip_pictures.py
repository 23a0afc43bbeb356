"""Clips that are encoded anew, and single pictures, look as the source does."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.cards import ASPECTS, CODINGS, FIELDS, HDR, ORIENTATIONS, Card, error_of, named, read_card, write_card
from vsearch.clips.kinds import ENCODERS, plays_in_browser
from vsearch.clips.single import write_still
from vsearch.clips.write import write_clip
from vsearch.indexer.decode import DecodeRequest, find_decoder
from vsearch.indexer.probe import Probed, probe_video
from vsearch.media import Pixels
from vsearch.models.protocols import FrameSize
from vsearch.video.containers import open_video

NEAR = 8
"""255ths: what decoding, encoding and scaling cost, twice."""


def first_picture(path: Path) -> Pixels:
    """[H, W, 3] as a player shows it."""
    probed = probe_video(path)
    assert isinstance(probed, Probed)
    size = FrameSize(probed.info.width, probed.info.height)
    return next(iter(find_decoder("pyav")(DecodeRequest(path, probed, size)))).pixels()


def tags(path: Path) -> tuple[int, ...]:
    """Range, matrix, primaries, transfer function as H.273 counts them."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.color_range, context.colorspace, context.color_primaries, context.color_trc


@pytest.mark.parametrize("how", ["exact", "browser", "copy"])
@pytest.mark.parametrize("card", [*ORIENTATIONS, *ASPECTS, *CODINGS], ids=named)
def test_it_looks_as_the_source_does(tmp_path: Path, card: Card, how: str) -> None:
    source = write_card(tmp_path, card)
    clip = write_clip(source, tmp_path / "clip", 0.08, 0.3, how)
    shown = first_picture(tmp_path / "clip")
    assert shown.shape[1::-1] == card.shown
    assert error_of(shown) < NEAR
    with av.open(str(tmp_path / "clip")) as container:
        aspect = container.streams.video[0].sample_aspect_ratio
        assert clip.copied or next(container.decode(video=0)).side_data.get("DISPLAYMATRIX") is None  # type: ignore[call-overload]
    assert clip.copied or how == "exact" or aspect in (None, 1)
    said, matrix, *_ = tags(tmp_path / "clip")
    assert clip.copied or (said == 1 and matrix in (1, 2, 5, 6, 9)), "limited range, a matrix that players know"
    if not clip.copied and card.pix_fmt.startswith("yuv4"):
        assert tags(tmp_path / "clip")[2:] == tags(source)[2:]


@pytest.mark.parametrize("card", [Card(full=True), Card(codec="ffv1", pix_fmt="gbrp10le", name="card.mkv")], ids=named)
def test_without_an_encoder_for_h264(tmp_path: Path, card: Card) -> None:
    source = write_card(tmp_path, card)
    write_clip(source, tmp_path / "clip.webm", 0.08, 0.3, "exact", encoders=ENCODERS[1])
    assert error_of(first_picture(tmp_path / "clip.webm")) < NEAR
    assert tags(tmp_path / "clip.webm")[:2] == (1, 1)


@pytest.mark.parametrize("card", HDR, ids=named)
def test_high_dynamic_range_is_mapped_for_browsers_and_kept_in_exact_clips(tmp_path: Path, card: Card) -> None:
    source = write_card(tmp_path, card)
    write_clip(source, tmp_path / "browser", 0.08, 0.3, "browser")
    assert tags(tmp_path / "browser") == (1, 1, 1, 1)
    shown = first_picture(tmp_path / "browser")
    assert 0.8 < shown.std() / FIELDS.std() < 1.2 and np.abs(read_card(shown) - FIELDS).mean() < 30
    write_clip(source, tmp_path / "exact", 0.08, 0.3, "exact")
    assert tags(tmp_path / "exact") == tags(source)
    with av.open(str(tmp_path / "exact")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le", "eight bits are too few for it"
    assert np.abs(read_card(first_picture(tmp_path / "exact")) - read_card(shown)).max() < NEAR


@pytest.mark.parametrize("card", [ORIENTATIONS[5], ASPECTS[1], CODINGS[1], CODINGS[-1], HDR[1]], ids=named)
def test_a_single_picture(tmp_path: Path, card: Card) -> None:
    write_still(write_card(tmp_path, card), tmp_path / "still.jpg", 0.1, 1280)
    picture = np.asarray(Image.open(tmp_path / "still.jpg"))
    assert picture.shape[1::-1] == pytest.approx(card.shown, abs=1), "even, for it is made as a clip is"
    assert np.abs(read_card(picture) - FIELDS).mean() < (30 if card.transfer else 4)


def test_what_is_mirrored_is_encoded_for_browsers(tmp_path: Path) -> None:
    """Firefox turns pictures, but mirrors none."""
    for card in ORIENTATIONS:
        source = write_card(tmp_path, card)
        with open_video(source) as container:
            assert plays_in_browser(container, source) is not card.mirrored
        assert write_clip(source, tmp_path / "clip", 0.0, 0.3, "browser").copied is not card.mirrored
