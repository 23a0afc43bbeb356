from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.queries import make_query
from vsearch.errors import QueryError
from vsearch.search.query import MAX_TEXT


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"text": " \n"}, "empty"),
        ({"text": "a" * (MAX_TEXT + 1)}, str(MAX_TEXT)),
        ({"k": 0}, "hits"),
        ({"k": 10**9}, "hits"),
        ({"per_video": 0}, "per video"),
        ({"min_duration": float("nan")}, "duration"),
        ({"min_duration": -1.0}, "duration"),
        ({"path": ""}, "pattern"),
        ({"since": datetime(2025, 1, 2), "until": datetime(2025, 1, 2)}, "later"),
        ({"since": datetime(2025, 1, 2, tzinfo=UTC), "until": datetime(2024, 1, 2)}, "later"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_in_one_line(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        make_query(**({"text": "a dog"} | wrong))
    assert "\n" not in str(caught.value)
