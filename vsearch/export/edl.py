"""EDL as CMX 3600 has it: the list that every editing program reads. One rate, 999 events, no names but in comments."""

from __future__ import annotations

import math
from contextlib import suppress
from fractions import Fraction

from vsearch.errors import InputError
from vsearch.export.timecode import can_drop, nominal, to_frame, to_label
from vsearch.export.timeline_plan import Timeline, TimelineEvent
from vsearch.report import readable

MOST_EVENTS = 999
_RECORD_START = "01:00:00:00"
"""Where timelines begin by custom."""


def edl(timeline: Timeline) -> str:
    """Raises InputError where there are more events than the format has numbers."""
    if len(timeline.events) > MOST_EVENTS:
        raise InputError(f"An EDL holds {MOST_EVENTS} events at most, not {len(timeline.events)}: ask for fewer (-k).")
    lines = [
        f"TITLE: {_line(timeline.name)[:70]}",
        _mode(drop=timeline.drop),
        "",
    ]
    begin = to_frame(_RECORD_START, timeline.rate) if not timeline.drop else to_frame("01:00:00;00", timeline.rate)
    drop = timeline.drop
    for number, event in enumerate(timeline.events, start=1):
        source, drops = _source_start(event, timeline)
        if drops != drop:
            # The first mode is that of the record times and of all sources until another one comes.
            lines.append(_mode(drop=drops))
            drop = drops
        lines += _event(number, event, timeline, begin, source, drop=drop)
    return "\n".join(lines) + "\n"


def _mode(*, drop: bool) -> str:
    return f"FCM: {'DROP FRAME' if drop else 'NON-DROP FRAME'}"


def _event(number: int, event: TimelineEvent, timeline: Timeline, begin: int, source: int, *, drop: bool) -> list[str]:
    rate = timeline.rate
    record = begin + event.offset
    times = [
        to_label(source, rate, drop=drop),
        to_label(source + event.frames, rate, drop=drop),
        to_label(record, rate, drop=timeline.drop),
        to_label(record + event.frames, rate, drop=timeline.drop),
    ]
    lines = [
        f"{number:03d}  AX       {_tracks(event):<5} C        {' '.join(times)}",
        f"* FROM CLIP NAME: {_line(event.hit.video.name)}",
        f"* SOURCE FILE: {_line(str(event.hit.video))}",
    ]
    own = event.source_rate
    if own != rate and event.material.has_pictures:
        told = f"{float(own):.3f}" if own is not None else "VARIABLE"
        lines.append(f"* SOURCE RATE: {told}, FROM {float(event.start):.3f} TO {float(event.end):.3f} S")
    return [*lines, ""]


def _source_start(event: TimelineEvent, timeline: Timeline) -> tuple[int, bool]:
    """The event's first frame in the file's own time code, counted at the timeline's rate, and whether it drops."""
    rate, code, own = timeline.rate, event.material.time_code, event.code_rate
    first, drop = 0, timeline.drop
    with suppress(ValueError):  # what cameras write is not always a time code
        if own is not None and 1 in ((rate / own).numerator, (rate / own).denominator):
            first, drop = math.floor(to_frame(code, own) * rate / own), event.code_drops and can_drop(rate)
        elif own is not None:
            # The label stays: programs fit files of other rates to the timeline by their clock.
            rest = Fraction(int(code[-2:])) * nominal(rate) / nominal(own)
            first, drop = to_frame(f"{code[:-3]}:00", rate) + math.floor(rest), False
    return first + math.floor(event.start * rate + Fraction(1, 2)), drop


def _tracks(event: TimelineEvent) -> str:
    if not event.material.has_pictures:
        return "A"
    return "B" if event.material.channels else "V"


def _line(text: str) -> str:
    """A name may hold line breaks, which would be events of their own."""
    return readable(text)
