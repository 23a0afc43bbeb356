"""The commands of `vsearch` and the modules that define them.

Only the module of the command that is called is imported, so that help and short commands start quickly. The help of
`vsearch` reads the docstrings of the commands from the source files.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "index": "index",
    "transcript": "transcript",
    "query": "query_command",
    "export": "export",
    "label": "label",
    "describe": "label",
    "status": "library",
    "remove": "library",
    "verify": "library",
    "ui": "ui",
    "serve": "serve",
    "mcp": "mcp",
    "train": "train",
    "models": "models",
}
"""Name of a command, in the order of the help: its module in vsearch.cli."""


class CommandGroup(TyperGroup):
    """A group whose help shows the whole first paragraph of each command."""

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False  # its own default, None, makes Typer import pydantic to convert it
        return option

    def summaries(self) -> dict[str, str]:
        return {name: (command.help or "").partition("\n\n")[0] for name, command in self.commands.items()}

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries().items()))


class LazyCommandGroup(CommandGroup):
    """The group of all commands: imports the module of a command when it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: self.commands.get(name) or TyperCommand(name) for name in COMMANDS}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        from typer.main import get_group

        import_module(f"vsearch.cli.{COMMANDS[cmd_name]}")
        if cmd_name == "models":
            import_module("vsearch.cli.export_model")  # adds `vsearch models export`
        from vsearch.cli.base import app

        return get_group(app).commands[cmd_name]

    def summaries(self) -> dict[str, str]:
        trees = {
            module: ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
            for module in set(COMMANDS.values())
        }
        return {name: _summary(trees[module], name) for name, module in COMMANDS.items()}


def _summary(tree: ast.Module, function: str) -> str:
    """The first paragraph of a function's docstring."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return (ast.get_docstring(node) or "").partition("\n\n")[0]
    raise AssertionError(f"no function {function}")
