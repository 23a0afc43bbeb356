"""`vsearch serve`."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vsearch.cli.base import (
    DeviceOption,
    LibraryOption,
    WeightsOption,
    app,
    given_paths,
    named_models,
    open_library,
)
from vsearch.cli.question import ModelsOption, build_engine, model_settings
from vsearch.errors import InputError, PathError

if TYPE_CHECKING:
    from vsearch.indexer.events import Event
    from vsearch.library import SqliteStore
    from vsearch.server.jobs import Runner
    from vsearch.settings import Settings

CLIPS_BYTES = 2 * 2**30
"""Of clips that are kept."""


@app.command()
def serve(
    library: LibraryOption = None,
    model: ModelsOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; another than this computer's own needs VSEARCH_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any that is free.")] = 8765,
    root: Annotated[
        list[str] | None,
        typer.Option("--root", metavar="FOLDER", help="Clients may have indexed what lies below; may be repeated."),
    ] = None,
) -> None:
    """Answer over HTTP, for programs: search, thumbnails, clips, indexing. Stop with Ctrl-C."""
    try:
        from vsearch.server.app import make_app
        from vsearch.server.run import access_for, bind, url_of
        from vsearch.server.run import serve as serve_until_stopped
        from vsearch.server.service import Service, Tools
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is missing: pip install 'vsearch[server]'") from error
    from vsearch.clips import ClipCache
    from vsearch.indexer.clip import encode_clip
    from vsearch.indexer.discover import absolute

    settings = model_settings(library, model, weights, device)
    access = access_for(host, settings.token.get_secret_value())
    roots = tuple(absolute(path) for path in given_paths(root or []))
    for folder in roots:
        if not folder.is_dir():
            raise PathError(f"{folder} is not a folder.")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    opened = open_library(settings, create=bool(roots))
    with bind(host, port) as bound:
        # Many are answered at once: a thread each is more than all threads for one.
        engine, models = build_engine(settings.model_copy(update={"threads": settings.threads or 1}), opened, model)
        clips = ClipCache(settings.cache / "clips", CLIPS_BYTES)
        tools = Tools(_runner(settings, opened, model), lambda path: encode_clip(path, models))
        service = Service(opened, engine, clips, tools, roots, access)
        typer.echo(f"Serving {opened.path} on {url_of(bound)} (routes: {url_of(bound)}/docs). Stop with Ctrl-C.")
        try:
            serve_until_stopped(make_app(service), bound)
        finally:
            if service.close():  # else a thread still reads: the process ends, and that is enough
                opened.close()


def _runner(settings: Settings, library: SqliteStore, model: Sequence[str] | None) -> Runner:
    """Index runs as of `vsearch index`, with the first of the models that answer."""

    def run(paths: Sequence[Path]) -> Generator[Event, None, None]:
        from vsearch.indexer.run import prepare_run

        # Its own model: encoding many frames at once pays with more threads than answering does.
        return prepare_run(settings, named_models(settings, library, model)[0]).events(library, paths)

    return run
