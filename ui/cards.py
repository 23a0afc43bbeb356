"""Hits as cards: plain data that the script of the page shows.

The script sets it as text, never as HTML, so file names and transcripts may contain anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vsearch.media import Hit
from vsearch.report import clock, readable

LABELS = {
    "visual": "frames",
    "itm": "match",
    "late": "best frames",
    "speech": "speech",
    "ocr": "OCR",
}
"""Names of channels on the page; others are shown as they are."""
LONGEST_WORDS = 240
"""Characters of segments on a card."""


def cards(hits: Sequence[Hit], best: Mapping[str, float], version: int) -> list[dict[str, Any]]:
    """Hits as cards. best: see `best_scores`. version: the change number of the library, so that browsers do not show
    cached thumbnails of removed scenes."""
    return [_card(hit, best, version) for hit in hits]


def best_scores(hits: Sequence[Hit]) -> dict[str, float]:
    """The best score of each channel; its bar is full."""
    best: dict[str, float] = {}
    for hit in hits:
        for name, value in hit.channels.items():
            best[name] = max(best.get(name, 0.0), value)
    return best


def _card(hit: Hit, best: Mapping[str, float], version: int) -> dict[str, Any]:
    return {
        "id": hit.scene_id,
        "rank": hit.rank,
        "name": readable(hit.video.name),
        "folder": readable(hit.video.parent),
        "start": round(hit.start, 3),
        "end": round(hit.end, 3),
        "best": round(hit.best_time, 3),
        "time": f"{clock(hit.start)} – {clock(hit.end)}",
        "length": f"{hit.end - hit.start:.1f} s",
        "score": f"{hit.score:.3f}",
        "bars": [_bar(name, value, best.get(name, 0.0)) for name, value in hit.channels.items()],
        "words": _words(hit),
        "picture": f"vsearch/thumbnail/{hit.scene_id}?v={version}",
        "play": f"vsearch/play/{hit.scene_id}?start={hit.start:.3f}&end={hit.end:.3f}",
    }


def _bar(name: str, value: float, best: float) -> dict[str, Any]:
    share = max(0.0, min(1.0, value / best)) if best > 0 else 0.0
    return {"name": LABELS.get(name, readable(name)), "share": round(share, 3), "value": f"{value:.3f}"}


def _words(hit: Hit) -> list[dict[str, Any]]:
    """The matching segments: their times, and pieces of [text, whether it matched]."""
    lines: list[dict[str, Any]] = []
    left = LONGEST_WORDS
    for line, spans in hit.marked():
        pieces: list[list[Any]] = []
        at = 0
        for start, end in [*spans, (len(line.text), len(line.text))]:
            for text, matched in ((line.text[at:start], False), (line.text[start:end], True)):
                if text and left > 0:
                    cut = text if len(text) <= left else text[: left - 1] + "…"
                    pieces.append([readable(cut), matched])
                    left -= len(text)
            at = end
        if pieces:
            lines.append({"at": clock(line.start), "start": round(line.start, 3), "pieces": pieces})
    return lines
