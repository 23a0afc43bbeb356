"""Transcripts as text: plain, SubRip, WebVTT or JSON. Prints nothing itself.

Words are hostile input: control characters are taken out, and what the formats would read as markup is disarmed.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence

from vsearch.errors import InputError
from vsearch.media import Segment, Transcript


def render(lines: Sequence[Segment], form: str, row: Transcript | None = None) -> str:
    """The lines in one of FORMATS, ending in a newline unless there are none. InputError names the formats."""
    if form == "json":
        return _json(lines, row)
    if form not in _TEXTS:
        raise InputError(f"The formats are {', '.join((*_TEXTS, 'json'))}, not {form!r}.")
    return _TEXTS[form](lines)


def _txt(lines: Sequence[Segment]) -> str:
    return "".join(f"{_plain(line.text)}\n" for line in lines)


def _srt(lines: Sequence[Segment]) -> str:
    return "".join(
        f"{number}\n{_clock(line.start, ',')} --> {_clock(line.end, ',')}\n{_plain(line.text)}\n\n"
        for number, line in enumerate(lines, start=1)
    )


def _vtt(lines: Sequence[Segment]) -> str:
    cues = (
        f"{_clock(line.start, '.')} --> {_clock(line.end, '.')}\n{html.escape(_plain(line.text), quote=False)}\n\n"
        for line in lines
    )
    return "WEBVTT\n\n" + "".join(cues)


def _json(lines: Sequence[Segment], row: Transcript | None) -> str:
    value = {
        "source": row.source if row is not None else None,
        "language": row.language if row is not None else None,
        "lines": [
            {
                "start": round(line.start, 3),
                "end": round(line.end, 3),
                "text": line.text,
                "words": [{"start": round(w.start, 3), "end": round(w.end, 3), "text": w.text} for w in line.words],
                **_place(line),
            }
            for line in lines
        ],
    }
    return json.dumps(value, indent=2) + "\n"


def _place(line: Segment) -> dict[str, object]:
    """Of a line that is shown: its box, in fractions of the picture, and how sure the reader was."""
    if line.box is None:
        return {}
    box = {side: round(getattr(line.box, side), 4) for side in ("left", "top", "right", "bottom")}
    return {"box": box, "confidence": line.confidence}


_TEXTS: dict[str, Callable[[Sequence[Segment]], str]] = {"txt": _txt, "srt": _srt, "vtt": _vtt}
FORMATS = (*_TEXTS, "json")


def _plain(text: str) -> str:
    # An arrow inside a line would be read as the times of the next.
    return " ".join("".join(c if c.isprintable() else " " for c in text).replace("-->", "->").split())


def _clock(seconds: float, point: str) -> str:
    """01:02:03.456"""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
