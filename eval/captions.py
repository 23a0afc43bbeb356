"""Tables of `file, caption`: a .tsv file or a .csv one, several lines a file, with or without that header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vsearch.clip_table import read_table
from vsearch.errors import InputError, PathError


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence and the file that it describes, relative to the folder of the table."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class CaptionTable:
    captions: tuple[Caption, ...]
    skipped: tuple[str, ...]
    """A line a row that cannot be used, with its cause."""


def read_captions(table: Path, folder: Path) -> CaptionTable:
    """Rows whose file is in `folder` and whose sentence is not empty; the others are named.

    PathError where the table cannot be read, InputError where nothing of it can be used.
    """
    rows = read_table(table)
    if rows and [cell.strip().lower() for cell in rows[0][1][:2]] == ["file", "caption"]:
        rows = rows[1:]
    captions, skipped = [], []
    for number, cells in rows:
        if len(cells) != 2:
            skipped.append(f"{table.name}:{number}: {len(cells)} columns instead of file and caption")
        elif not cells[1].strip():
            skipped.append(f"{table.name}:{number}: {cells[0]}: the caption is empty")
        elif not (folder / cells[0]).is_file():
            skipped.append(f"{table.name}:{number}: {cells[0]}: there is no such file")
        else:
            captions.append(Caption(cells[0], cells[1].strip()))
    if not captions:
        raise InputError(f"{table} has no caption of a file in {folder}" + (f": {skipped[0]}" if skipped else ""))
    return CaptionTable(tuple(captions), tuple(skipped))


def find_table(folder: Path) -> Path:
    """captions.tsv or captions.csv of the folder. Raises PathError where it has neither."""
    for name in ("captions.tsv", "captions.csv"):
        if (folder / name).is_file():
            return folder / name
    raise PathError(f"{folder} has neither captions.tsv nor captions.csv: file and caption, a line each")
