"""`vsearch mcp` with the client of the mcp library, over standard input and output."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.clips.numbered import make_numbered, read_number
from tests.search.made import add
from vsearch.library import SceneLabel, SqliteStore
from vsearch.media import Segment, Transcript
from vsearch.models.fake import FakeModel

pytest.importorskip("mcp")

Ask = Callable[[Callable[[Any], Awaitable[None]]], None]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = make_numbered(tmp_path / "film.mp4", 6.0).path
    with SqliteStore.open(tmp_path / "library", create=True) as library:
        add(library, str(path), ["rrr", "bbb"])
        add(library, "/v/other.mp4", ["ggg"])
        lines = tuple(Segment(at, at + 1, f"line {at}") for at in range(4))
        library.set_transcript(f"key of {path}", Transcript(lines, "sidecar", "r", "en"))
        first = library.scenes_of(1)[0]
        library.set_labels(
            FakeModel().space, ["wall", "sky"], [SceneLabel(first.id, "wall", 9.0), SceneLabel(first.id, "sky", 9.0)]
        )
    return path


@pytest.fixture
def ask(tmp_path: Path, film: Path) -> Ask:
    import anyio
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    def run(questions: Callable[[Any], Awaitable[None]]) -> None:
        async def talk() -> None:
            program = "from vsearch.cli import main; main()"
            server = StdioServerParameters(
                command=sys.executable,
                args=["-c", program, "mcp", "--library", str(tmp_path / "library"), "--model", "fake"],
                env={"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            )
            async with Client(server, read_timeout_seconds=120) as client:
                await questions(client)

        anyio.run(talk)

    return run


def test_tools_return_the_contents_of_the_library(ask: Ask, film: Path, tmp_path: Path) -> None:
    before = _digests(tmp_path / "library")

    async def questions(client: Any) -> None:
        listed = (await client.list_tools()).tools
        assert {tool.name for tool in listed} == {
            "search",
            "get_transcript",
            "get_frame",
            "list_videos",
            "list_labels",
        }
        assert all(tool.annotations.read_only_hint and tool.description for tool in listed)

        found = (await client.call_tool("search", {"query": "blue", "k": 1})).structured_content
        assert [(hit["video"], hit["start"], hit["end"]) for hit in found["hits"]] == [(str(film), 3.0, 6.0)]

        labels = (await client.call_tool("list_labels", {"contains": "WA"})).structured_content
        assert (labels["total"], labels["labels"][0]["label"], labels["labels"][0]["scenes"]) == (1, "wall", 1)
        for asked in ({"query": "blue", "label": ["Wall"]}, {"query": "", "label": ["wall"]}):
            found = (await client.call_tool("search", asked)).structured_content
            assert [(hit["video"], hit["start"]) for hit in found["hits"]] == [(str(film), 0.0)]

        videos = (await client.call_tool("list_videos", {"contains": "FILM"})).structured_content
        assert (videos["total"], videos["videos"][0]["video"]) == (1, str(film))

        said = await client.call_tool("get_transcript", {"video": str(film), "start": 1.0, "end": 2.5})
        assert [line["text"] for line in said.structured_content["segments"]] == ["line 1", "line 2"]
        assert said.structured_content["language"] == "en"

        frame = await client.call_tool("get_frame", {"video": str(film), "time": 2.0})
        picture, shown = frame.content
        assert picture.mime_type == "image/jpeg" and shown.text == "shown from 2.000 s on"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.data))).convert("RGB"))
        assert read_number(pixels) == 50

    ask(questions)
    assert _digests(tmp_path / "library") == before


def test_invalid_arguments_and_files_outside_the_library_are_errors(ask: Ask, film: Path, tmp_path: Path) -> None:
    secret = make_numbered(tmp_path / "secret.mp4", 1.0).path

    async def questions(client: Any) -> None:
        asked = [
            ("get_frame", {"video": str(secret), "time": 0.0}, "not in the library"),
            ("get_frame", {"video": str(film.parent / "x" / ".." / "secret.mp4"), "time": 0.0}, "not in the library"),
            ("get_transcript", {"video": "/etc/passwd"}, "not in the library"),
            ("get_frame", {"video": "/v/other.mp4", "time": 0.0}, "/v/other.mp4 cannot be read"),
            ("get_frame", {"video": str(film), "time": 60.0}, "no picture"),
            ("search", {"query": "  "}, "The query is empty"),
            ("search", {"query": "red", "channel": "smell"}, "no channel"),
            ("search", {"query": "red", "k": 10**9}, "k"),
            ("search", {"query": "red", "label": [" "]}, "label"),
            ("search", {"query": "red", "label": ["a"] * 1000}, "label"),
            ("get_frame", {"video": str(film), "time": -1}, "time"),
        ]
        for name, arguments, says in asked:
            answer = await client.call_tool(name, arguments)
            assert answer.is_error and says in answer.content[0].text, (name, arguments, answer)

    ask(questions)


def _digests(folder: Path) -> dict[str, str]:
    """What readers of SQLite leave beside a catalog is no part of it."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".db-shm")
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {name: digest for name, digest in digests.items() if not name.endswith(("-shm", "-wal"))}
