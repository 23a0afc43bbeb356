"""Queries as people type them: the table that ships, and how it is read and summed up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from eval.captions import Caption, find_table, read_captions, read_table
from eval.metrics import retrieval_figures
from eval.typed import PLAIN, TABLE, by_kind, read_typed, table_lines
from vsearch.errors import InputError

REAL = Path(__file__).parents[3] / "shared" / "data" / "videos"
KINDS = {"word", "phrase", "question", "capitals", "typo", "number"}
CAPTIONS = [Caption("a.mp4", "a dog runs"), Caption("a.mp4", "a dog"), Caption("b.mp4", "a cat")]


def test_the_table_that_ships_asks_in_every_way() -> None:
    rows = [cells for _, cells in read_table(TABLE)][1:]
    assert len(rows) >= 60
    assert all(len(cells) == 4 and cells[3].strip() for cells in rows)
    counts = Counter(cells[2] for cells in rows)
    assert set(counts) == KINDS and min(counts.values()) >= 10
    assert all(len(cells[3].split()) == 1 for cells in rows if cells[2] == "word")
    assert all(cells[3].endswith("?") for cells in rows if cells[2] == "question")
    assert all(any(c.isupper() for c in cells[3]) for cells in rows if cells[2] == "capitals")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real videos are not here")
def test_every_query_stands_for_a_caption_that_is_there() -> None:
    rows, skipped = read_typed(TABLE, read_captions(find_table(REAL), REAL).captions)
    assert not skipped and len(rows) >= 60


def test_rows_are_held_against_the_captions(tmp_path: Path) -> None:
    table = tmp_path / "typed.tsv"
    table.write_text(
        "file\tcaption\tkind\tquery\na.mp4\t2\tword\tdog\na.mp4\t3\tword\tx\nc.mp4\t1\tword\tx\na.mp4\tdog\n"
    )
    rows, skipped = read_typed(table, CAPTIONS)
    assert [(row.file, row.plain, row.kind, row.query) for row in rows] == [("a.mp4", "a dog", "word", "dog")]
    assert [line.split(":")[1] for line in skipped] == ["3", "4", "5"]
    table.write_text("file\tcaption\tkind\tquery\nc.mp4\t1\tword\tx\n")
    with pytest.raises(InputError, match="names no caption"):
        read_typed(table, CAPTIONS)


def test_a_caption_counts_once_among_the_plain_ones(tmp_path: Path) -> None:
    table = tmp_path / "typed.tsv"
    table.write_text("a.mp4\t1\tword\tdog\na.mp4\t1\ttypo\ta dgo runs\nb.mp4\t1\tword\tcat\n")
    kinds = by_kind(read_typed(table, CAPTIONS)[0])
    assert [caption.text for caption in kinds[PLAIN]] == ["a dog runs", "a cat"]
    assert [caption.text for caption in kinds["word"]] == ["dog", "cat"]


def test_the_loss_is_against_the_plain_captions() -> None:
    found = {PLAIN: (2, retrieval_figures(np.array([1, 1]))), "typo": (2, retrieval_figures(np.array([1, 4])))}
    assert found["typo"][1] == {"R@1": 50.0, "R@5": 100.0, "MRR": 0.625}
    lines = table_lines(found)
    assert lines[1].split() == ["plain", "2", "100.0", "100.0", "1.000", "0.000"]
    assert lines[2].split() == ["typo", "2", "50.0", "100.0", "0.625", "0.375"]
