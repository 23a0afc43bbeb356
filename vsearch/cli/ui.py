"""`vsearch ui`."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import Annotated

import typer

from vsearch.cli.base import LibraryOption, ModelOption, app, settings_of
from vsearch.errors import InputError


@app.command()
def ui(
    library: LibraryOption = None,
    model: ModelOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page is served on this computer.")] = 8501,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = False,
) -> None:
    """Search, watch and index on a page in the browser, for this computer only. Stop with Ctrl-C."""
    if find_spec("streamlit") is None:
        raise InputError("The page needs streamlit: run pip install 'vsearch[ui]'.")
    settings = settings_of(library, model)
    _check_free(port)
    from vsearch.report import readable

    address = f"http://127.0.0.1:{port}"
    typer.echo(f"vsearch is at {address} with the library {readable(settings.library)}. Ctrl-C ends it.")
    if browse:
        import webbrowser
        from threading import Timer

        timer = Timer(1.5, webbrowser.open, [address])
        timer.daemon = True
        timer.start()
    from vsearch.ui.page_server import run

    run(settings, port)


def _check_free(port: int) -> None:
    """Raise InputError where the port is in use: Streamlit would silently use another one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"Port {port} is in use: choose another one with --port.") from error
