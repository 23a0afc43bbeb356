"""The routes. Each hands its work to a pool of threads: nothing here blocks."""

from __future__ import annotations

import shutil
import stat
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Depends, File, Form, HTTPException, Query, Response, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from vsearch import __version__
from vsearch.errors import MediaError
from vsearch.library.rows import VideoRow
from vsearch.search.example import Example, SceneExample, read_picture
from vsearch.search.query import Query as SearchQuery
from vsearch.server import answers
from vsearch.server.answers import AsciiJSON, Problem
from vsearch.server.asked import LARGEST_ID, Asked, Filters, SceneId, only_one
from vsearch.server.jobs import JobsFull
from vsearch.server.limits import MAX_PATHS, MAX_WORDS, RETRY_SECONDS
from vsearch.server.metrics import CONTENT_TYPE, family
from vsearch.server.roots import allowed_paths
from vsearch.server.service import Service, service_of

KINDS = {".mp4": "video/mp4", ".webm": "video/webm", ".m4a": "audio/mp4"}

Responses = dict[int | str, dict[str, Any]]


def fails(*statuses: int) -> Responses:
    """What can go wrong, for the OpenAPI description; 401, 403, 408, 413, 500 and 503 can with every route."""
    return {status: {"model": Problem} for status in (401, 403, 408, 413, 500, 503, *statuses)}


router = APIRouter(default_response_class=AsciiJSON)
ServiceHere = Annotated[Service, Depends(service_of)]
Id = Annotated[int, InPath(ge=1, le=LARGEST_ID)]


@router.get("/search", response_model=list[answers.Found], responses=fails(422))
async def search(service: ServiceHere, asked: Annotated[Asked, Query()]) -> Response:
    """Scenes that words describe, or that are like a scene; best first. The objects of `vsearch query --json`."""
    query = asked.query(asked.q, asked.example())
    return AsciiJSON(await service.quick.run(partial(_hits, service, query)))


@router.post("/search", response_model=list[answers.Found], responses=fails(400, 422))
async def search_by_example(
    service: ServiceHere,
    filters: Annotated[Filters, Query()],
    q: Annotated[str, Form(max_length=MAX_WORDS, description="Words, alone or beside an example.")] = "",
    like: Annotated[SceneId | None, Form(description="More like this scene.")] = None,
    image: Annotated[UploadFile | None, File(description="A picture to look for.")] = None,
    clip: Annotated[UploadFile | None, File(description="A clip to look for, at most two minutes.")] = None,
) -> Response:
    """The same by words, a picture, a clip or a scene; an upload is gone when the answer is there."""
    only_one(like, image, clip)
    example: Example | None = None
    if like is not None:
        example = SceneExample(like)
    elif image is not None:
        data = await image.read()
        example = await service.slow.run(partial(read_picture, data))
    elif clip is not None:
        example = await service.slow.run(partial(_read_clip, service, clip.file))
    query = filters.query(q, example)
    return AsciiJSON(await service.quick.run(partial(_hits, service, query)))


@router.get("/videos", response_model=answers.Videos, responses=fails(422))
async def videos(
    service: ServiceHere,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 100,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID, description="Only ids above this one: `next` of a page.")] = 0,
) -> Response:
    """What the library holds, by id."""
    rows = await service.quick.run(partial(service.library.videos, after, limit + 1))
    page = rows[:limit]
    following = page[-1][0].id if len(rows) > limit else None
    return AsciiJSON({"videos": [_video(row, scenes) for row, scenes in page], "next": following})


@router.get("/videos/{id}", response_model=answers.WholeVideo, responses=fails(404, 422))
async def video(service: ServiceHere, id: Id) -> Response:
    """One video and its scenes."""
    return AsciiJSON(await service.quick.run(partial(_whole_video, service, id)))


@router.get(
    "/scenes/{id}/thumbnail",
    response_class=Response,
    responses=fails(404, 422) | {200: {"content": {"image/jpeg": {}}}},
)
async def thumbnail(service: ServiceHere, id: Id) -> Response:
    """A small picture of a scene."""
    picture = await service.quick.run(partial(service.library.thumbnail, id))
    if picture is None:
        raise HTTPException(404, "There is no such scene, or no picture of it.")
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


@router.get(
    "/scenes/{id}/clip",
    response_class=Response,
    responses=fails(404, 422)
    | {
        200: {"content": {kind: {} for kind in KINDS.values()}},
        206: {"description": "A part, as Range asks", "content": {kind: {} for kind in KINDS.values()}},
        400: {"description": "A Range that makes no sense", "content": {"text/plain": {}}},
        416: {"description": "A Range beyond the end", "content": {"text/plain": {}}},
    },
)
async def clip(service: ServiceHere, id: Id) -> Response:
    """The scene as a file that every browser plays. Byte ranges are answered."""
    path = await service.slow.run(partial(_clip, service, id))
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise HTTPException(404, "The clip is gone: ask again.")
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type=KINDS[path.suffix], stat_result=status, headers=headers)


class IndexRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    paths: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=4096)]],
        Field(max_length=MAX_PATHS, description="Absolute paths. None: every folder that the server was given."),
    ] = []


@router.post("/index", status_code=202, response_model=answers.Job, responses=fails(400, 415, 422))
async def index(service: ServiceHere, wanted: IndexRequest) -> Response:
    """Bring the library up to date with files or folders: below the folders that the server was given, everything;
    elsewhere, only files that the library knows already. Ask /jobs/{id} how far it is."""
    paths = await service.quick.run(partial(allowed_paths, wanted.paths, service.roots, service.library))
    try:
        job = service.jobs.add(paths)
    except JobsFull:
        text = "Too many index jobs wait already: try again later."
        raise HTTPException(503, text, headers={"Retry-After": str(30 * RETRY_SECONDS)}) from None
    return AsciiJSON(job, status_code=202, headers={"Location": f"/jobs/{job['id']}"})


@router.get("/jobs/{id}", response_model=answers.Job, responses=fails(404, 422))
async def job(service: ServiceHere, id: Annotated[str, InPath(max_length=64)]) -> Response:
    """How far an index job is."""
    found = service.jobs.find(id)
    if found is None:
        raise HTTPException(404, "There is no such job.")
    return AsciiJSON(found)


@router.get("/health", response_model=answers.Health, responses=fails())
async def health(service: ServiceHere) -> Response:
    """Whether the library answers. Needs no token."""
    await service.quick.run(service.library.spaces)
    return AsciiJSON({"status": "ok", "version": __version__})


@router.get("/metrics", response_class=Response, responses=fails() | {200: {"content": {"text/plain": {}}}})
async def metrics(service: ServiceHere) -> Response:
    """For Prometheus."""
    pools = (service.quick, service.slow)
    lines = service.metrics.lines()
    lines += family(
        "vsearch_pending", "gauge", "Work under way or waiting.", (({"pool": p.name}, p.pending) for p in pools)
    )
    refused = (({"pool": p.name}, p.rejected) for p in pools)
    lines += family("vsearch_refused_total", "counter", "Work refused for want of room.", refused)
    jobs = (({"state": state}, count) for state, count in service.jobs.counts().items())
    lines += family("vsearch_index_jobs", "gauge", "Index jobs that are remembered.", jobs)
    lines += family("vsearch_info", "gauge", "The version.", [({"version": __version__}, 1)])
    return Response("\n".join(lines) + "\n", headers={"Content-Type": CONTENT_TYPE})


def _hits(service: Service, query: SearchQuery) -> list[dict[str, Any]]:
    return [hit.as_json() for hit in service.engine.search(query)]


def _read_clip(service: Service, upload: BinaryIO) -> Example:
    """The name that the client gave the file is never looked at."""
    with TemporaryDirectory(prefix="vsearch-") as folder:
        path = Path(folder) / "clip"
        with path.open("wb") as file:
            shutil.copyfileobj(upload, file)
        try:
            return service.tools.encode_clip(path)
        except MediaError as error:
            raise MediaError(str(error).replace(str(path), "The clip")) from error


def _video(row: VideoRow, scenes: int) -> dict[str, Any]:
    info = row.info
    return {
        "id": row.id,
        "paths": [str(path) for path in row.paths],
        "duration": round(info.duration, 3),
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "container": info.container,
        "has_audio": info.has_audio,
        "recorded_at": info.recorded_at,
        "scenes": scenes,
    }


def _whole_video(service: Service, video_id: int) -> dict[str, Any]:
    found = service.library.videos(video_id - 1, 1)
    if not found or found[0][0].id != video_id:
        raise HTTPException(404, "There is no such video.")
    scenes = service.library.scenes_of(video_id)
    listed = [{"id": row.id, "start": round(row.start, 3), "end": round(row.end, 3)} for row in scenes]
    return {**_video(*found[0]), "scene_list": listed}


def _clip(service: Service, scene_id: int) -> Path:
    row = service.library.scenes([scene_id]).get(scene_id)
    if row is None:
        raise HTTPException(404, "There is no such scene.")
    return service.clips.playable(row.path, row.start, row.end)
