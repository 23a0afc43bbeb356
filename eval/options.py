"""Options that several benchmarks have, said once."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from vsearch.search.query import RERANKS


def add_model(p: ArgumentParser) -> None:
    p.add_argument("--model", default="mini", metavar="NAME", help="name or folder of a model; default: %(default)s")


def add_json(p: ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print one JSON object")


def add_captions(p: ArgumentParser) -> None:
    """Beside a positional DIR."""
    p.add_argument("--captions", type=Path, metavar="FILE", help="default: DIR/captions.tsv or DIR/captions.csv")


def add_rerank(p: ArgumentParser) -> None:
    """As `vsearch query` has it: what a model's own default is."""
    p.add_argument("--rerank", choices=RERANKS, help="default: the model's matching head where it has one, else none")


def add_library(p: ArgumentParser) -> None:
    """For what indexes before it measures."""
    p.add_argument("--library", type=Path, metavar="DIR", help="keep the library there; default: a temporary one")


def add_pictures(p: ArgumentParser) -> None:
    """Pictures and the table of their labels: images, labels, split."""
    p.add_argument("--images", type=Path, nargs="+", required=True, metavar="PATH", help="folders or tar files")
    p.add_argument("--labels", type=Path, required=True, metavar="FILE.tsv", help="columns file, set, split, phrase")
    p.add_argument("--split", metavar="NAME", help="only rows of this split; default: all of them")
