"""`vsearch query`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vsearch.cli.base import JsonOption, app, console_of, print_json
from vsearch.cli.question import Question, answer, asks, print_missing


@app.command()
@asks
def query(
    question: Question,
    open_first: Annotated[bool, typer.Option("--open", help="Play the first hit from its start.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find the scenes that a sentence, a picture or a clip describes, best first."""
    hits, missing = answer(question)
    if as_json:
        print_json([hit.as_json() for hit in hits])
    elif hits:
        from vsearch.report import hits_table

        console_of().print(hits_table(hits, Path.cwd()))
    else:
        console_of(stderr=True).print(
            "There are no hits: nothing is indexed, no scene passes the filters, or no transcript has the quoted words."
        )
    print_missing(missing)
    if open_first and hits:
        from vsearch.player import play

        play(hits[0].video, hits[0].start)
