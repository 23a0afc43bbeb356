"""Video files to rows of the library: `Indexer(library, encoder).index(paths)` yields what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsearch.indexer.options import IndexOptions
    from vsearch.indexer.pipeline import Indexer

__all__ = ["IndexOptions", "Indexer"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: the decoding processes need none of the library."""
    if name == "Indexer":
        from vsearch.indexer.pipeline import Indexer

        return Indexer
    if name == "IndexOptions":
        from vsearch.indexer.options import IndexOptions

        return IndexOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
