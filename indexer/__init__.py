"""Video files to rows of the library: `run_index(library, IndexPlan(encoder), paths)` yields events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsearch.indexer.options import IndexOptions, IndexPlan
    from vsearch.indexer.run import run_index

__all__ = ["IndexOptions", "IndexPlan", "run_index"]


def __getattr__(name: str) -> Any:
    """Imported when they are used: the child processes need none of the library."""
    if name == "run_index":
        from vsearch.indexer.run import run_index

        return run_index
    if name in ("IndexOptions", "IndexPlan"):
        from vsearch.indexer import options

        return getattr(options, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
