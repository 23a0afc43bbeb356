"""The routes of the player, by scene id: its thumbnail, how it can be played, and the media.

Only files of the library are sent, and no path comes from a request. Responses have a media type that is never that of
a document, so that a video file with HTML in it cannot run as a page.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vsearch.errors import VsearchError
from vsearch.report import readable
from vsearch.ui.page_state import PageState
from vsearch.ui.playback import Span, how_to_play, made_clip, media_type

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def routes(state: Callable[[], PageState]) -> list[BaseRoute]:
    """The routes. Endpoints are plain functions, which Starlette runs in threads."""

    def thumbnail(request: Request) -> Response:
        try:
            picture = state().library.store.thumbnail(_scene_id(request))
        except VsearchError:
            picture = None
        if picture is None:
            return Response(status_code=404, headers=SAFE)
        kind = "image/webp" if picture[8:12] == b"WEBP" else "image/jpeg"
        return Response(picture, media_type=kind, headers=SAFE | {"Cache-Control": "private, max-age=3600"})

    def play(request: Request) -> Response:
        scene_id = _scene_id(request)
        try:
            span = _span(state(), request)
            plan = how_to_play(span, state().settings.cache, clip=request.query_params.get("clip") == "1")
        except VsearchError as error:
            return JSONResponse({"error": readable(str(error))}, status_code=404, headers=SAFE)
        end = "" if plan.kind == "original" else f"?start={span.start:.3f}&end={span.end:.3f}"
        return JSONResponse(
            {
                "kind": plan.kind,
                "url": f"vsearch/{plan.kind}/{scene_id}{end}",
                "start": round(span.start - plan.offset, 3),
                "offset": round(plan.offset, 3),
                "note": plan.note,
            },
            headers=SAFE,
        )

    def original(request: Request) -> Response:
        try:
            path = _span(state(), request).path
        except VsearchError as error:
            return JSONResponse({"error": readable(str(error))}, status_code=404, headers=SAFE)
        return FileResponse(path, media_type=media_type(path), headers=SAFE)

    def clip(request: Request) -> Response:
        try:
            path = made_clip(_span(state(), request), state().settings.cache)
        except VsearchError as error:
            return JSONResponse({"error": readable(str(error))}, status_code=404, headers=SAFE)
        return FileResponse(path, media_type=media_type(path), headers=SAFE)

    return [
        Route("/vsearch/thumbnail/{scene:int}", thumbnail),
        Route("/vsearch/play/{scene:int}", play),
        Route("/vsearch/original/{scene:int}", original),
        Route("/vsearch/clip/{scene:int}", clip),
    ]


def _scene_id(request: Request) -> int:
    scene: int = request.path_params["scene"]
    return min(scene, 2**62)  # the largest integer of SQLite is above


def _span(state: PageState, request: Request) -> Span:
    """The requested span of the file of a scene. Raises PathError, LibraryError."""
    row = state.scene(_scene_id(request))
    start, end = (_seconds(request, "start"), _seconds(request, "end"))
    return Span.of(row, start, end)


def _seconds(request: Request, name: str) -> float | None:
    try:
        value = float(request.query_params.get(name, "nan"))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
