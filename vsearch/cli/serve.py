"""`vsearch serve`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from vsearch.cli.base import (
    DeviceOption,
    LibraryOption,
    WeightsOption,
    app,
    given_paths,
    settings_of,
)
from vsearch.cli.question import ModelsOption
from vsearch.errors import InputError, PathError

if TYPE_CHECKING:
    pass

CLIPS_BYTES = 2 * 2**30
"""Size of the cache of clips."""


@app.command()
def serve(
    library: LibraryOption = None,
    model: ModelsOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; any other than this computer's own needs VSEARCH_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free one.")] = 8765,
    root: Annotated[
        list[str] | None,
        typer.Option("--root", metavar="FOLDER", help="Clients may index files below this folder; may be repeated."),
    ] = None,
) -> None:
    """Serve the library over HTTP: search, thumbnails, clips, indexing. Stop with Ctrl-C."""
    try:
        from vsearch.server.http_app import make_app
        from vsearch.server.listen import access_for, bind, url_of
        from vsearch.server.listen import serve as serve_until_stopped
        from vsearch.server.server_state import ServerState
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is missing: pip install 'vsearch[server]'") from error
    from vsearch.api import Library
    from vsearch.clips import ClipCache
    from vsearch.indexer.discover import absolute

    settings = settings_of(library, "+".join(model) if model else None, weights=weights, device=device)
    access = access_for(host, settings.token.get_secret_value())
    roots = tuple(absolute(path) for path in given_paths(root or []))
    for folder in roots:
        if not folder.is_dir():
            raise PathError(f"{folder} is not a folder.")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Many queries are answered at once: one thread for each is faster than all threads for one.
    opened = Library(settings, model, create=bool(roots), threads=settings.threads or 1)
    with bind(host, port) as bound:
        opened.load()
        state = ServerState(
            opened, ClipCache(settings.cache / "clips", CLIPS_BYTES), opened.index_events, roots, access
        )
        typer.echo(f"Serving {opened.path} on {url_of(bound)} (routes: {url_of(bound)}/docs). Stop with Ctrl-C.")
        try:
            serve_until_stopped(make_app(state), bound)
        finally:
            if state.close():  # otherwise a thread is still reading: the process ends without closing the library
                opened.close()
