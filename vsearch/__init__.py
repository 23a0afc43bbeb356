"""vsearch finds the moment in a video that a sentence describes.

`vsearch.open` returns a `Library`, which indexes videos and answers queries; see `vsearch.api`. Public are the names in
`__all__` and the exceptions in `vsearch.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsearch.api import Library, open
    from vsearch.library.filters import Filters
    from vsearch.media import Hit
    from vsearch.search.query import Query

__version__ = "0.1.0"
__all__ = ["Filters", "Hit", "Library", "Query", "__version__", "open"]

_MODULES = {
    "Filters": "vsearch.library.filters",
    "Hit": "vsearch.media",
    "Library": "vsearch.api",
    "Query": "vsearch.search.query",
    "open": "vsearch.api",
}


def __getattr__(name: str) -> Any:
    # `import vsearch` alone loads nothing heavy.
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
