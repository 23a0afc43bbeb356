"""The address of a search, and the values of its widgets."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.ui.ask import CHANNELS, MAX_LABELS, Ask, read_address, write_address
from vsearch.ui.form import search_from_widgets, widget_values, without, without_filters

SECONDS = st.one_of(st.none(), st.integers(1, 1000).map(float))
ASKS = st.builds(
    Ask,
    q=st.text(max_size=50).map(lambda text: text.strip()),
    like=st.one_of(st.none(), st.integers(1, 2**62)),
    page=st.integers(1, 1000),
    folder=st.text(st.characters(exclude_characters="\0"), max_size=30).map(lambda text: text.strip()),
    since=st.one_of(st.none(), st.dates(date(1970, 1, 1), date(2000, 1, 1))),
    until=st.one_of(st.none(), st.dates(date(2000, 1, 2), date(2100, 1, 1))),
    min_duration=SECONDS,
    max_duration=st.none(),
    has_speech=st.booleans(),
    language=st.sampled_from(["", "en", "de"]),
    label=st.lists(st.sampled_from(["dog", "a cat", "r&d=1, or so", "straße".casefold()]), unique=True).map(tuple),
    channel=st.sampled_from(sorted(CHANNELS)),
    weight=st.one_of(st.none(), st.integers(0, 100).map(float)),
    moments=st.booleans(),
)


@given(ASKS)
def test_search_is_restored_from_its_address(ask: Ask) -> None:
    assert read_address(write_address(ask)) == ask


@given(st.dictionaries(st.sampled_from(sorted(Ask.__dataclass_fields__)), st.text(max_size=30)))
def test_any_address_can_be_read(parameters: dict[str, str]) -> None:
    ask = read_address(parameters)
    assert read_address(write_address(ask)) == ask


def test_address_contains_only_values_that_differ_from_defaults() -> None:
    assert write_address(Ask(q="a dog")) == {"q": "a dog"}
    assert write_address(Ask(q="a dog", since=date(2024, 5, 31), moments=True, min_duration=2.5)) == {
        "q": "a dog",
        "since": "2024-05-31",
        "moments": "1",
        "min_duration": "2.5",
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {"page": "0"},
        {"page": "-1"},
        {"page": "9" * 30},
        {"like": "x"},
        {"since": "2024-13-01"},
        {"since": "0001-01-01"},
        {"max_duration": "inf"},
        {"min_duration": "nan"},
        {"weight": "1e9"},
        {"channel": "smell"},
        {"language": "<b>"},
        {"unknown": "1"},
        {"label": " \n\t"},
        {"label": "x" * 2000},
    ],
)
def test_invalid_values_are_ignored(parameters: dict[str, str]) -> None:
    assert read_address(parameters) == Ask()


def test_contradictory_limits_lose_the_second() -> None:
    assert read_address({"min_duration": "5", "max_duration": "2"}) == Ask(min_duration=5.0)
    assert read_address({"since": "2024-02-01", "until": "2024-01-01"}) == Ask(since=date(2024, 2, 1))


def test_labels_are_normalised() -> None:
    assert read_address({"label": "A  Dog\na dog\nPark"}) == Ask(label=("a dog", "park"))
    assert write_address(Ask(label=("a dog", "park"))) == {"label": "a dog\npark"}
    assert len(read_address({"label": "\n".join(map(str, range(1000)))}).label) == MAX_LABELS


def test_until_includes_its_day() -> None:
    ask = Ask(since=date(2024, 1, 1), until=date(2024, 1, 31))
    assert ask.since_moment is not None and ask.since_moment.isoformat() == "2024-01-01T00:00:00"
    assert ask.until_moment is not None and ask.until_moment.isoformat() == "2024-02-01T00:00:00"


@given(ASKS)
def test_search_is_restored_from_its_widgets(ask: Ask) -> None:
    shown = widget_values(ask, weight=2.0)
    again = search_from_widgets(shown, ask, weight=2.0)
    weight = None if ask.weight == 2.0 else ask.weight
    assert without(again, "weight") == without(ask, "weight") and again.weight == weight


def test_new_text_ends_like_and_returns_to_the_first_page() -> None:
    before = Ask(q="a dog", like=7, page=3)
    assert search_from_widgets(widget_values(before) | {"q": "a cat"}, before) == Ask(q="a cat")
    assert search_from_widgets(widget_values(before) | {"moments": True}, before) == Ask(
        q="a dog", like=7, moments=True
    )


def test_filters_are_described_and_removed() -> None:
    ask = Ask(q="a dog", page=2, folder="/films", max_duration=3.0, channel="speech", label=("dog", "park"))
    assert ask.filters == {
        "folder": "in /films",
        "max_duration": "at most 3 s",
        "label": "labelled dog, park",
        "channel": "channel Speech",
    }
    assert without(without(ask, "folder"), "label") == Ask(q="a dog", max_duration=3.0, channel="speech")
    assert without_filters(ask) == Ask(q="a dog")
