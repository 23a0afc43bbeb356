"""Hits as CSV (RFC 4180), with cells that no spreadsheet runs as formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from vsearch.media import Hit
from vsearch.report import readable

_COLUMNS = ("rank", "score", "file", "start", "end", "best_time", "channels", "words")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute (OWASP, CSV injection)."""


def csv_table(hits: Sequence[Hit]) -> str:
    """One row a hit, times in seconds, with a row of headings."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(_COLUMNS)
    for hit in hits:
        channels = " ".join(f"{name}={value:.4f}" for name, value in hit.channels.items())
        words = " ".join(line.text for line in hit.segments)
        times = (f"{seconds:.3f}" for seconds in (hit.start, hit.end, hit.best_time))
        writer.writerow([hit.rank, f"{hit.score:.6f}", _cell(str(hit.video)), *times, _cell(channels), _cell(words)])
    return written.getvalue()


def _cell(text: str) -> str:
    plain = readable(text)
    return f"'{plain}" if plain.startswith(_FORMULA) else plain
