"""The search engine."""

from vsearch.search.engine import SearchEngine
from vsearch.search.example import ClipExample, ImageExample, SceneExample, read_picture
from vsearch.search.query import Query

__all__ = ["ClipExample", "ImageExample", "Query", "SceneExample", "SearchEngine", "read_picture"]
