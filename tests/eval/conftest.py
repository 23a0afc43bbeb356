"""Generated pictures, plain colours that the fake model tells apart, in folders and tar files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vsearch.models.fake import COLOURS

TarMaker = Callable[[str, Mapping[str, bytes]], Path]


def picture(colour: str, ending: str = "png") -> bytes:
    """A small picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), COLOURS[colour]).save(buffer, {"jpg": "jpeg"}.get(ending, ending))
    return buffer.getvalue()


def write_clip(path: Path, colours: list[str], rate: int = 5) -> None:
    """One second of each colour."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour in colours:
            pixels = np.full((48, 64, 3), COLOURS[colour], dtype=np.uint8)
            for _ in range(rate):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def make_tar(tmp_path: Path) -> TarMaker:
    def make(name: str, members: Mapping[str, bytes]) -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w") as tar:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return path

    return make
