"""The routes. Each runs its work in a pool of threads, so that the event loop never blocks."""

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
from vsearch.search.example import ClipFile, Example, SceneExample, read_picture
from vsearch.search.query import Query as SearchQuery
from vsearch.server import answers
from vsearch.server.answers import AsciiJSON, Problem
from vsearch.server.job_queue import JobsFull
from vsearch.server.limits import MAX_PATHS, MAX_QUERY_CHARACTERS, RETRY_SECONDS
from vsearch.server.parameters import LARGEST_ID, Parameters, QueryParameters, SceneId, only_one
from vsearch.server.request_metrics import CONTENT_TYPE, family
from vsearch.server.roots import allowed_paths
from vsearch.server.server_state import ServerState, state_of

KINDS = {".mp4": "video/mp4", ".webm": "video/webm", ".m4a": "audio/mp4"}

Responses = dict[int | str, dict[str, Any]]


def fails(*statuses: int) -> Responses:
    """Error responses for the OpenAPI description; every route may return 401, 403, 408, 413, 500 and 503."""
    return {status: {"model": Problem} for status in (401, 403, 408, 413, 500, 503, *statuses)}


router = APIRouter(default_response_class=AsciiJSON)
State = Annotated[ServerState, Depends(state_of)]
Id = Annotated[int, InPath(ge=1, le=LARGEST_ID)]


@router.get("/search", response_model=list[answers.FoundScene], responses=fails(422))
async def search(state: State, parameters: Annotated[QueryParameters, Query()]) -> Response:
    """Scenes that match a text or are similar to a scene, best first: the objects of `vsearch query --json`."""
    query = parameters.query(parameters.q, parameters.example())
    return AsciiJSON(await state.quick.run(partial(_hits, state, query)))


@router.post("/search", response_model=list[answers.FoundScene], responses=fails(400, 422))
async def search_by_example(
    state: State,
    parameters: Annotated[Parameters, Query()],
    q: Annotated[str, Form(max_length=MAX_QUERY_CHARACTERS, description="Text, alone or with an example.")] = "",
    like: Annotated[SceneId | None, Form(description="Similar scenes to this one.")] = None,
    image: Annotated[UploadFile | None, File(description="A picture to search with.")] = None,
    clip: Annotated[UploadFile | None, File(description="A clip to search with, at most two minutes.")] = None,
) -> Response:
    """Search by text, a picture, a clip or a scene. Uploads are deleted before the response is sent."""
    only_one(like, image, clip)
    example: Example | None = None
    if like is not None:
        example = SceneExample(like)
    elif image is not None:
        data = await image.read()
        example = await state.slow.run(partial(read_picture, data))
    elif clip is not None:
        example = await state.slow.run(partial(_read_clip, state, clip.file))
    query = parameters.query(q, example)
    return AsciiJSON(await state.quick.run(partial(_hits, state, query)))


@router.get("/videos", response_model=answers.Videos, responses=fails(422))
async def videos(
    state: State,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most this many.")] = 100,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID, description="Only ids above this one: `next` of a page.")] = 0,
) -> Response:
    """The videos of the library, by id."""
    rows = await state.quick.run(partial(state.library.store.videos, after, limit + 1))
    page = rows[:limit]
    following = page[-1][0].id if len(rows) > limit else None
    return AsciiJSON({"videos": [_video(row, scenes) for row, scenes in page], "next": following})


@router.get("/videos/{id}", response_model=answers.WholeVideo, responses=fails(404, 422))
async def video(state: State, id: Id) -> Response:
    """One video and its scenes."""
    return AsciiJSON(await state.quick.run(partial(_whole_video, state, id)))


@router.get(
    "/scenes/{id}/thumbnail",
    response_class=Response,
    responses=fails(404, 422) | {200: {"content": {"image/jpeg": {}}}},
)
async def thumbnail(state: State, id: Id) -> Response:
    """The thumbnail of a scene."""
    picture = await state.quick.run(partial(state.library.store.thumbnail, id))
    if picture is None:
        raise HTTPException(404, "There is no such scene, or it has no thumbnail.")
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"})


@router.get(
    "/scenes/{id}/clip",
    response_class=Response,
    responses=fails(404, 422)
    | {
        200: {"content": {kind: {} for kind in KINDS.values()}},
        206: {"description": "The requested range", "content": {kind: {} for kind in KINDS.values()}},
        400: {"description": "An invalid Range", "content": {"text/plain": {}}},
        416: {"description": "A Range beyond the end of the file", "content": {"text/plain": {}}},
    },
)
async def clip(state: State, id: Id) -> Response:
    """The scene as a file that every browser plays. Supports byte ranges."""
    path = await state.slow.run(partial(_clip, state, id))
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise HTTPException(404, "The clip is no longer in the cache: request it again.")
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type=KINDS[path.suffix], stat_result=status, headers=headers)


class IndexRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    paths: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=4096)]],
        Field(max_length=MAX_PATHS, description="Absolute paths. None: every --root folder."),
    ] = []


@router.post("/index", status_code=202, response_model=answers.Job, responses=fails(400, 415, 422))
async def index(state: State, wanted: IndexRequest) -> Response:
    """Index files or folders: any below the --root folders; elsewhere, only files that are in the library already.
    Poll /jobs/{id} for progress."""
    paths = await state.quick.run(partial(allowed_paths, wanted.paths, state.roots, state.library.store))
    try:
        job = state.jobs.add(paths)
    except JobsFull:
        text = "Too many index jobs wait already: try again later."
        raise HTTPException(503, text, headers={"Retry-After": str(30 * RETRY_SECONDS)}) from None
    return AsciiJSON(job, status_code=202, headers={"Location": f"/jobs/{job['id']}"})


@router.get("/jobs/{id}", response_model=answers.Job, responses=fails(404, 422))
async def find_job(state: State, id: Annotated[str, InPath(max_length=64)]) -> Response:
    """The state of an index job."""
    job = state.jobs.find(id)
    if job is None:
        raise HTTPException(404, "There is no such job.")
    return AsciiJSON(job)


@router.get("/health", response_model=answers.Health, responses=fails())
async def health(state: State) -> Response:
    """Whether the library can be read. Needs no token."""
    await state.quick.run(state.library.store.spaces)
    return AsciiJSON({"status": "ok", "version": __version__})


@router.get("/metrics", response_class=Response, responses=fails() | {200: {"content": {"text/plain": {}}}})
async def metrics(state: State) -> Response:
    """Metrics for Prometheus."""
    pools = (state.quick, state.slow)
    lines = state.metrics.lines()
    lines += family(
        "vsearch_pending", "gauge", "Tasks that run or wait.", (({"pool": p.name}, p.pending) for p in pools)
    )
    refused = (({"pool": p.name}, p.rejected) for p in pools)
    lines += family("vsearch_refused_total", "counter", "Tasks that were refused because the queue was full.", refused)
    jobs = (({"state": name}, count) for name, count in state.jobs.counts().items())
    lines += family("vsearch_index_jobs", "gauge", "Index jobs by state.", jobs)
    lines += family("vsearch_info", "gauge", "The version.", [({"version": __version__}, 1)])
    return Response("\n".join(lines) + "\n", headers={"Content-Type": CONTENT_TYPE})


def _hits(state: ServerState, query: SearchQuery) -> list[dict[str, Any]]:
    return [hit.as_json() for hit in state.library.search(query)]


def _read_clip(state: ServerState, upload: BinaryIO) -> Example:
    """The file name that the client sent is ignored."""
    with TemporaryDirectory(prefix="vsearch-") as folder:
        path = Path(folder) / "clip"
        with path.open("wb") as file:
            shutil.copyfileobj(upload, file)
        try:
            return state.library.resolve(ClipFile(path))
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


def _whole_video(state: ServerState, video_id: int) -> dict[str, Any]:
    rows = state.library.store.videos(video_id - 1, 1)
    if not rows or rows[0][0].id != video_id:
        raise HTTPException(404, "There is no such video.")
    scenes = state.library.store.scenes_of(video_id)
    scene_list = [{"id": row.id, "start": round(row.start, 3), "end": round(row.end, 3)} for row in scenes]
    return {**_video(*rows[0]), "scene_list": scene_list}


def _clip(state: ServerState, scene_id: int) -> Path:
    row = state.library.store.scenes([scene_id]).get(scene_id)
    if row is None:
        raise HTTPException(404, "There is no such scene.")
    return state.clips.playable(row.path, row.start, row.end)
