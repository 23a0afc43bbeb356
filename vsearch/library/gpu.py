"""A copy of a FAISS index on a GPU, made automatically if faiss-gpu and a GPU are available.

It only proposes candidates; scores are computed from the catalog (vectors.py). Copying an index takes seconds, a search
on the CPU milliseconds: only a process with many queries makes a copy. Searches with filters, or after scenes were
removed, stay on the CPU: FAISS has no filters on a GPU.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.library.untyped import load_faiss
from vsearch.media import Vectors

_log = logging.getLogger(__name__)

AFTER = 32
"""Searches before a copy is made."""
WIDEST = 1024
"""Most neighbours and lists that FAISS supports on every GPU."""

Search = Callable[[Vectors, int, int], NDArray[np.int64]]
"""(queries [Q, D], k, probed lists) -> ids [Q, k], -1 where there are fewer."""


class GpuCopy:
    """The copy of one index, made after `after` searches. Thread-safe.

    make: makes the copy; returns None without a GPU.
    """

    def __init__(self, make: Callable[[], Search | None], after: int = AFTER) -> None:
        self._make, self._left = make, after
        self._lock = threading.Lock()
        self._search: Search | None = None
        self._off = False

    def search(self, queries: Vectors, k: int, probes: int) -> NDArray[np.int64] | None:
        """Ids [Q, k]; None if the CPU has to search."""
        if self._off or k > WIDEST or probes > WIDEST:
            return None
        with self._lock:  # resources of FAISS on a GPU are not thread-safe
            try:
                if self._search is None:
                    self._left -= len(queries)
                    if self._left >= 0:
                        return None
                    self._search = self._make()
                    self._off = self._search is None
                return None if self._search is None else self._search(queries, k, probes)
            except (RuntimeError, AssertionError, AttributeError, TypeError) as error:  # out of memory, an old driver
                _log.info("no search on a GPU: %s", error)
                self._search, self._off = None, True
                return None


def gpus() -> int:
    """Number of GPUs that FAISS can use; 0 for its CPU build."""
    count = getattr(load_faiss(), "get_num_gpus", None)
    return int(count()) if count is not None else 0


def copy_flat(dim: int, ids: NDArray[np.int64], vectors: Vectors) -> Search:
    """Compare all vectors [N, D], in float32, as exactly as on the CPU."""
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()
    index = faiss.GpuIndexFlatIP(resources, dim)
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(queries: Vectors, k: int, _probes: int, _keep: Any = resources) -> NDArray[np.int64]:
        places = index.search(np.ascontiguousarray(queries), min(k, len(ids)))[1]
        return np.where(places < 0, -1, ids[places])

    return search


def copy_ivf(index: Any) -> Search:
    """Search the same lists and codes as the index on the CPU."""
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()
    copy = faiss.index_cpu_to_gpu(resources, 0, index)

    def search(queries: Vectors, k: int, probes: int, _keep: Any = resources) -> NDArray[np.int64]:
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        found: NDArray[np.int64] = copy.search(np.ascontiguousarray(queries), k, params=parameters)[1]
        return found

    return search
