"""One clock for all tracks: what was recorded together stays together, wherever the file's own clock jumps to."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vsearch.video.clock import Clock

TICK = Fraction(1, 90_000)
PICTURES, SOUND, WORDS = 0, 1, 2


@dataclass(frozen=True)
class Packet:
    """What a clock asks of a packet."""

    stream_index: int
    true: float
    """Seconds since the beginning of the film: what its timestamps should come to."""
    dts: int | None
    pts: int
    duration: int
    time_base: Fraction = TICK


def packet(track: int, true: float, raw: float, lasts: float, shown: float | None = None) -> Packet:
    dts = round(raw / TICK)
    return Packet(track, true, dts, dts if shown is None else round(shown / TICK), round(lasts / TICK))


def recording(
    start: float, clock: float, seconds: float, *, lag: float = 0.3, early: float = 0.0, fps: float = 25.0
) -> list[Packet]:
    """Packets of one recording that begins at `start` of the film and at `clock` of its own clock, in the order of the
    file. lag: seconds by which sound comes later in the file than pictures of the same time. early: seconds of pictures
    before the first sound."""
    pictures = [packet(PICTURES, start + n / fps, clock + n / fps, 1 / fps) for n in range(round(seconds * fps))]
    blocks = range(round((seconds - early) / 0.024))
    sound = [packet(SOUND, start + early + n * 0.024, clock + early + n * 0.024, 0.024) for n in blocks]
    return sorted([*pictures, *sound], key=lambda one: one.true + (lag if one.stream_index == SOUND else 0.0))


def shown(clock: Clock, packets: list[Packet]) -> list[tuple[Packet, float]]:
    return [(one, float(one.pts * TICK) + clock.shift(one)) for one in packets]


def both(jumps: bool = True) -> Clock:
    return Clock(jumps=jumps, pictures=[PICTURES], sound=[SOUND])


def late_by(packets: list[tuple[Packet, float]], track: int) -> list[float]:
    return [time - one.true for one, time in packets if one.stream_index == track]


JUMPS = {"ahead": 600.0, "back": -4.0, "far back": -3000.0, "an hour ahead": 3600.0, "a little back": -0.5}


@pytest.mark.parametrize("lag", [0.0, 0.7, -0.7])
@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_pictures_and_sound_jump_together(jump: float, lag: float) -> None:
    """lag below 0: sound comes first in the file, and so does its jump."""
    packets = recording(0, 4000, 4, lag=lag) + recording(4, 4004 + jump, 4, lag=lag)
    found = shown(both(), packets)
    for track in (PICTURES, SOUND):
        assert late_by(found, track) == pytest.approx([4000.0] * len(late_by(found, track)), abs=0.05)
    apart = {round(time - one.true, 3) for one, time in found[len(found) // 2 + 60 :]}
    assert len(apart) == 1, "pictures and sound of one recording are moved by the same"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 90_000) | st.floats(0, 20), st.floats(3.5, 8.0), st.floats(0.0, 0.5)),
        min_size=1,
        max_size=6,
    ),
    st.floats(-1.0, 1.0),
)
@example([(0.0, 4.5, 0.0), (15.0, 8.0, 0.0), (12.0, 4.0, 0.0)], 0.0)  # returns to where the first clock would be
def test_any_number_of_recordings(parts: list[tuple[float, float, float]], lag: float) -> None:
    packets, start = [], 0.0
    for clock, seconds, early in parts:
        packets += recording(start, clock, round(seconds * 25) / 25, lag=lag, early=early)
        start += round(seconds * 25) / 25
    found = shown(both(), packets)
    pictures = [time for one, time in found if one.stream_index == PICTURES]
    assert all(-0.061 < after - before < 10.1 for before, after in pairwise(pictures))
    start = 0.0
    for _, seconds, _ in parts:
        inside = [
            (one, time) for one, time in found if start + 1.7 < one.true < start + round(seconds * 25) / 25 - 1e-6
        ]
        apart = {round(time - one.true, 2) for one, time in inside}
        assert max(apart) - min(apart) < 0.11, "pictures and sound that were recorded together"
        start += round(seconds * 25) / 25


def test_a_jump_that_only_one_track_finds_long_enough() -> None:
    packets = recording(0, 100, 4, lag=0.5) + recording(4, 114.01, 4, lag=0.5, early=0.0)
    found = shown(both(), packets)
    apart = {track: late_by(found, track)[-1] for track in (PICTURES, SOUND)}
    assert apart[PICTURES] == pytest.approx(apart[SOUND], abs=1e-3)


def test_one_damaged_timestamp_moves_nothing_but_itself() -> None:
    for jump in (5000.0, -50.0):
        packets = recording(0, 100, 8)
        bad = next(at for at, one in enumerate(packets) if one.true > 3 and one.stream_index == PICTURES)
        one = packets[bad]
        packets[bad] = packet(PICTURES, one.true, 100 + one.true + jump, 0.04)
        found = shown(both(), packets)
        del found[bad]
        assert {round(time - one.true, 3) for one, time in found} == {100.0}


def test_what_other_tracks_fill_is_no_jump() -> None:
    sound = [packet(SOUND, n * 0.25, 50 + n * 0.25, 0.25) for n in range(3000)]
    pictures = [packet(PICTURES, at, 50 + at, 0.04) for at in (0.0, 0.04, 700.0, 700.04)]
    packets = sorted([*pictures, *sound], key=lambda one: one.true)
    for jumps in (True, False):
        clock = both(jumps)
        shown(clock, packets)
        assert not clock.moved


@pytest.mark.parametrize(("gap", "jumps", "moved"), [(50, True, False), (600, True, True), (5000, False, False)])
def test_pictures_alone_may_be_held(gap: float, jumps: bool, moved: bool) -> None:
    clock = Clock(jumps=jumps, pictures=[PICTURES])
    shown(clock, [packet(PICTURES, at, at, 0.04) for at in (0.0, 0.04, gap, gap + 0.04)])
    assert clock.moved is moved


def test_where_the_format_keeps_time_both_tracks_must_stop_for_more_than_an_hour() -> None:
    for gap, moved in ((1000.0, False), (5000.0, True)):
        clock = both(jumps=False)
        shown(clock, recording(0, 0, 4) + recording(4, 4 + gap, 4))
        assert clock.moved is moved


def test_slow_pictures_that_are_reordered_are_no_jump() -> None:
    """Decoded well before they are shown: a picture each 5 s, three of which wait for a fourth."""
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11]
    packets = [packet(PICTURES, 5.0 * n, 5.0 * (at - 2), 5.0, 5.0 * n) for at, n in enumerate(order)]
    clock = Clock(jumps=True, pictures=[PICTURES])
    assert [time for _, time in shown(clock, packets)] == pytest.approx([5.0 * n for n in order])
    assert not clock.moved


def test_a_decoding_time_that_was_made_up_does_not_hide_a_jump() -> None:
    """In MPEG program streams, the first picture after a jump is said to be decoded right after the one before it."""
    packets = recording(0, 0, 4, lag=0.0) + recording(4, 600, 4, lag=0.0)
    at = next(at for at, one in enumerate(packets) if one.pts * TICK >= 600 and one.stream_index == PICTURES)
    packets[at] = packet(PICTURES, 4.0, 4.0, 0.04, 600.0)
    assert late_by(shown(both(), packets), PICTURES) == pytest.approx([0.0] * 200, abs=0.05)


def test_words_go_with_the_pictures_of_their_recording() -> None:
    packets = recording(0, 700, 4)
    for start in (4.0, 8.0):
        packets += recording(start, 700, 4)
    for start in (0.0, 4.0, 8.0):
        place = next(at for at, one in enumerate(packets) if one.true >= start + 2.5)
        packets.insert(place, packet(WORDS, start + 2.5, 702.5, 1.0))
    found = shown(both(), packets)
    assert late_by(found, WORDS) == pytest.approx([700.0] * 3, abs=0.05)


def test_times_of_display_tell_no_jump() -> None:
    order = [0, 16, 8, 4, 12]
    packets = [Packet(PICTURES, n / 25, None, round(n / 25 / TICK), 3600) for n in order]
    clock = both()
    assert [time for _, time in shown(clock, packets)] == pytest.approx([n / 25 for n in order])
    assert not clock.moved
