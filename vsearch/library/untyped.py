"""FAISS as Any: its stubs describe the C++ classes, not what its Python wrapper makes of them."""

from __future__ import annotations

import importlib
from typing import Any


def load_faiss() -> Any:
    """The module; costs 0.1 s the first time."""
    return importlib.import_module("faiss")
