"""Responses: JSON in ASCII, and the schemas of the OpenAPI description."""

from __future__ import annotations

import json
from typing import Any, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel


class AsciiJSON(JSONResponse):
    """JSON in ASCII: bytes of file names that are not text become escapes, as in `vsearch query --json`."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def problem(status: int, text: str, headers: dict[str, str] | None = None) -> AsciiJSON:
    return AsciiJSON({"error": text}, status_code=status, headers=headers)


class Problem(BaseModel):
    error: str
    """One line."""


class FoundSegment(BaseModel):
    start: float
    end: float
    text: str
    channel: str
    matched: list[list[int]]


class FoundScene(BaseModel):
    """An object of `vsearch query --json`."""

    rank: int
    score: float
    scene: int
    video: str
    start: float
    end: float
    channels: dict[str, float]
    best_time: float
    segments: list[FoundSegment]


class Video(BaseModel):
    id: int
    paths: list[str]
    """Every file with this video, the oldest first."""
    duration: float
    """Seconds."""
    width: int
    """Pixels; width and height are 0 for a file with sound only."""
    height: int
    codec: str
    container: str
    has_audio: bool
    recorded_at: float | None
    """Unix seconds."""
    scenes: int


class Videos(BaseModel):
    videos: list[Video]
    next: int | None
    """The value of `after` for the next page; null on the last."""


class Scene(BaseModel):
    id: int
    start: float
    """Seconds."""
    end: float


class WholeVideo(Video):
    scene_list: list[Scene]
    """In time order."""


class Job(BaseModel):
    id: str
    state: Literal["queued", "running", "done", "failed", "stopped"]
    file: str | None
    """The current file."""
    done_seconds: float
    """Seconds of footage that are encoded."""
    total_seconds: float
    indexed: int
    skipped: int
    error: str | None
    summary: dict[str, Any] | None
    """The object of `vsearch index --json`, when the job is done."""


class Health(BaseModel):
    status: Literal["ok"]
    version: str
