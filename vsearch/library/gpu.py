"""A copy of a FAISS index on a GPU, made by itself where faiss-gpu is installed and a GPU is there.

It only proposes; scores are the catalog's, as everywhere (vectors.py). To copy an index takes seconds, one search on a
CPU milliseconds: so only a program that goes on asking gets one. Searches with a filter, or after scenes were removed,
stay on the CPU: FAISS has no filters on a GPU.
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
"""Searches after which a program is taken to go on asking."""
WIDEST = 1024
"""Neighbours and lists that FAISS looks at on any GPU."""

Search = Callable[[Vectors, int, int], NDArray[np.int64]]
"""(queries [Q, D], k, probed lists) -> ids [Q, k], -1 where there are fewer."""


class GpuCopy:
    """One index's copy, made when it pays. Safe to use from several threads.

    make: makes the copy, or gives None where there is no GPU.
    """

    def __init__(self, make: Callable[[], Search | None], after: int = AFTER) -> None:
        self._make, self._left = make, after
        self._lock = threading.Lock()
        self._search: Search | None = None
        self._off = False

    def search(self, queries: Vectors, k: int, probes: int) -> NDArray[np.int64] | None:
        """Ids [Q, k]; None where the CPU has to do it."""
        if self._off or k > WIDEST or probes > WIDEST:
            return None
        with self._lock:  # FAISS's resources on a GPU are one thread's at a time
            try:
                if self._search is None:
                    self._left -= len(queries)
                    if self._left >= 0:
                        return None
                    self._search = self._make()
                    self._off = self._search is None
                return None if self._search is None else self._search(queries, k, probes)
            except (
                RuntimeError,
                AssertionError,
                AttributeError,
                TypeError,
            ) as error:  # out of memory, an old driver...
                _log.info("no search on a GPU: %s", error)
                self._search, self._off = None, True
                return None


def gpus() -> int:
    """How many GPUs FAISS sees; 0 for its CPU build."""
    count = getattr(load_faiss(), "get_num_gpus", None)
    return int(count()) if count is not None else 0


def copy_flat(dim: int, ids: NDArray[np.int64], vectors: Vectors) -> Search:
    """All vectors [N, D] compared, in float32, as exact as on the CPU."""
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()
    index = faiss.GpuIndexFlatIP(resources, dim)
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(queries: Vectors, k: int, _probes: int, _keep: Any = resources) -> NDArray[np.int64]:
        places = index.search(np.ascontiguousarray(queries), min(k, len(ids)))[1]
        return np.where(places < 0, -1, ids[places])

    return search


def copy_ivf(index: Any) -> Search:
    """The same lists and codes."""
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()
    copy = faiss.index_cpu_to_gpu(resources, 0, index)

    def search(queries: Vectors, k: int, probes: int, _keep: Any = resources) -> NDArray[np.int64]:
        parameters = faiss.SearchParametersIVF(nprobe=probes)
        found: NDArray[np.int64] = copy.search(np.ascontiguousarray(queries), k, params=parameters)[1]
        return found

    return search
