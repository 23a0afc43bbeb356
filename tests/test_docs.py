"""The documentation agrees with the program: commands, options, variables, Python examples, links."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.media import Shot, make_video
from vsearch.cli import app
from vsearch.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
    if path.name not in ("cli.md", "CHANGELOG.md")  # the first is generated, the second is history
)


def code_blocks(page: str, *languages: str) -> list[str]:
    """The code blocks of a page in one of these languages."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```(?:{'|'.join(languages)})\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shown_commands(page: str, program: str) -> list[list[str]]:
    """The words of every command of `program` in the console blocks of a page, without the program's own name."""
    commands = []
    for block in code_blocks(page, "console", "sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            while words:
                end = words.index("|") if "|" in words else len(words)
                command, words = words[:end], words[end + 1 :]
                while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                    command.pop(0)
                if command and command[0].removeprefix(".venv/bin/") == program:
                    commands.append(command[1:])
    return commands


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and the words after its name. Commands are imported when they are called."""
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="vsearch")
    while words and words[0] in getattr(command, "commands", {}):
        command = command.get_command(context, words[0])
        context = command.context_class(command, info_name=words[0], parent=context)
        words = words[1:]
    return command, words


def test_command_page_is_current() -> None:
    script = [sys.executable, str(ROOT / "docs" / "cli_reference.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_and_option_has_a_help_text() -> None:
    root: Any = typer.main.get_command(app)
    assert root.help
    for name in root.commands:
        command = find_command([name])[0]
        assert command.help, name
        silent = [p.name for p in command.params if p.param_type_name == "option" and not getattr(p, "help", None)]
        assert not silent, f"{name}: {silent}"


def test_readme_shows_the_main_commands() -> None:
    assert {"index", "query"} <= {words[0] for words in shown_commands("README.md", "vsearch")}


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_readme_links_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {*PAGES, "docs/cli.md", "CHANGELOG.md"} - {"README.md", "docs/paths.md"} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist_with_their_options_and_values(page: str) -> None:
    for words in shown_commands(page, "vsearch"):
        command, words = find_command(words)
        assert command.name, f"{page}: vsearch {words}"
        options = {
            name: parameter
            for parameter in command.params
            if parameter.param_type_name == "option"
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        for word, value in pairwise([*words, ""]):
            if re.match(r"--?[a-z]", word):
                name, _, joined = word.partition("=")
                assert name in {*options, "--help"}, f"{page}: {command.name} {word}"
                choices = (getattr(options.get(name), "metavar", None) or "").split("|")  # such as speech|ocr
                allowed = len(choices) == 1 or (joined or value) in choices
                assert allowed, f"{page}: {command.name} {word} {value}"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_and_modules_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in shown_commands(page, "make"):
        assert set(words) <= targets, f"{page}: make {words}"
    text = (ROOT / page).read_text(encoding="utf-8")
    for module in re.findall(r"python -m ((?:vsearch|eval|benchmarks)[.\w]*)", text):
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), f"{page}: {module}"


@pytest.mark.parametrize("page", PAGES)
def test_source_files_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for file in re.findall(r"`((?:vsearch|indexer|ui|eval|benchmarks|tests)/[\w/.]+)`", text):
        assert (ROOT / file).exists(), f"{page}: {file}"


def test_configuration_page_lists_every_variable() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(VSEARCH_\w+)`", text))
    assert listed == {f"VSEARCH_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES)
def test_variables_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(r"\bVSEARCH_(\w+)", text)) <= {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", [page for page in PAGES if code_blocks(page, "python")])
def test_python_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "demo" / "videos"
    folder.mkdir(parents=True)
    make_video(folder / "colours.mp4", [Shot("red", 3.0), Shot("blue", 3.0)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VSEARCH_MODEL", "fake")
    for number, block in enumerate(code_blocks(page, "python"), start=1):
        exec(compile(block, f"{page}, example {number}", "exec"), {"__name__": "example"})
