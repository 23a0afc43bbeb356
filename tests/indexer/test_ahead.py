from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsearch.indexer.ahead import ahead


@given(st.lists(st.integers()), st.integers(1, 5))
def test_the_same_items_in_the_same_order(items: list[int], depth: int) -> None:
    assert list(ahead(iter(items), depth)) == items


def test_an_error_comes_where_it_happened() -> None:
    def two() -> Iterator[int]:
        yield 1
        yield 2
        raise ZeroDivisionError("three")

    frames = ahead(two(), 4)
    assert (next(frames), next(frames)) == (1, 2)
    with pytest.raises(ZeroDivisionError, match="three"):
        next(frames)


def test_it_never_runs_further_ahead_than_it_may() -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in count():
            made.append(number)
            yield number

    frames = ahead(numbers(), 3)
    for expected in range(50):
        assert next(frames) == expected
        assert len(made) <= expected + 1 + 3 + 1  # asked for, waiting, and one in the making
    frames.close()  # type: ignore[attr-defined]


def test_closing_ends_the_thread_and_closes_what_it_ran() -> None:
    closed: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.append(threading.current_thread().name)

    frames = ahead(numbers(), 2)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert closed == ["vsearch-ahead"]
    assert "vsearch-ahead" not in [thread.name for thread in threading.enumerate()]
