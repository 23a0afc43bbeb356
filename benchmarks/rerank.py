"""What re-ranking adds to a query, as a ratio to encoding it: `python -m benchmarks.rerank --model mini`.

The library contains random embeddings of the model's dimensions. Encoding is the text tower on sentences of about ten
words. Re-ranking is everything that `--rerank` adds: reading frame embeddings from the catalog, matching, sorting.
late runs with any model; itm needs the model's head, or --random-head, which exports an untrained one of the sizes of
vsearch/models/itm.py (needs torch, onnx and onnxscript).

The two are timed in turn, so that a busy machine slows both; one thread each unless --threads says otherwise.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import new_parser, timed
from benchmarks.synthetic import Shape, Synthetic, fill
from vsearch.library import SqliteStore
from vsearch.media import Space, Vectors
from vsearch.models.model_folder import FolderModel
from vsearch.models.protocols import HeadInfo, Reranker, TextEncoder
from vsearch.models.registry import load_model
from vsearch.search.query import RECALL, Rerank
from vsearch.search.recall import recall
from vsearch.search.rerank import rerank

QUERIES = (
    "a man in a red shirt is talking about a car",
    "two dogs run along a beach in the evening sun",
    "a woman cuts onions and puts them into a pan",
    "people dance on a stage while a band plays",
    "a cartoon character flies over a city at night",
)


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds are medians."""

    how: Rerank
    candidates: int
    frames: int
    encode_ms: float
    read_ms: float
    """The part of re-ranking that reads frame embeddings from the catalog."""
    rerank_ms: float
    """All that re-ranking adds, reading included."""
    ratio: float
    """rerank_ms / encode_ms: the median over rounds of the ratio inside one round."""


class RandomHead:
    """A model's text tower beside an untrained matching head, run by ONNX Runtime as a trained one is.

    Word tokens are random numbers of the width that MiniLM gives; what a head computes does not change its cost.
    """

    WORD_DIM = 384

    def __init__(self, model: TextEncoder, frame_dim: int, threads: int) -> None:
        import torch

        from vsearch.models.itm import ItmHead, export_itm

        torch.manual_seed(0)
        self._model = model
        self.head = HeadInfo()
        with tempfile.TemporaryDirectory() as folder:
            export_itm(ItmHead(self.WORD_DIM, frame_dim), Path(folder) / "itm.onnx")
            self._graph = _session(Path(folder) / "itm.onnx", threads)

    @property
    def space(self) -> Space:
        return self._model.space

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return self._model.encode_texts(texts)

    def frame_scores(self, text_vector: Vectors, frame_vectors: Vectors) -> Vectors:
        return self._model.frame_scores(text_vector, frame_vectors)

    def read_query(self, text: str) -> tuple[Vectors, Vectors]:
        words = np.random.default_rng(0).standard_normal((len(text.split()) + 2, self.WORD_DIM), dtype=np.float32)
        return self.encode_texts([text])[0], words

    def match(self, words: Vectors, scenes: Sequence[Vectors]) -> Vectors:
        from vsearch.models.padding import pad_clips

        frames, mask = pad_clips(scenes, 64)
        feed = {
            "words": words[None],
            "word_mask": np.ones((1, len(words)), dtype=np.bool_),
            "frames": frames,
            "frame_mask": mask,
        }
        logits: Vectors = self._graph.run(["logits"], feed)[0]
        return logits


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure(
    library: SqliteStore, model: TextEncoder, how: Rerank, *, candidates: int, frames: int, rounds: int
) -> Result:
    encode, read, added = [], [], []
    for number in range(rounds + 3):  # the first ones load and warm up
        text = QUERIES[number % len(QUERIES)]
        taken, vectors = timed(partial(model.encode_texts, [text]))
        words = model.read_query(text)[1] if how == "itm" and isinstance(model, Reranker) else None
        pool = recall(library, model.space, vectors[0], candidates, allowed=None).candidates
        assert len(pool) == candidates
        reading, _ = timed(partial(library.frame_vectors, model.space, [one.scene.id for one in pool]))
        query = (vectors[0], words)
        adding, order = timed(partial(rerank, library, model, model.space, how, query, pool, candidates))
        assert len(order) == candidates
        if number >= 3:
            encode.append(1000 * taken)
            read.append(1000 * reading)
            added.append(1000 * adding)
    return Result(
        how,
        candidates,
        frames,
        float(np.median(encode)),
        float(np.median(read)),
        float(np.median(added)),
        float(np.median(np.array(added) / np.array(encode))),
    )


def main() -> None:
    parser = new_parser("benchmarks.rerank", __doc__)
    parser.add_argument("--model", default="mini", help="a model's name or folder; default: %(default)s")
    parser.add_argument("--random-head", action="store_true", help="an untrained matching head instead of the model's")
    parser.add_argument("--candidates", type=int, default=RECALL)
    parser.add_argument("--frames", type=int, default=10, help="of a scene; one a second of at most 10 s")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    loaded = load_model(arguments.model, threads=arguments.threads)
    frame_dim = loaded.config.frame_dim if isinstance(loaded, FolderModel) else loaded.space.dim
    model: TextEncoder = RandomHead(loaded, frame_dim, arguments.threads) if arguments.random_head else loaded
    ways: list[Rerank] = ["late"]
    if isinstance(model, Reranker) and model.head is not None:
        ways.append("itm")
    with tempfile.TemporaryDirectory() as folder, SqliteStore.open(Path(folder) / "library", create=True) as library:
        shape = Shape(2 * arguments.candidates, a_video=10, frames=arguments.frames)
        fill(library, shape, Synthetic(shape.scenes, model.space.dim), model.space, frame_dim)
        results = [
            measure(
                library, model, how, candidates=arguments.candidates, frames=arguments.frames, rounds=arguments.rounds
            )
            for how in ways
        ]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
        return
    for r in results:
        print(
            f"{r.how}: {r.candidates} candidates of {r.frames} frames: {r.rerank_ms:.2f} ms (of it {r.read_ms:.2f} to "
            f"read frames), one query {r.encode_ms:.2f} ms to encode: ratio {r.ratio:.2f}"
        )


if __name__ == "__main__":
    main()
