"""OpenTimelineIO (extra `export`): a track of pictures and one of sound, times in each file's own frames."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vsearch.errors import InputError
from vsearch.export.timecode import EDITING_RATES, editing_rate
from vsearch.export.timeline_plan import Timeline, TimelineEvent
from vsearch.report import readable

if TYPE_CHECKING:
    from types import ModuleType

_MILLISECONDS = Fraction(1000)
"""Ticks a second of files without countable frames."""


def otio(timeline: Timeline) -> str:
    """JSON of OpenTimelineIO. Raises InputError where the library is not installed."""
    try:
        import opentimelineio
    except ImportError as error:
        raise InputError("OpenTimelineIO is not installed: pip install 'vsearch[export]'.") from error
    made = opentimelineio.schema.Timeline(name=readable(timeline.name))
    kinds = {"Video": [event.material.has_pictures for event in timeline.events]}
    kinds["Audio"] = [event.material.channels > 0 for event in timeline.events]
    for kind, there in kinds.items():
        if not any(there):
            continue
        track = opentimelineio.schema.Track(name=kind, kind=kind)
        for event, present in zip(timeline.events, there, strict=True):
            track.append(_clip(opentimelineio, event) if present else _gap(opentimelineio, event))
        made.tracks.append(track)
    text: str = opentimelineio.adapters.write_to_string(made, "otio_json")
    return text + "\n"


def _clip(library: ModuleType, event: TimelineEvent) -> Any:
    first = event.first
    length = max(Fraction(max(0.0, event.material.duration - event.material.first)), event.end)
    media = library.schema.ExternalReference(
        target_url=event.hit.video.as_uri(), available_range=_range(library, event, first, first + length)
    )
    media.name = readable(event.hit.video.name)
    clip = library.schema.Clip(
        name=readable(event.hit.video.stem),
        media_reference=media,
        source_range=_range(library, event, first + event.start, first + event.end),
        metadata={"vsearch": _facts(event)},
    )
    best = Fraction(event.hit.best_time) - Fraction(event.material.first)
    if event.start <= best < event.end and event.material.has_pictures:
        at = first + best * _unit(event) // 1 / _unit(event)
        marked = _range(library, event, at, at + 1 / _unit(event))
        clip.markers.append(library.schema.Marker(name="best", marked_range=marked))
    return clip


def _gap(library: ModuleType, event: TimelineEvent) -> Any:
    return library.schema.Gap(source_range=_range(library, event, Fraction(0), event.end - event.start))


def _facts(event: TimelineEvent) -> dict[str, Any]:
    hit = event.hit
    words = [readable(line.text) for line in hit.segments]
    return {"rank": hit.rank, "score": hit.score, "start": hit.start, "end": hit.end, "words": words}


def _unit(event: TimelineEvent) -> Fraction:
    """Ticks a second: the file's own frames, where programs have such a rate."""
    rate = event.source_rate
    if rate is None or rate >= min(EDITING_RATES):
        return rate or _MILLISECONDS
    made = editing_rate(rate)
    return made if (made / rate).denominator == 1 else _MILLISECONDS


def _range(library: ModuleType, event: TimelineEvent, start: Fraction, end: Fraction) -> Any:
    unit = _unit(event)
    begin, ticks = round(start * unit), round((end - start) * unit)
    time = library.opentime.RationalTime
    return library.opentime.TimeRange(time(begin, float(unit)), time(ticks, float(unit)))
