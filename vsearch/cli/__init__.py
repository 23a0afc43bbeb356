"""The commands: parse, call, print; nothing else. Only this package prints and exits.

What is heavy to import is imported inside the command that needs it, so that `vsearch --help` is instant. A module a
command or a family of commands; the order of the imports below is the order of the help.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from vsearch.cli.base import app

from vsearch.cli import index, transcript, query, export, label, library, ui, serve, mcp, models, export_model, train  # isort: skip
from vsearch.errors import VsearchError

__all__ = [
    "app",
    "export",
    "export_model",
    "index",
    "label",
    "library",
    "main",
    "mcp",
    "models",
    "query",
    "serve",
    "train",
    "transcript",
    "ui",
]


def main() -> NoReturn:
    """The console script: errors of ours become one line and exit code 1."""
    try:
        app()
    except VsearchError as error:
        from vsearch.report import readable

        print(f"vsearch: {readable(str(error))}", file=sys.stderr)
    except OSError as error:  # the system refuses something that no room foresaw: say what, not where in the code
        from vsearch.report import readable

        where = f" ({readable(str(error.filename))})" if error.filename else ""
        print(f"vsearch: the system says: {error.strerror or error}{where}", file=sys.stderr)
    sys.exit(1)
