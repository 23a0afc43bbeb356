"""FCPXML 1.8, the exchange format of Final Cut Pro, which DaVinci Resolve reads too. All times are rational seconds.

Element and attribute names: Apple's FCPXML reference. Version 1.8 is the last whose assets name their file themselves,
and what the most programs read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

from vsearch.clips.material import Material
from vsearch.export.timecode import EDITING_RATES
from vsearch.export.timeline_plan import Timeline, TimelineEvent
from vsearch.report import readable

_FALLBACK_SIZE = (1920, 1080)
_CONFORMED = {
    Fraction(1000 * rate, 1001): text for rate, text in ((24, "23.98"), (30, "29.97"), (48, "47.95"), (60, "59.94"))
}
"""How conform-rate writes the rates that are not whole."""


def fcpxml(timeline: Timeline) -> bytes:
    """UTF-8, with its declaration."""
    root = ET.Element("fcpxml", version="1.8")
    resources = ET.SubElement(root, "resources")
    first = next((event.material for event in timeline.events if event.material.has_pictures), None)
    _add_format(resources, "r1", timeline.rate, first)
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


def _add_format(resources: ET.Element, name: str, rate: Fraction | None, material: Material | None) -> None:
    width, height = (material.width, material.height) if material is not None else _FALLBACK_SIZE
    made = ET.SubElement(resources, "format", id=name, width=str(width), height=str(height))
    if rate is None or rate < min(EDITING_RATES):
        made.set("name", "FFVideoFormatRateUndefined")
    else:
        made.set("frameDuration", _time(1 / rate))
    if material is not None and material.pixel_aspect != 1:
        made.set("paspH", str(material.pixel_aspect.numerator))
        made.set("paspV", str(material.pixel_aspect.denominator))


def _add_assets(resources: ET.Element, timeline: Timeline) -> dict[Path, str]:
    """An asset a file, and a format a kind of pictures."""
    formats: dict[tuple[object, ...], str] = {}
    assets: dict[Path, str] = {}
    for event in timeline.events:
        path, material = event.hit.video, event.material
        if path in assets:
            continue
        assets[path] = name = f"a{len(assets) + 1}"
        fields = {"id": name, "name": _text(path.stem), "src": path.as_uri(), "start": _time(event.first)}
        longest = max(one.end for one in timeline.events if one.hit.video == path)
        fields["duration"] = _time(max(_length(material), longest))
        if material.has_pictures:
            kind = (event.source_rate, material.width, material.height, material.pixel_aspect)
            if kind not in formats:
                formats[kind] = f"r{len(formats) + 2}"
                _add_format(resources, formats[kind], event.source_rate, material)
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


def _add_clip(spine: ET.Element, event: TimelineEvent, timeline: Timeline, asset: str) -> None:
    fields = {
        "ref": asset,
        "name": _text(event.hit.video.stem),
        "offset": _time(event.offset / timeline.rate),
        "start": _time(event.first + event.start),
        "duration": _time(event.frames / timeline.rate),
        "tcFormat": "DF" if event.code_drops else "NDF",
    }
    clip = ET.SubElement(spine, "asset-clip", fields)
    _add_conform(clip, event, timeline)
    best = Fraction(event.hit.best_time) - Fraction(event.material.first)
    if event.start <= best < event.end:
        frame = best * timeline.rate // 1 / timeline.rate
        at = _time(event.first + max(event.start, frame))
        note = f"rank {event.hit.rank}, score {event.hit.score:.3f}"
        ET.SubElement(clip, "marker", start=at, duration=_time(1 / timeline.rate), value="best", note=note)


def _add_conform(clip: ET.Element, event: TimelineEvent, timeline: Timeline) -> None:
    """Without it Final Cut would play 24 pictures a second in a timeline of 25 faster, and what follows would move."""
    rate = event.source_rate
    if not event.material.has_pictures or rate is None or rate == timeline.rate or rate < min(EDITING_RATES):
        return
    made = ET.SubElement(clip, "conform-rate", scaleEnabled="0")
    if rate in EDITING_RATES:
        made.set("srcFrameRate", _CONFORMED.get(rate, str(rate)))


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
