"""Parsers of the benchmark commands, and the options that several of them share."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from eval.report import run
from vsearch.search.query import RERANKS


def new_parser(module: str, doc: str | None) -> ArgumentParser:
    """The parser of `python -m module`, described by the first paragraph of its docstring."""
    return ArgumentParser(prog=f"python -m {module}", description=(doc or "").partition("\n\n")[0])


def command(parser: Callable[[], ArgumentParser], evaluate: Callable[[Namespace], None]) -> Callable[..., int]:
    """A main function: parses its arguments, calls `evaluate`, returns the exit code."""

    def main(argv: Sequence[str] | None = None) -> int:
        return run(partial(evaluate, parser().parse_args(argv)))

    return main


def add_model(p: ArgumentParser) -> None:
    p.add_argument("--model", default="mini", metavar="NAME", help="name or folder of a model; default: %(default)s")


def add_speech_model(p: ArgumentParser) -> None:
    p.add_argument("--model", metavar="NAME", help="a Whisper model's name or folder; VSEARCH_SPEECH_MODEL, else base")


def add_json(p: ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print one JSON object")


def add_captions(p: ArgumentParser) -> None:
    """The table of captions, for commands with a positional DIR."""
    p.add_argument("--captions", type=Path, metavar="FILE", help="default: DIR/captions.tsv or DIR/captions.csv")


def add_rerank(p: ArgumentParser) -> None:
    """The re-ranking, as `vsearch query` has it."""
    p.add_argument("--rerank", choices=RERANKS, help="default: the model's matching head where it has one, else none")


def add_library(p: ArgumentParser) -> None:
    """Where to keep the library that the command indexes."""
    p.add_argument("--library", type=Path, metavar="DIR", help="keep the library there; default: a temporary one")


def add_pictures(p: ArgumentParser) -> None:
    """Pictures, the table of their labels, and the split to use."""
    p.add_argument("--images", type=Path, nargs="+", required=True, metavar="PATH", help="folders or tar files")
    p.add_argument("--labels", type=Path, required=True, metavar="FILE.tsv", help="columns file, set, split, phrase")
    p.add_argument("--split", metavar="NAME", help="only rows of this split; default: all of them")
