"""Which pictures are read, and how what they say becomes lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.indexer.test_sample import Frame
from tests.signs import Sign, put_up
from vsearch.indexer.decode import large_size
from vsearch.indexer.keyframes import KeyPictures, frames_at, from_jpeg, key_moments, to_jpeg
from vsearch.indexer.ocr_segments import OcrSegments
from vsearch.indexer.spool import Spool
from vsearch.media import Box
from vsearch.models.protocols import RecognisedText

HERE, THERE = Box(0.1, 0.1, 0.5, 0.2), Box(0.1, 0.7, 0.5, 0.8)


def seen(text: str, box: Box = HERE, confidence: float = 0.9) -> RecognisedText:
    return RecognisedText(text, confidence, box)


def lines(*pictures: tuple[float, list[RecognisedText] | None]) -> list[tuple[float, float, str]]:
    """Two scenes, [0, 6) and [6, 12)."""
    merged = OcrSegments([(0.0, 6.0), (6.0, 12.0)])
    for moment, texts in pictures:
        merged.add(moment, texts)
    return [(line.start, line.end, line.text) for line in merged.finish()]


def test_a_line_begins_with_its_scene_and_ends_where_it_is_missed() -> None:
    assert lines((0.5, [seen("exit")]), (3.5, []), (6.5, [])) == [(0.0, 3.5, "exit")]
    assert lines((0.5, []), (3.5, [seen("exit")]), (6.5, [])) == [(3.5, 6.0, "exit")]


def test_the_same_words_in_the_same_place_are_one_line() -> None:
    pictures = [(0.5, [seen("Breaking news")]), (3.5, [seen("BREAKING NEWS.")]), (6.5, [seen("Breaking  newz")])]
    assert lines(*pictures) == [(0.0, 12.0, "Breaking news")]


def test_the_surest_spelling_is_kept() -> None:
    pictures = [(0.5, [seen("0ld Kent Road", confidence=0.7)]), (3.5, [seen("Old Kent Road", confidence=0.9)])]
    (line,) = lines(*pictures)
    assert line == (0.0, 6.0, "Old Kent Road")


def test_other_words_or_another_place_are_another_line() -> None:
    assert lines((0.5, [seen("exit")]), (3.5, [seen("entrance")])) == [(0.0, 3.5, "exit"), (3.5, 6.0, "entrance")]
    assert lines((0.5, [seen("exit")]), (3.5, [seen("exit", THERE)])) == [(0.0, 3.5, "exit"), (3.5, 6.0, "exit")]
    both = [(0.5, [seen("exit", THERE), seen("exit", HERE)])]
    assert lines(*both) == [(0.0, 6.0, "exit"), (0.0, 6.0, "exit")]


def test_a_picture_that_did_not_change_still_says_the_same() -> None:
    assert lines((0.5, [seen("exit")]), (3.5, None), (6.5, None), (9.5, [])) == [(0.0, 9.5, "exit")]
    assert lines((0.5, None)) == []


def test_a_line_that_was_missed_once_goes_on() -> None:
    merged = OcrSegments([(0.0, 20.0)])
    for moment, texts in [(0.5, [seen("exit")]), (3.5, []), (6.5, [seen("exit")]), (9.5, []), (15.5, [seen("exit")])]:
        merged.add(moment, texts)
    assert [(line.start, line.end) for line in merged.finish()] == [(0.0, 9.5), (15.5, 20.0)]


def test_when_pictures_are_taken() -> None:
    assert key_moments(2.0, 10.0) == [2.5, 5.5, 8.5]
    assert key_moments(0.0, 0.5) == [0.25] and key_moments(0.0, 0.6) == [0.5]


def test_the_frame_that_is_on_screen() -> None:
    frames = [Frame(at / 10, (at + 1) / 10) for at in range(5, 20)]
    drawn = iter(frames)
    got = [(moment, frame.time) for moment, frame in frames_at(drawn, [0.1, 0.75, 0.78, 1.0]) if frame]
    assert got == [(0.75, 0.7), (0.78, 0.7), (1.0, 1.0)]
    assert next(drawn).time == 1.2  # nothing was decoded behind the last
    assert [moment for moment, frame in frames_at(frames, [1.95, 2.5]) if frame] == [1.95]


def test_pictures_that_look_the_same_are_sent_once() -> None:
    rng = np.random.default_rng(0)
    scene = rng.integers(90, 110, (360, 640, 3), np.uint8)
    noisy = np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
    word = put_up([Sign("no parking", place=(0.1, 0.85, 0.25, 0.9))])(scene, 0.0)
    keys = KeyPictures()
    assert [bool(keys.push(picture)) for picture in (scene, noisy, scene, word, word, scene)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    assert bool(keys.push(scene[:100])) and bool(keys.push(scene[:3, :5]))
    assert np.abs(from_jpeg(to_jpeg(word)).astype(int) - word).mean() < 6  # noise is the worst case


@pytest.mark.parametrize(
    ("source", "large"),
    [((1920, 1080), (960, 540)), ((320, 240), (320, 240)), ((1000, 4000), (240, 960)), ((9000, 2), (960, 1))],
)
def test_large_pictures_keep_their_aspect_and_are_never_enlarged(
    source: tuple[int, int], large: tuple[int, int]
) -> None:
    assert large_size(*source) == large


def test_the_spool_gives_back_what_was_complete() -> None:
    spool = Spool(limit=10)
    assert spool.frames("a") is None
    for key in ("a", "b"):
        spool.begin(key)
        spool.add(key, 1.0, b"1234")
        spool.add(key, 2.0, b"")
    spool.complete("a")
    assert list(spool.frames("a") or ()) == [(1.0, b"1234"), (2.0, b"")]
    assert spool.frames("b") is None
    spool.add("b", 3.0, b"too long")
    spool.complete("b")
    assert spool.frames("b") is None
    folder = Path(spool._folder.name) if spool._folder else Path()
    assert len(list(folder.iterdir())) == 1
    spool.begin("a")  # another decoder begins again
    spool.add("a", 1.0, b"9876543210")
    spool.complete("a")
    assert list(spool.frames("a") or ()) == [(1.0, b"9876543210")]
    spool.close()
    assert not folder.exists() and spool.frames("a") is None
