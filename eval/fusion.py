"""Each channel alone and their fusion: python -m eval.fusion LIBRARY --captions FILE --transcripts FILE.

The library contains videos and sound, indexed with speech. Kinds of query, each with one right file:

    visual   a caption of a video
    spoken   five consecutive words of a transcript that no other file contains
    mixed    a caption, and three words of the speech transcript of the same video
    written  three consecutive words of an OCR segment (`vsearch index --ocr`) that no other file contains; OCR is taken
             as the truth
    meant    a paraphrase of what is said, written by hand (eval/splits/paraphrases.tsv)

Every query searches each channel alone and all of them fused; the rank of a file is that of its best hit.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.captions import read_captions
from eval.metrics import retrieval_figures
from eval.models import open_model
from eval.options import add_json, add_model, command, new_parser
from eval.report import print_json
from eval.speech import read_transcripts, spoken, unique_phrases
from vsearch.library.folding import tokens
from vsearch.library.query_terms import STOP_WORDS
from vsearch.media import Hit, Space, Vectors
from vsearch.search.query import Channel, Query

if TYPE_CHECKING:
    from vsearch.library import SqliteStore
    from vsearch.models.protocols import TextEncoder

SPEECH = "speech"
LETTERS = "exact words"
"""Full-text search of the speech channel, without semantic search."""
DEPTH = 50
"""Hits of a query; a file that is not among them has no rank."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and the name of the file that answers it."""

    text: str
    file: str


def paraphrases(held: Collection[str]) -> list[Asked]:
    """Paraphrases of the files in `held`."""
    with (Path(__file__).parent / "splits" / "paraphrases.tsv").open(encoding="utf-8", newline="") as file:
        return [Asked(row["query"], row["file"]) for row in csv.DictReader(file, delimiter="\t") if row["file"] in held]


def mixed_queries(library: SqliteStore, captions: Sequence[Asked], seed: int = 0) -> list[Asked]:
    """Captions of files with speech, each with three consecutive words of it that are no stop words."""
    draw = random.Random(seed)
    ids = {row.path.name: row.video_id for row in library.files()}
    mixed = []
    for asked in captions:
        lines = [line for line in library.transcript(ids[asked.file]) if line.channel == SPEECH]
        lines = [line for line in lines if len(tokens(line.text)) >= 4]
        telling = [[word for word in tokens(line.text) if word not in STOP_WORDS and len(word) > 3] for line in lines]
        telling = [words for words in telling if len(words) >= 3]
        if telling:
            words = draw.choice(telling)
            at = draw.randrange(len(words) - 2)
            mixed.append(Asked(f"{asked.text} {' '.join(words[at : at + 3])}", asked.file))
    return mixed


def written_queries(library: SqliteStore, size: int = 3) -> list[Asked]:
    """The first `size` words of each OCR segment that no other file contains."""
    lines: dict[str, list[list[str]]] = {}
    for row in library.files():
        read = [tokens(line.text) for line in library.transcript(row.video_id) if line.channel == "ocr"]
        lines[row.path.name] = [words for words in read if len(words) >= size]
    holders: dict[str, set[str]] = {}
    for name, read in lines.items():
        for words in read:
            for at in range(len(words) - size + 1):
                holders.setdefault(" ".join(words[at : at + size]), set()).add(name)
    phrases = {" ".join(words[:size]): name for name, read in lines.items() for words in read}
    return [Asked(phrase, name) for phrase, name in phrases.items() if len(holders[phrase]) == 1]


class _NoSentences:
    """A sentence encoder whose space no library has, so that semantic search finds nothing."""

    def space(self, channel: str) -> Space:
        return Space("none", "none", 1, channel)

    def encode_sentences(self, texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 1), np.float32)


def measure(
    library: SqliteStore, model: TextEncoder, queries: Mapping[str, Sequence[Asked]]
) -> dict[str, dict[str, dict[str, float]]]:
    """way -> kind -> {"queries", "R@1", "R@5", "MRR"}, recalls in percent."""
    from vsearch.search.engine import SearchEngine

    ways: dict[str, Channel] = {"visual": "visual", "speech": "speech", LETTERS: "speech", "ocr": "ocr", "rrf": "all"}
    result: dict[str, dict[str, dict[str, float]]] = {}
    for way, channel in ways.items():
        engine = SearchEngine(library, model, sentences=_NoSentences() if way == LETTERS else None)
        result[way] = {}
        for kind, asked in queries.items():
            ranks = [_rank(engine.search(Query(one.text, k=DEPTH, per_video=1, channel=channel)), one) for one in asked]
            result[way][kind] = {"queries": len(ranks), **retrieval_figures(np.array(ranks))}
    return result


def _rank(hits: Sequence[Hit], asked: Asked) -> float:
    """Rank of the right file, from 1; infinity where it is not among the hits."""
    return next((float(hit.rank) for hit in hits if hit.video.name == asked.file), np.inf)


def evaluate(arguments: argparse.Namespace) -> None:
    """Measure every kind of query and print the figures."""
    from vsearch.library import SqliteStore

    with SqliteStore.open(arguments.library) as library:
        model = open_model(arguments.model)
        held = {row.path.name for row in library.files()}
        captions = [
            Asked(caption.text, Path(caption.file).name)
            for caption in read_captions(arguments.captions, arguments.captions.parent).captions
            if Path(caption.file).name in held
        ]
        texts = {
            name: spoken(text) for name, text in read_transcripts(arguments.transcripts.parent).items() if name in held
        }
        said = [Asked(" ".join(texts[name][at : at + 5]), name) for name, at in unique_phrases(texts, 5)]
        queries = {
            "visual": captions,
            "spoken": said,
            "mixed": mixed_queries(library, captions),
            "written": written_queries(library),
            "meant": paraphrases(held),
        }
        result = measure(library, model, queries)
    if arguments.json:
        print_json(result)
        return
    for kind, asked in queries.items():
        if not asked:
            continue
        print(f"\n{kind}: {len(asked)} queries over {len(held)} files\n{'':12} {'R@1':>6} {'R@5':>6} {'MRR':>6}")
        for way, kinds in result.items():
            figures = kinds[kind]
            print(f"{way:12} {figures['R@1']:6.1f} {figures['R@5']:6.1f} {figures['MRR']:6.3f}")


def parser() -> argparse.ArgumentParser:
    p = new_parser("eval.fusion", __doc__)
    p.add_argument("library", type=Path, metavar="LIBRARY", help="a library that contains the files of both tables")
    p.add_argument("--captions", type=Path, required=True, metavar="FILE", help="captions.tsv: file, caption")
    p.add_argument("--transcripts", type=Path, required=True, metavar="FILE", help="transcripts.tsv: file, text")
    add_model(p)
    add_json(p)
    return p


main = command(parser, evaluate)


if __name__ == "__main__":
    raise SystemExit(main())
