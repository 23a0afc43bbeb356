"""Pictures, words, and both in one list: python -m eval.fusion LIBRARY --captions FILE --transcripts FILE.

The library holds videos and sound, indexed with their words. Kinds of query, each with one right file:

    visual   a caption of a video
    spoken   five words in a row of a transcript, which only one file holds
    mixed    a caption, and three words of what was heard in the same video
    written  three words in a row of a line that was read in a video's pictures (`vsearch index --ocr`), which only one
             file holds; what was read is taken for the truth
    meant    what was heard in other words, written by hand (eval/splits/paraphrases.tsv)

Each is asked of every channel alone and of every way to fuse them; the rank of a file is that of its best hit.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.captions import read_captions
from eval.models import open_model
from eval.options import add_json, add_model
from eval.report import print_json, run
from eval.speech import read_transcripts, spoken, unique_phrases
from vsearch.library.terms import STOP_WORDS, tokens
from vsearch.media import Space, Vectors
from vsearch.search.fuse import HOWS, Fusion
from vsearch.search.query import TEXT, Channel, Query

if TYPE_CHECKING:
    from vsearch.library import SqliteStore
    from vsearch.models.protocols import TextEncoder

SPEECH = "speech"
LETTERS = "exact words"
"""The way of the channel speech without meaning."""
DEPTH = 50
"""Hits that are looked at; a file behind them has no rank."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and the name of the file that answers it."""

    text: str
    file: str


def paraphrases(held: Collection[str]) -> list[Asked]:
    """Those of the table whose files are there."""
    with (Path(__file__).parent / "splits" / "paraphrases.tsv").open(encoding="utf-8", newline="") as file:
        return [Asked(row["query"], row["file"]) for row in csv.DictReader(file, delimiter="\t") if row["file"] in held]


def mixed_queries(library: SqliteStore, captions: Sequence[Asked], seed: int = 0) -> list[Asked]:
    """Captions of files in which something is said, with three words of it that say something."""
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
    """Words in a row of lines that were read in pictures, a phrase a line, where no other file holds them."""
    lines: dict[str, list[list[str]]] = {}
    for row in library.files():
        read = [tokens(line.text) for line in library.transcript(row.video_id) if line.channel == TEXT]
        lines[row.path.name] = [words for words in read if len(words) >= size]
    holders: dict[str, set[str]] = {}
    for name, read in lines.items():
        for words in read:
            for at in range(len(words) - size + 1):
                holders.setdefault(" ".join(words[at : at + size]), set()).add(name)
    phrases = {" ".join(words[:size]): name for name, read in lines.items() for words in read}
    return [Asked(phrase, name) for phrase, name in phrases.items() if len(holders[phrase]) == 1]


class _NoSentences:
    """Stands for the encoder where exact words alone are measured: no library has vectors in its space."""

    def space(self, channel: str) -> Space:
        return Space("none", "none", 1, channel)

    def encode_sentences(self, texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 1), np.float32)


def measure(
    library: SqliteStore, model: TextEncoder, queries: Mapping[str, Sequence[Asked]]
) -> dict[str, dict[str, dict[str, float]]]:
    """way -> kind -> {"queries", "R@1", "R@5", "MRR"}, shares in [0, 1]."""
    from vsearch.search.engine import SearchEngine

    ways: dict[str, tuple[Channel, Fusion]] = {"visual": ("visual", Fusion()), "speech": ("speech", Fusion())}
    ways |= {LETTERS: ("speech", Fusion()), "text": ("text", Fusion())}
    ways |= {how: ("all", Fusion(how=how)) for how in HOWS}
    result: dict[str, dict[str, dict[str, float]]] = {}
    for way, (channel, fusion) in ways.items():
        engine = SearchEngine(library, model, fusion, _NoSentences() if way == LETTERS else None)
        result[way] = {}
        for kind, asked in queries.items():
            ranks = [_rank(engine.search(Query(one.text, k=DEPTH, per_video=1, channel=channel)), one) for one in asked]
            count = max(1, len(ranks))
            result[way][kind] = {
                "queries": len(ranks),
                "R@1": sum(rank == 1 for rank in ranks) / count,
                "R@5": sum(0 < rank <= 5 for rank in ranks) / count,
                "MRR": sum(1 / rank for rank in ranks if rank) / count,
            }
    return result


def _rank(hits: Sequence[Any], asked: Asked) -> int:
    """From 1; 0 where the file is not among the hits."""
    return next((hit.rank for hit in hits if hit.video.name == asked.file), 0)


def evaluate(arguments: argparse.Namespace) -> None:
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
            print(f"{way:12} {100 * figures['R@1']:6.1f} {100 * figures['R@5']:6.1f} {figures['MRR']:6.3f}")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m eval.fusion", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("library", type=Path, metavar="LIBRARY", help="a library that holds the files of both tables")
    p.add_argument("--captions", type=Path, required=True, metavar="FILE", help="captions.tsv: file, caption")
    p.add_argument("--transcripts", type=Path, required=True, metavar="FILE", help="transcripts.tsv: file, text")
    add_model(p)
    add_json(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    return run(partial(evaluate, parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
