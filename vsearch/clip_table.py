"""Tables of `file, caption[, start, end]`: .tsv or .csv, several lines a file, with or without that header."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from vsearch.errors import InputError, PathError

COLUMNS = ("file", "caption", "start", "end")


@dataclass(frozen=True, slots=True)
class ClipCaption:
    """A sentence and the stretch of a video that it describes."""

    file: Path
    """As the table names it, below the table's folder."""
    text: str
    start: float = 0.0
    """Seconds."""
    end: float | None = None
    """Seconds; None: to the end of the file."""


@dataclass(frozen=True, slots=True)
class ClipTable:
    captions: tuple[ClipCaption, ...]
    skipped: tuple[str, ...]
    """A line a row that cannot be used, with its cause."""


def read_clips(table: Path) -> ClipTable:
    """Rows that can be used; the others are named. Columns beyond the four are passed over where a header names them.

    PathError where the table cannot be read, InputError where nothing of it can be used.
    """
    rows = read_table(table)
    columns = {name: place for place, name in enumerate(COLUMNS)}
    header = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    if {"file", "caption"} <= set(header):
        columns = {name: header.index(name) for name in COLUMNS if name in header}
        rows = rows[1:]
    captions, skipped = [], []
    for number, cells in rows:
        found = _clip(table.parent, {name: cells[at].strip() for name, at in columns.items() if at < len(cells)})
        if isinstance(found, str):
            skipped.append(f"{table.name}:{number}: {found}")
        else:
            captions.append(found)
    if not captions:
        raise InputError(f"{table} has no caption that can be used" + (f": {skipped[0]}" if skipped else "."))
    return ClipTable(tuple(captions), tuple(skipped))


def _clip(folder: Path, fields: dict[str, str]) -> ClipCaption | str:
    """A row, or why it cannot be used."""
    name, text = fields.get("file", ""), fields.get("caption", "")
    if not name or not text:
        return "the file is empty" if not name else f"{name}: the caption is empty"
    try:
        if not (folder / name).is_file():
            return f"{name}: there is no such file"
    except (OSError, ValueError):  # too long a name, or a zero byte in it
        return f"{name!r}: no file can have this name"
    try:
        start, end = (float(fields[key]) if fields.get(key) else None for key in ("start", "end"))
    except ValueError:
        return f"{name}: start and end are seconds, not {fields.get('start', '')!r}, {fields.get('end', '')!r}"
    begin, stop = start or 0.0, math.inf if end is None else end
    if not (math.isfinite(begin) and 0 <= begin < stop and not math.isnan(stop)):
        return f"{name}: from {begin:g} s to {stop:g} s is no stretch of time"
    return ClipCaption(folder / name, text, begin, end)


def read_table(path: Path) -> list[tuple[int, list[str]]]:
    """Rows with their line numbers: split at tabs, or as csv where the name ends so. Empty lines are left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                reader = csv.reader(file)
                return [(reader.line_num, row) for row in reader if row]
            # Quotes mean nothing in a tsv file: a sentence may begin with one.
            lines = file.read().splitlines()
            return [(number, line.split("\t")) for number, line in enumerate(lines, start=1) if line.strip()]
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a table in UTF-8: {error}") from error
