"""Video files to rows of the library: `Indexer(library, encoder).index(paths)` yields what happens."""

from indexer.options import IndexOptions
from indexer.pipeline import Indexer

__all__ = ["IndexOptions", "Indexer"]
