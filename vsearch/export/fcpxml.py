"""FCPXML 1.8, the exchange format of Final Cut Pro, which DaVinci Resolve reads too. All times are rational seconds.

Element and attribute names: Apple's FCPXML reference. Version 1.8 is the last whose assets name their file themselves,
and what the most programs read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from vsearch.clips.material import Material
from vsearch.export.plan import Event, Timeline
from vsearch.export.timecode import to_frame
from vsearch.report import readable

_FALLBACK_SIZE = (1920, 1080)


def fcpxml(timeline: Timeline) -> bytes:
    """UTF-8, with its declaration."""
    root = ET.Element("fcpxml", version="1.8")
    resources = ET.SubElement(root, "resources")
    size = next(((e.material.width, e.material.height) for e in timeline.events if e.material.has_pictures), None)
    _add_format(resources, "r1", timeline.rate, *(size or _FALLBACK_SIZE))
    assets = _add_assets(resources, timeline)
    library = ET.SubElement(root, "library")
    event = ET.SubElement(library, "event", name=_text(timeline.name))
    project = ET.SubElement(event, "project", name=_text(timeline.name))
    whole = timeline.frames / timeline.rate
    code = "DF" if timeline.drop else "NDF"
    sequence = ET.SubElement(project, "sequence", format="r1", duration=_time(whole), tcStart="0s", tcFormat=code)
    spine = ET.SubElement(sequence, "spine")
    for one in timeline.events:
        _add_clip(spine, one, timeline, assets[one.hit.video])
    ET.indent(root)
    # A document type without a subset, as Final Cut writes it.
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'
    body: bytes = ET.tostring(root, encoding="utf-8")
    return head + body + b"\n"


def _add_format(resources: ET.Element, name: str, rate: Fraction | None, width: int, height: int) -> None:
    made = ET.SubElement(resources, "format", id=name, width=str(width), height=str(height))
    if rate is None:
        made.set("name", "FFVideoFormatRateUndefined")
    else:
        made.set("frameDuration", _time(1 / rate))


def _add_assets(resources: ET.Element, timeline: Timeline) -> dict[Path, str]:
    """An asset a file, and a format a kind of pictures."""
    formats: dict[tuple[Fraction | None, int, int], str] = {}
    assets: dict[Path, str] = {}
    for event in timeline.events:
        path, material = event.hit.video, event.material
        if path in assets:
            continue
        assets[path] = name = f"a{len(assets) + 1}"
        fields = {"id": name, "name": _text(path.stem), "src": path.as_uri(), "start": _time(_first(event))}
        longest = max(one.end for one in timeline.events if one.hit.video == path)
        fields["duration"] = _time(max(_length(material), longest))
        if material.has_pictures:
            kind = (event.source_rate, material.width, material.height)
            if kind not in formats:
                formats[kind] = f"r{len(formats) + 2}"
                _add_format(resources, formats[kind], *kind)
            fields |= {"hasVideo": "1", "format": formats[kind]}
        if material.channels:
            fields |= {
                "hasAudio": "1",
                "audioSources": "1",
                "audioChannels": str(material.channels),
                "audioRate": str(material.sample_rate),
            }
        ET.SubElement(resources, "asset", fields)
    return assets


def _add_clip(spine: ET.Element, event: Event, timeline: Timeline, asset: str) -> None:
    fields = {
        "ref": asset,
        "name": _text(event.hit.video.stem),
        "offset": _time(event.offset / timeline.rate),
        "start": _time(_first(event) + event.start),
        "duration": _time(event.frames / timeline.rate),
        "tcFormat": "DF" if timeline.drop else "NDF",
    }
    clip = ET.SubElement(spine, "asset-clip", fields)
    best = Fraction(event.hit.best_time) - Fraction(event.material.first)
    if event.start <= best < event.end:
        frame = best * timeline.rate // 1 / timeline.rate
        at = _time(_first(event) + max(event.start, frame))
        note = f"rank {event.hit.rank}, score {event.hit.score:.3f}"
        ET.SubElement(clip, "marker", start=at, duration=_time(1 / timeline.rate), value="best", note=note)


def _first(event: Event) -> Fraction:
    """Seconds that the file's own time code gives its first frame: Final Cut counts from there."""
    rate = event.source_rate
    if rate is not None and event.material.time_code:
        with suppress(ValueError):
            return to_frame(event.material.time_code, rate) / rate
    return Fraction(0)


def _length(material: Material) -> Fraction:
    seconds = Fraction(max(0.0, material.duration - material.first))
    rate = material.rate if material.steady else None
    unit = rate or Fraction(1000)
    return Fraction(round(seconds * unit)) / unit


def _time(seconds: Fraction) -> str:
    """1001/24000s"""
    if seconds.denominator == 1:
        return f"{seconds.numerator}s"
    return f"{seconds.numerator}/{seconds.denominator}s"


def _text(text: str) -> str:
    """XML has no way to write control characters and lone surrogates; ElementTree escapes the rest."""
    return readable(text)
