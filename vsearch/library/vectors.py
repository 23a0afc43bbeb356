"""Nearest-neighbour search: FAISS proposes candidates, the fp16 vectors of the catalog score them.

A score is therefore the same whether a vector comes from a snapshot, was added since, or passed a filter, and however
the index quantises.

Index types by the number of scenes (chosen by benchmarks/query_latency.py, 512 dimensions, 2 cores):
  flat   up to 100,000: every vector is compared, as fp16 like in the catalog. IDMap2 over SQfp16
  ivf    beyond: about 4 sqrt(N) k-means lists, searched as deep as needed (probing.py); 8 bits per component (SQ8).
         Lists of fp16 had the same recall, were slower and twice as large
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vsearch.library.gpu import GpuCopy, Search, copy_flat, copy_ivf, gpus
from vsearch.library.ids import ascending
from vsearch.library.probing import nearest_by_steps, nearest_in_lists
from vsearch.library.snapshots import Snapshot
from vsearch.library.untyped import load_faiss
from vsearch.media import Vectors

Kind = Literal["flat", "ivf"]
Ids = NDArray[np.int64]
Halves = NDArray[np.float16]
Chunks = Callable[[], Iterator[tuple[Ids, Halves]]]
"""Starts a pass over all vectors in chunks of (ids [N], fp16 [N, D])."""

FLAT_LIMIT = 100_000
_PROBES = 16
"""Fewest lists in the first step of a search."""
_COMPARED = 16
"""Vectors that the first step compares for each requested one: see probing.py."""
_SPARE = 16  # additional candidates if vectors are quantised
_POINTS_PER_LIST = 40  # k-means training; FAISS warns below 39


@dataclass(frozen=True, slots=True)
class Recipe:
    """An index type and its size."""

    kind: Kind
    lists: int = 0

    @staticmethod
    def for_count(count: int) -> Recipe:
        """The type for a number of vectors. The number of lists is a power of two, so that it rarely changes."""
        if count <= FLAT_LIMIT:
            return Recipe("flat")
        return Recipe("ivf", 2 ** round(math.log2(4 * math.sqrt(count))))

    def code_bytes(self, dim: int) -> int:
        return 2 * dim if self.kind == "flat" else dim


def build(recipe: Recipe, dim: int, count: int, chunks: Chunks) -> Any:
    """Build a FAISS index of all vectors. Memory: the index, a chunk, and a sample during training."""
    faiss = load_faiss()

    metric = faiss.METRIC_INNER_PRODUCT
    if recipe.kind == "flat":
        # The codes are the fp16 vectors of the catalog: no training, exact comparison.
        index: Any = faiss.IndexIDMap2(faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, metric))
    else:
        quantizer = faiss.IndexFlatIP(dim)
        # Codes of the vectors, not of residuals, can be decoded without their list.
        codes = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(quantizer, dim, recipe.lists, codes, metric, False)
        index.cp.spherical = True
        index.cp.niter = 5  # half the default: costs half a percent of recall at most
        index.train(_sample(recipe.lists * _POINTS_PER_LIST, count, chunks))
    for ids, halves in chunks():
        index.add_with_ids(halves.astype(np.float32), ids)
    return index


def _sample(wanted: int, count: int, chunks: Chunks) -> Vectors:
    """`wanted` vectors, evenly spread over the library; all if there are fewer."""
    indices = np.unique(np.linspace(0, count - 1, min(wanted, count)).astype(np.int64))
    parts = []
    offset = 0
    for _, halves in chunks():
        chosen = indices[(indices >= offset) & (indices < offset + len(halves))] - offset
        parts.append(halves[chosen].astype(np.float32))
        offset += len(halves)
    return np.concatenate(parts)


def open_snapshot(snapshot: Snapshot) -> Any:
    """The FAISS index of a snapshot, memory-mapped. Raises RuntimeError if it is invalid, or OSError.

    It is not mapped by FAISS, which encodes file names as UTF-8 on some systems and in the code page on others.
    """
    faiss = load_faiss()
    with snapshot.file.open("rb") as stream:
        content = np.frombuffer(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    index = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(content), len(content)))
    index.referenced_objects = (content,)  # FAISS keeps only the pointer
    if index.ntotal != snapshot.header.count or index.d != snapshot.header.dim:
        raise RuntimeError(f"the index holds {index.ntotal} vectors of {index.d} dimensions")
    return index


def entries(index: Any, recipe: Recipe) -> Iterator[tuple[Ids, Vectors]]:
    """Yield the contents of an index in chunks of (ids [N], float32 [N, D])."""
    faiss = load_faiss()
    if recipe.kind == "flat":
        ids = faiss.vector_to_array(index.id_map)
        inner = faiss.downcast_index(index.index)
        # A pointer, because the codes of a mapped index are no C++ vector.
        codes = faiss.rev_swig_ptr(inner.codes.data(), len(ids) * inner.code_size).reshape(len(ids), -1)
        for start in range(0, len(ids), 4096):
            part = codes[start : start + 4096].view(np.float16).astype(np.float32)
            yield ids[start : start + 4096].astype(np.int64), part
        return
    ivf = faiss.downcast_index(index)
    for number in range(ivf.nlist):
        size = ivf.invlists.list_size(number)
        if size == 0:
            continue
        ids = faiss.rev_swig_ptr(ivf.invlists.get_ids(number), size).copy()
        codes = faiss.rev_swig_ptr(ivf.invlists.get_codes(number), size * ivf.code_size).copy().reshape(size, -1)
        yield ids, ivf.sq.decode(codes)


def on_gpu(index: Any, recipe: Recipe) -> Search | None:
    """Copy an index to the first GPU; None if there is none."""
    if gpus() == 0:
        return None
    if recipe.kind == "ivf":
        return copy_ivf(load_faiss().downcast_index(index))
    parts = list(entries(index, recipe))
    return copy_flat(index.d, np.concatenate([ids for ids, _ in parts]), np.concatenate([rows for _, rows in parts]))


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """An immutable FAISS index, and the ids in it that are no longer valid."""

    index: Any
    recipe: Recipe
    hidden: Ids
    """Ascending ids that were removed or encoded again since; some may never have been in the index."""
    gpu: GpuCopy | None = None

    @staticmethod
    def of(index: Any, recipe: Recipe) -> Base:
        """A base without hidden ids, which may be copied to a GPU."""
        return Base(index, recipe, np.empty(0, dtype=np.int64), GpuCopy(partial(on_gpu, index, recipe)))

    def propose(self, queries: Vectors, k: int, allowed: Ids | None) -> Ids:
        """Ids of about the k nearest to each query, ascending, without repetition."""
        admitted = self.index.ntotal - len(self.hidden)
        if allowed is not None:
            allowed = np.setdiff1d(allowed, self.hidden, assume_unique=True)
            admitted = len(allowed)
            if admitted == 0:
                return np.empty(0, dtype=np.int64)
        wanted = min(k if self.recipe.kind == "flat" else k + k // 2 + _SPARE, self.index.ntotal)
        if wanted == 0:
            return np.empty(0, dtype=np.int64)
        if self.recipe.kind == "flat":
            return _ids(self._search_all(queries, wanted, self._selector(allowed)))
        return _ids(self._search_lists(queries, wanted, k, allowed, admitted))

    def _search_lists(self, queries: Vectors, wanted: int, k: int, allowed: Ids | None, admitted: int) -> Ids:
        """Search an IVF index: ids [Q, wanted], padded with -1."""
        lists, selector, gpu = self.recipe.lists, self._selector(allowed), self.gpu
        # A filter that admits one scene in n leaves one in n vectors of each list: start with n times as many lists.
        compared = max(_PROBES * self.index.ntotal / lists, _COMPARED * k)
        first = min(lists, math.ceil(compared * lists / max(1, admitted)))
        if selector is None and gpu is not None:
            proposed = nearest_by_steps(lambda probes: gpu.search(queries, wanted, probes), k, first, lists)
            if proposed is not None:
                return proposed
        with _threads_for(queries):
            return nearest_in_lists(self.index, queries, k, wanted, first, selector)

    def _selector(self, allowed: Ids | None) -> Any:
        """A FAISS selector of these ids without the hidden ones; None if every id is valid."""
        faiss = load_faiss()
        if allowed is not None:
            bits = np.zeros(8 * (int(allowed[-1]) // 8 + 1), dtype=np.bool_)
            bits[allowed] = True
            return faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))
        return faiss.IDSelectorNot(faiss.IDSelectorBatch(self.hidden)) if len(self.hidden) else None

    def _search_all(self, queries: Vectors, k: int, selector: Any) -> Ids:
        """Search a flat index: ids [Q, k]."""
        if selector is None and self.gpu is not None:
            proposed = self.gpu.search(queries, k, 0)
            if proposed is not None:
                return proposed
        with _threads_for(queries):
            ids: Ids = self.index.search(queries, k, params=load_faiss().SearchParameters(sel=selector))[1]
        return ids


@contextmanager
def _threads_for(queries: Vectors) -> Iterator[None]:
    """Limit FAISS to one thread per query. It parallelises by query, and on a busy machine waiting for an idle thread
    takes longer than the search. The setting is local to the calling thread."""
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(before, len(queries)))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@dataclass(frozen=True, slots=True, eq=False)
class Recent:
    """Vectors in memory that are in no snapshot yet."""

    ids: Ids
    vectors: Vectors
    """[N, D]"""

    def without(self, gone: Ids) -> Recent:
        keep = ~np.isin(self.ids, gone)
        return self if keep.all() else Recent(self.ids[keep], self.vectors[keep])

    def propose(self, queries: Vectors, k: int, allowed: Ids | None) -> Ids:
        """Ids of the k nearest of each query, in no order, without repetition."""
        part = self if allowed is None else self.without(self.ids[~np.isin(self.ids, allowed)])
        if len(part.ids) <= k:
            return part.ids
        scores = queries @ part.vectors.T
        return ascending(part.ids[np.argpartition(-scores, k - 1, axis=1)[:, :k]])


def best(queries: Vectors, ids: Ids, vectors: Vectors, k: int) -> tuple[NDArray[np.float32], Ids]:
    """The k best of `ids` for each query by inner product: scores and ids [Q, k'], equal scores by id."""
    order = np.argsort(ids)
    ids, vectors = ids[order], vectors[order]
    scores = queries @ vectors.T
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, ranked, axis=1), ids[ranked]


def _ids(padded: Ids) -> Ids:
    return ascending(padded[padded >= 0])
