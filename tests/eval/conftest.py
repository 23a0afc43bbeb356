"""Generated pictures, plain colours that the fake model tells apart, in folders and tar files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from vsearch.models.fake import COLOURS

TarMaker = Callable[[str, Mapping[str, bytes]], Path]


def picture(colour: str, ending: str = "png") -> bytes:
    """A small picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), COLOURS[colour]).save(buffer, {"jpg": "jpeg"}.get(ending, ending))
    return buffer.getvalue()


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
