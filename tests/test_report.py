from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from vsearch.media import Hit
from vsearch.report import clock, footage, hits_table, readable, short_path, size


@given(st.text(alphabet=st.characters(codec=None)))
def test_whatever_a_file_is_called_it_prints_as_one_line(name: str) -> None:
    shown = readable(name)
    assert shown.isprintable()
    shown.encode("utf-8")


def test_a_plain_name_is_shown_as_it_is() -> None:
    assert readable("день 1 – 🎬.mp4") == "день 1 – 🎬.mp4"


def test_a_name_that_is_not_unicode_is_shown_as_escapes() -> None:
    assert readable(Path("a\udcff\n.mp4")) == "a\\udcff\\n.mp4"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00.0"), (7.49, "0:07.5"), (59.96, "1:00.0"), (3599.99, "1:00:00.0"), (3723.4, "1:02:03.4")],
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (2_500_000_000_000, "2500.0 GB")]
)
def test_size(count: int, shown: str) -> None:
    assert size(count) == shown


def test_footage_has_the_unit_that_suits_it() -> None:
    assert (footage(5), footage(90), footage(7200)) == ("5.0 seconds", "1.5 minutes", "2.00 hours")


def test_a_path_below_the_working_folder_is_shown_from_there() -> None:
    assert short_path(Path("/a/b/c.mp4"), Path("/a")) == "b/c.mp4"
    assert short_path(Path("/z/c.mp4"), Path("/a")) == "/z/c.mp4"


def test_markup_in_a_file_name_is_not_obeyed() -> None:
    hit = Hit(1, 0.5, Path("/v/[red]x[/red].mp4"), 1, 2, {"visual": 0.5}, 1.5)
    out = io.StringIO()
    Console(file=out, width=120).print(hits_table([hit], Path("/v")))
    assert "[red]x[/red].mp4" in out.getvalue()
