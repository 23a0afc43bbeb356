"""How many lists of an inverted index a search compares: as many as hold the nearest, whatever the depth.

That depends on the vectors. Of 150,000 scenes around topics the 400 nearest lie in 300 of 2,048 lists, the 10 nearest
in 16, and of vectors without any topics they lie everywhere. So lists are compared in steps, the nearest first, each
step as many as all before it, until a step brings next to nothing new. No list is compared twice, so the most that a
search costs is one pass over the index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsearch.library.untyped import load_faiss
from vsearch.media import Vectors

Ids = NDArray[np.int64]

_SETTLED = 0.01
"""The share of the nearest that the last step may still have brought."""
_JUDGED = 128
"""How many of the nearest are looked at for this, at least: of ten, none may be new by chance."""


def nearest_in_lists(index: Any, queries: Vectors, k: int, wanted: int, first: int, selector: Any) -> Ids:
    """Ids [Q, wanted], best first, -1 where there are fewer; of the k best of them, few are missed.

    first: lists of the first step. selector: FAISS's, or None.
    """
    faiss = load_faiss()
    inverted = faiss.downcast_index(index)
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    judged = max(k, _JUDGED)
    depth = max(wanted, judged)
    closeness, lists = inverted.quantizer.search(queries, inverted.nlist)
    scores = np.full((len(queries), depth), -np.inf, dtype=np.float32)
    ids = np.full((len(queries), depth), -1, dtype=np.int64)
    done, until = 0, first
    while done < inverted.nlist:
        step = slice(done, min(until, inverted.nlist))
        found = _compare(inverted, queries, depth, lists[:, step], closeness[:, step], selector)
        scores, ids = np.concatenate([scores, found[0]], axis=1), np.concatenate([ids, found[1]], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        scores, ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
        new = np.count_nonzero(order[:, :judged] >= depth, axis=1).max()
        if done and new <= _SETTLED * judged and (ids >= 0).all():
            break
        done, until = until, 2 * until
    return ids[:, :wanted]


def _compare(
    inverted: Any, queries: Vectors, depth: int, lists: Ids, closeness: Vectors, selector: Any
) -> tuple[Vectors, Ids]:
    """The nearest in the given lists of each query: scores and ids [Q, depth]."""
    faiss = load_faiss()
    lists, closeness = np.ascontiguousarray(lists), np.ascontiguousarray(closeness)
    scores = np.empty((len(queries), depth), dtype=np.float32)
    ids = np.empty((len(queries), depth), dtype=np.int64)
    arrays = (faiss.swig_ptr(array) for array in (lists, closeness, scores, ids))
    parameters = faiss.SearchParametersIVF(sel=selector, nprobe=lists.shape[1])
    inverted.search_preassigned_c(len(queries), faiss.swig_ptr(queries), depth, *arrays, False, parameters)
    scores[ids < 0] = -np.inf
    return scores, ids


def nearest_by_steps(search: Callable[[int], Ids | None], k: int, first: int, lists: int) -> Ids | None:
    """The same where each step compares the lists of those before it again: `search` takes a number of lists, and gives
    ids best first, or None where it cannot."""
    probes = min(first, lists)
    found = search(probes)
    while found is not None and probes < lists:
        before, probes = found, min(lists, 2 * probes)
        found = search(probes)
        if found is not None and (found >= 0).all():
            judged = min(max(k, _JUDGED), found.shape[1])
            new = max(np.count_nonzero(~np.isin(now[:judged], was)) for now, was in zip(found, before, strict=True))
            if new <= _SETTLED * judged:
                break
    return found
