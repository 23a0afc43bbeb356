"""The page's server: Streamlit, and beside it the routes that its player asks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from streamlit import App

from vsearch.settings import Settings
from vsearch.ui.routes import routes
from vsearch.ui.service import close_services, shared_service

PAGE = Path(__file__).with_name("app.py")
ADDRESS = "127.0.0.1"
HOSTS = ["127.0.0.1", "localhost"]
"""Names under which the page may be asked for: with any other, a website may have its name lead here."""

GRACE = 15.0
"""Seconds after Ctrl-C in which browsers may hang up and a run of the indexer may end."""

LIGHT = {"primaryColor": "#5b5bd6", "backgroundColor": "#fbfbfd", "secondaryBackgroundColor": "#f1f1f6"}
DARK = {"primaryColor": "#8b8bf5", "backgroundColor": "#101116", "secondaryBackgroundColor": "#1b1c24"}


def build(settings: Settings) -> App:
    """The application of a library. The page finds its settings in the environment, as every part of vsearch does."""
    os.environ["VSEARCH_LIBRARY"] = str(settings.library)
    if "model" in settings.model_fields_set:  # else it is the library that says which
        os.environ["VSEARCH_MODEL"] = settings.model

    @asynccontextmanager
    async def lifespan(_: App) -> AsyncIterator[dict[str, Any]]:
        _limit_goodbyes()
        try:
            yield {}
        finally:
            close_services()

    return App(
        PAGE,
        routes=routes(lambda: shared_service(settings)),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
        lifespan=lifespan,
    )


def _limit_goodbyes() -> None:
    """Uvicorn waits for every connection to close, however long that takes. A library is whole at any instant, so the
    program may end without them. Uvicorn's own handler has been set by now, and is asked first."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: FrameType | None) -> None:
        timer = threading.Timer(GRACE, os._exit, [130])
        timer.daemon = True
        timer.start()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGINT, interrupted)


def options(port: int) -> dict[str, Any]:
    """Streamlit's own settings: nothing is sent anywhere, no file is watched, no traceback reaches the page."""
    found: dict[str, Any] = {
        "server.address": ADDRESS,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.allowedHosts": HOSTS,
        "server.showEmailPrompt": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "runner.magicEnabled": False,
        "logger.hideWelcomeMessage": True,
        "theme.baseRadius": "0.7rem",
    }
    for name, colours in (("light", LIGHT), ("dark", DARK)):
        found |= {f"theme.{name}.{key}": value for key, value in colours.items()}
    return found


def run(settings: Settings, port: int) -> None:
    """Serve until somebody stops it."""
    try:
        build(settings).run(config=options(port))
    finally:
        close_services()
