"""SMPTE labels: the ten-minute rule, and that nothing is lost on the way there and back."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.export.timecode import can_drop, label_rate, to_frame, to_label

NTSC = Fraction(30_000, 1001)
RATES = [Fraction(24_000, 1001), Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50), 2 * NTSC, Fraction(60)]


@pytest.mark.parametrize(
    ("frame", "label"),
    [
        (0, "00:00:00;00"),
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),  # ;00 and ;01 are left out
        (17981, "00:09:59;29"),
        (17982, "00:10:00;00"),  # but not in a tenth minute
        (107892, "01:00:00;00"),
        (2589408, "00:00:00;00"),  # a day
    ],
)
def test_drop_frame_at_29_97(frame: int, label: str) -> None:
    assert to_label(frame, NTSC, drop=True) == label


def test_drop_frame_at_59_94_leaves_four_out() -> None:
    assert to_label(3600, 2 * NTSC, drop=True) == "00:01:00;04"
    assert to_frame("00:10:00;00", 2 * NTSC) == 35964


def test_without_drop_frame_labels_count_whole_frames() -> None:
    assert to_label(86400, Fraction(24_000, 1001)) == "01:00:00:00"  # 3603.6 seconds
    assert to_frame("01:00:00:00", NTSC) == 108_000


@given(st.sampled_from([NTSC, 2 * NTSC]), st.integers(0, 5_178_815))
def test_drop_frame_there_and_back(rate: Fraction, frame: int) -> None:
    frame %= 2_589_408 if rate == NTSC else 5_178_816
    label = to_label(frame, rate, drop=True)
    assert to_frame(label, rate) == frame
    assert not (label[6:8] == "00" and int(label[3:5]) % 10 and int(label[9:]) < round(rate) // 15)
    hours, minutes, seconds, rest = int(label[:2]), int(label[3:5]), int(label[6:8]), int(label[9:])
    clock = hours * 3600 + minutes * 60 + seconds + rest / round(rate)
    assert abs(clock - frame / float(rate)) < 0.15  # it keeps up with the clock, all day


@given(st.sampled_from(RATES), st.integers(0, 2_000_000))
def test_non_drop_there_and_back(rate: Fraction, frame: int) -> None:
    frame %= 86_400 * round(rate)
    assert to_frame(to_label(frame, rate), rate) == frame


@pytest.mark.parametrize("label", ["", "1:2", "00:01:00;00", "00:00:00:30", "24:00:00:00", "00:60:00:00", "x"])
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(ValueError, match=r"time code|leaves"):
        to_frame(label, NTSC)


def test_only_two_rates_have_drop_frame() -> None:
    assert [rate for rate in RATES if can_drop(rate)] == [NTSC, 2 * NTSC]
    with pytest.raises(ValueError, match="no drop frame"):
        to_label(0, Fraction(25), drop=True)
    assert label_rate(Fraction(120)) == 60 and label_rate(Fraction(240_000, 1001)) == 2 * NTSC
