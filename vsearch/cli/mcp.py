"""`vsearch mcp`."""

from __future__ import annotations

from vsearch.cli.base import DeviceOption, LibraryOption, WeightsOption, app
from vsearch.cli.question import ModelsOption, build_engine, model_settings
from vsearch.errors import InputError


@app.command()
def mcp(
    library: LibraryOption = None,
    model: ModelsOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
) -> None:
    """Let a language model search the library: a server of the Model Context Protocol, which only reads.

    It talks over standard input and output: give this command to the program that holds the model.
    """
    try:
        from vsearch.mcp.server import build_server
    except ImportError as error:
        raise InputError("The mcp library is not installed: pip install 'vsearch[mcp]'.") from error
    from vsearch.library import SqliteStore
    from vsearch.mcp.tools import Tools

    settings = model_settings(library, model, weights, device)
    with SqliteStore.open(settings.library, upgrade=False) as opened:
        # The model is loaded by the first search: a program that starts all its servers at once does not wait for it.
        build_server(Tools(opened, lambda: build_engine(settings, opened, model)[0])).run("stdio")
