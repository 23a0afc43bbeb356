"""Write docs/cli.md: the `--help` text of every command, as the program prints it.

python docs/cli_reference.py            write it
python docs/cli_reference.py --check    exit 1 if it is not current
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Read when typer and rich are imported: plain text of a fixed width, independent of the terminal.
os.environ.update(COLUMNS="80", TERMINAL_WIDTH="80", NO_COLOR="1", TERM="dumb", TYPER_USE_RICH="0", LC_ALL="C.UTF-8")
os.environ.pop("FORCE_COLOR", None)

PAGE = Path(__file__).with_name("cli.md")
INTRODUCTION = """\
# Commands

The output of `vsearch --help` and of each command's `--help`. `make docs` writes this page; a test fails when it is out
of date.
"""


def contexts(command: Any, name: str, parent: Any = None) -> Iterator[Any]:
    """Yield the context of the command and of all subcommands that are not hidden, in the order of the help."""
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    yield context
    for child_name in getattr(command, "commands", {}):
        child = command.get_command(context, child_name)
        if not child.hidden:
            yield from contexts(child, child_name, context)


def reference() -> str:
    """Return the text of the page."""
    import typer

    from vsearch.cli import app

    sections = [INTRODUCTION]
    for context in contexts(typer.main.get_command(app), "vsearch"):
        text = "\n".join(line.rstrip() for line in context.get_help().strip().splitlines())
        sections.append(f"## {context.command_path}\n\n```text\n{text}\n```\n")
    return "\n".join(sections)


def main(arguments: list[str]) -> int:
    page = reference()
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            sys.stderr.write("docs/cli.md is out of date: run make docs\n")
            return 1
        return 0
    if arguments:
        sys.stderr.write("usage: python docs/cli_reference.py [--check]\n")
        return 2
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
