"""The server of the page: Streamlit, with the routes of the player."""

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
from vsearch.ui.page_state import close_states, shared_state
from vsearch.ui.player_routes import routes

PAGE = Path(__file__).with_name("app.py")
ADDRESS = "127.0.0.1"
HOSTS = ["127.0.0.1", "localhost"]
"""Allowed Host headers; others could be websites whose name was made to point here (DNS rebinding)."""

GRACE = 15.0
"""Seconds after Ctrl-C for connections to close and an index run to end."""

LIGHT = {"primaryColor": "#5b5bd6", "backgroundColor": "#fbfbfd", "secondaryBackgroundColor": "#f1f1f6"}
DARK = {"primaryColor": "#8b8bf5", "backgroundColor": "#101116", "secondaryBackgroundColor": "#1b1c24"}


def build(settings: Settings) -> App:
    """The application for a library. app.py reads its settings from the environment."""
    os.environ["VSEARCH_LIBRARY"] = str(settings.library)
    if "model" in settings.model_fields_set:  # else the library names its model
        os.environ["VSEARCH_MODEL"] = settings.model

    @asynccontextmanager
    async def lifespan(_: App) -> AsyncIterator[dict[str, Any]]:
        _limit_shutdown()
        try:
            yield {}
        finally:
            close_states()

    return App(
        PAGE,
        routes=routes(lambda: shared_state(settings)),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
        lifespan=lifespan,
    )


def _limit_shutdown() -> None:
    """End the process GRACE seconds after Ctrl-C, even if connections are open, for which Uvicorn would wait.

    The library is consistent at any time. Uvicorn's own handler is already set, and runs as well.
    """
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
    """Settings of Streamlit: no telemetry, no watched files, no tracebacks on the page."""
    settings: dict[str, Any] = {
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
        settings |= {f"theme.{name}.{key}": value for key, value in colours.items()}
    return settings


def run(settings: Settings, port: int) -> None:
    """Serve until Ctrl-C."""
    try:
        build(settings).run(config=options(port))
    finally:
        close_states()
