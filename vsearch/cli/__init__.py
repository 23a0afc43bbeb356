"""The command line: parses arguments, calls the library, prints. Only this package prints and exits.

Heavy modules are imported inside the command that needs them.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from vsearch.cli.base import app
from vsearch.errors import VsearchError

__all__ = ["app", "main"]


def main() -> NoReturn:
    """The console script. An error of vsearch or of the system becomes one line and exit code 1."""
    try:
        app()
    except VsearchError as error:
        from vsearch.report import readable

        print(f"vsearch: {readable(str(error))}", file=sys.stderr)
    except OSError as error:  # a system error that no other code handled
        from vsearch.report import readable

        where = f" ({readable(str(error.filename))})" if error.filename else ""
        print(f"vsearch: the system says: {error.strerror or error}{where}", file=sys.stderr)
    sys.exit(1)
