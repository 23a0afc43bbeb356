"""Queries with filters written as plain keyword arguments."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from vsearch.library.filters import Filters
from vsearch.search.query import Query

FILTERS = frozenset(field.name for field in fields(Filters))


def make_query(text: str = "", **options: Any) -> Query:
    """A Query; options that are fields of Filters become its filters."""
    filters = Filters(**{name: value for name, value in options.items() if name in FILTERS})
    return Query(text, filters=filters, **{name: value for name, value in options.items() if name not in FILTERS})
