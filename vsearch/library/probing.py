"""Choose how many lists of an inverted file index (IVF) to search, so that recall is high at any depth.

No fixed number fits: of 150,000 clustered scenes the 400 nearest are in 300 of 2,048 lists and the 10 nearest in 16;
without clusters they are everywhere. Lists are therefore searched in steps, the nearest first. Each step doubles the
number of lists, until one adds almost nothing. No list is searched twice, so a search costs one pass at most.
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
"""Largest share of the nearest that the last step may have added."""
_CHECKED = 128
"""How many of the nearest are checked for this at least: among ten, none may be new by coincidence."""


def nearest_in_lists(index: Any, queries: Vectors, k: int, wanted: int, first: int, selector: Any) -> Ids:
    """Ids [Q, wanted], best first, padded with -1; few of the k nearest are missed.

    first: number of lists in the first step. selector: of FAISS, or None.
    """
    faiss = load_faiss()
    inverted = faiss.downcast_index(index)
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    checked = max(k, _CHECKED)
    depth = max(wanted, checked)
    closeness, lists = inverted.quantizer.search(queries, inverted.nlist)
    scores = np.full((len(queries), depth), -np.inf, dtype=np.float32)
    ids = np.full((len(queries), depth), -1, dtype=np.int64)
    done, until = 0, first
    while done < inverted.nlist:
        step = slice(done, min(until, inverted.nlist))
        new_scores, new_ids = _compare(inverted, queries, depth, lists[:, step], closeness[:, step], selector)
        scores, ids = np.concatenate([scores, new_scores], axis=1), np.concatenate([ids, new_ids], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        scores, ids = np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
        new = np.count_nonzero(order[:, :checked] >= depth, axis=1).max()
        if done and new <= _SETTLED * checked and (ids >= 0).all():
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
    """As `nearest_in_lists`, for a device that searches all lists again in each step. search: takes a number of lists;
    returns ids [Q, N], best first, or None if it failed."""
    probes = min(first, lists)
    ids = search(probes)
    while ids is not None and probes < lists:
        previous, probes = ids, min(lists, 2 * probes)
        ids = search(probes)
        if ids is not None and (ids >= 0).all():
            checked = min(max(k, _CHECKED), ids.shape[1])
            new = max(np.count_nonzero(~np.isin(now[:checked], old)) for now, old in zip(ids, previous, strict=True))
            if new <= _SETTLED * checked:
                break
    return ids
