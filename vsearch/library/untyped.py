"""FAISS without types: its stubs describe the C++ classes, not those of its Python wrapper."""

from __future__ import annotations

import importlib
from typing import Any


def load_faiss() -> Any:
    """The module. The first import takes 0.1 s."""
    return importlib.import_module("faiss")
