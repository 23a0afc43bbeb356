"""The papers agree with the program."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from vsearch.cli import app

ROOT = Path(__file__).parents[1]
PAPERS = ("README.md", "CONTRIBUTING.md")


def shown_commands(paper: str) -> list[list[str]]:
    """The words of every `vsearch ...` line inside a paper's code blocks."""
    text = (ROOT / paper).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:console|sh|shell|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if re.match(r"(\.venv/bin/)?vsearch ", line)]


def test_command_page_is_current() -> None:
    script = [sys.executable, str(ROOT / "docs" / "cli_reference.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_and_option_says_what_it_does() -> None:
    root = typer.main.get_command(app)
    assert root.help
    for name, command in root.commands.items():
        assert command.help, name
        silent = [p.name for p in command.params if p.param_type_name == "option" and not getattr(p, "help", None)]
        assert not silent, f"{name}: {silent}"


def test_readme_shows_the_main_commands() -> None:
    assert {"index", "query"} <= {words[1] for words in shown_commands("README.md")}


@pytest.mark.parametrize("paper", PAPERS)
def test_commands_in_papers_exist_with_their_options(paper: str) -> None:
    known = typer.main.get_command(app).commands
    for _, name, *words in shown_commands(paper):
        if name.startswith("--"):
            continue
        assert name in known, f"{paper}: vsearch {name}"
        options = {option for parameter in known[name].params for option in parameter.opts + parameter.secondary_opts}
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= options | {"--help"}, f"{paper}: vsearch {name} {given - options}"
