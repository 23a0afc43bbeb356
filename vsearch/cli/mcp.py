"""`vsearch mcp`."""

from __future__ import annotations

from vsearch.cli.base import DeviceOption, LibraryOption, WeightsOption, app, library_of
from vsearch.cli.question import ModelsOption
from vsearch.errors import InputError


@app.command()
def mcp(
    library: LibraryOption = None,
    model: ModelsOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
) -> None:
    """Let a language model search the library: a read-only server of the Model Context Protocol.

    It uses standard input and output: configure this command in the program that runs the language model.
    """
    try:
        from vsearch.mcp.server import build_server
    except ImportError as error:
        raise InputError("The mcp library is not installed: pip install 'vsearch[mcp]'.") from error
    from vsearch.mcp.tools import LibraryTools

    # The first search loads the model: a program that starts all its servers at once does not wait for it.
    with library_of(library, model, weights, device) as opened:
        build_server(LibraryTools(opened)).run("stdio")
