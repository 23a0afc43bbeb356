"""How a query is answered."""

from vsearch.search.engine import SearchEngine
from vsearch.search.query import Query

__all__ = ["Query", "SearchEngine"]
