"""What the page's player asks for, by the id of a scene: its thumbnail, how it can be played, and the film itself.

Only files of the library are ever sent. No path comes from a request. What is sent says what it is and is never a
document: a film whose file would pass as a web page stays a film.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vsearch.errors import VsearchError
from vsearch.report import readable
from vsearch.ui.playback import Film, how_to_play, made_clip, media_type
from vsearch.ui.service import Service

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def routes(service: Callable[[], Service]) -> list[BaseRoute]:
    """Endpoints are plain functions: Starlette runs them in threads."""

    def thumbnail(request: Request) -> Response:
        try:
            picture = service().library.store.thumbnail(_scene_id(request))
        except VsearchError:
            picture = None
        if picture is None:
            return Response(status_code=404, headers=SAFE)
        kind = "image/webp" if picture[8:12] == b"WEBP" else "image/jpeg"
        return Response(picture, media_type=kind, headers=SAFE | {"Cache-Control": "private, max-age=3600"})

    def play(request: Request) -> Response:
        scene_id = _scene_id(request)
        try:
            film = _film(service(), request)
            plan = how_to_play(film, service().settings.cache, clip=request.query_params.get("clip") == "1")
        except VsearchError as error:
            return JSONResponse({"error": readable(str(error))}, status_code=404, headers=SAFE)
        end = "" if plan.kind == "original" else f"?start={film.start:.3f}&end={film.end:.3f}"
        return JSONResponse(
            {
                "kind": plan.kind,
                "url": f"vsearch/{plan.kind}/{scene_id}{end}",
                "start": round(film.start - plan.offset, 3),
                "offset": round(plan.offset, 3),
                "note": plan.note,
            },
            headers=SAFE,
        )

    def original(request: Request) -> Response:
        try:
            path = _film(service(), request).path
        except VsearchError as error:
            return JSONResponse({"error": readable(str(error))}, status_code=404, headers=SAFE)
        return FileResponse(path, media_type=media_type(path), headers=SAFE)

    def clip(request: Request) -> Response:
        try:
            path = made_clip(_film(service(), request), service().settings.cache)
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
    return min(scene, 2**62)  # more than SQLite can hold is no scene either


def _film(service: Service, request: Request) -> Film:
    """The file of a scene and the part of it that is asked for. Raises PathError, LibraryError."""
    row = service.scene(_scene_id(request))
    start, end = (_seconds(request, "start"), _seconds(request, "end"))
    return Film.of(row, start, end)


def _seconds(request: Request, name: str) -> float | None:
    try:
        value = float(request.query_params.get(name, "nan"))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
