"""Render transcripts as plain text, SubRip, WebVTT or JSON.

Text of segments is hostile input: control characters are removed, and markup of the formats is escaped.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence

from vsearch.errors import InputError
from vsearch.media import Segment, Transcript


def render(segments: Sequence[Segment], form: str, transcript: Transcript | None = None) -> str:
    """The segments in one of FORMATS, ending in a newline unless there are none. Raises InputError for another form."""
    if form == "json":
        return _json(segments, transcript)
    if form not in _TEXTS:
        raise InputError(f"The formats are {', '.join((*_TEXTS, 'json'))}, not {form!r}.")
    return _TEXTS[form](segments)


def _txt(segments: Sequence[Segment]) -> str:
    return "".join(f"{_plain(segment.text)}\n" for segment in segments)


def _srt(segments: Sequence[Segment]) -> str:
    return "".join(
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{_plain(segment.text)}\n\n"
        for number, segment in enumerate(segments, start=1)
    )


def _vtt(segments: Sequence[Segment]) -> str:
    cues = [
        f"{_clock(each.start, '.')} --> {_clock(each.end, '.')}\n{html.escape(_plain(each.text), quote=False)}\n\n"
        for each in segments
    ]
    return "WEBVTT\n\n" + "".join(cues)


def _json(segments: Sequence[Segment], transcript: Transcript | None) -> str:
    value = {
        "source": transcript.source if transcript is not None else None,
        "language": transcript.language if transcript is not None else None,
        "segments": [
            {
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "words": [{"start": round(w.start, 3), "end": round(w.end, 3), "text": w.text} for w in segment.words],
                **_place(segment),
            }
            for segment in segments
        ],
    }
    return json.dumps(value, indent=2) + "\n"


def _place(segment: Segment) -> dict[str, object]:
    """Box (fractions of the frame) and confidence of a segment of OCR."""
    if segment.box is None:
        return {}
    box = {side: round(getattr(segment.box, side), 4) for side in ("left", "top", "right", "bottom")}
    return {"box": box, "confidence": segment.confidence}


_TEXTS: dict[str, Callable[[Sequence[Segment]], str]] = {"txt": _txt, "srt": _srt, "vtt": _vtt}
FORMATS = (*_TEXTS, "json")


def _plain(text: str) -> str:
    # An arrow inside a text would be parsed as times.
    return " ".join("".join(c if c.isprintable() else " " for c in text).replace("-->", "->").split())


def _clock(seconds: float, point: str) -> str:
    """01:02:03.456"""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
