"""The commands of `vsearch`: which module holds each, and its line in `vsearch --help`.

Only the module of the command that is called is imported, so that help and short commands start quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "index": ("index", "Make videos searchable. Run it again to go on, or to take in what is new, changed or moved."),
    "transcript": (
        "transcript",
        "Print the transcript of a file. Redirect it to make a subtitle file: --format srt > name.srt",
    ),
    "query": ("query", "Find the scenes that a sentence, a picture or a clip describes, best first."),
    "export": (
        "export",
        "Write hits as clips, as timelines for editing programs, or as tables. The options of `vsearch query` hold.",
    ),
    "label": ("label", "Label the scenes that show something of a list, for `vsearch query --label`."),
    "describe": ("label", "List the sentences of a file that describe a video best."),
    "status": ("library", "Show what the library contains and which files could not be indexed."),
    "remove": ("library", "Remove videos from the library. The files themselves stay."),
    "verify": (
        "library",
        "Check catalog, embeddings and snapshots. The exit status is 1 if anything is, or remains, damaged.",
    ),
    "ui": (
        "ui",
        "Search, watch and index on a page in the browser. It is served to this computer alone; Ctrl-C ends it.",
    ),
    "serve": (
        "serve",
        "Serve the library over HTTP: search, thumbnails, clips, indexing. Stop with Ctrl-C.",
    ),
    "mcp": (
        "mcp",
        "Let a language model search the library: a read-only server of the Model Context Protocol.",
    ),
    "train": (
        "train",
        "Fine-tune a model on your own clips and captions. The same command resumes an interrupted run.",
    ),
    # export_model adds its command to those of the module models, which it imports
    "models": (
        "export_model",
        "List the known models; choose or remove those of a library.",
    ),
}
"""Name of a command, in the order of the help: its module in vsearch.cli, and the first line of its docstring."""


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

        module, _ = COMMANDS[cmd_name]
        import_module(f"vsearch.cli.{module}")
        from vsearch.cli.base import app

        return get_group(app).commands[cmd_name]

    def summaries(self) -> dict[str, str]:
        return {name: summary for name, (_, summary) in COMMANDS.items()}
