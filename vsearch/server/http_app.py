"""The HTTP application: routes, errors as JSON, and the guard before them."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from vsearch import __version__
from vsearch.errors import InputError, LibraryError, PathError, VsearchError
from vsearch.server.answers import problem
from vsearch.server.docs_page import page_of
from vsearch.server.guard import Guard
from vsearch.server.limits import RETRY_SECONDS
from vsearch.server.roots import NotAllowed
from vsearch.server.routes import router
from vsearch.server.server_state import ServerState

DESCRIPTION = "Find the moment in a video that a sentence describes."


def make_app(state: ServerState) -> FastAPI:
    """The application over a server state, which the caller closes."""
    app = FastAPI(
        title="vsearch",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load scripts from the network
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.server = state
    app.include_router(router)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page_of(app.openapi()))

    app.add_exception_handler(VsearchError, _ours)
    app.add_exception_handler(NotAllowed, _not_allowed)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Guard, state=state)
    return app


def _ours(request: Request, error: Exception) -> Response:
    """An error of vsearch: its line, and the status that fits its class."""
    retry = {"Retry-After": str(RETRY_SECONDS)}
    if isinstance(error, PathError):
        return problem(404, str(error))
    if isinstance(error, InputError):
        return problem(422, str(error))
    return problem(503, str(error), retry) if isinstance(error, LibraryError) else problem(500, str(error))


def _not_allowed(request: Request, error: Exception) -> Response:
    return problem(403, "The server indexes files below its --root folders, and files that are in the library already.")


def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), dict(error.headers or {}))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return problem(422, f"{where}: {first['msg']}")
