"""Fixtures that run commands, and footage for them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.media import Shot, make_video
from vsearch.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Vsearch = Callable[..., Ran]


def exit_code(monkeypatch: pytest.MonkeyPatch, program: Callable[[], None], *arguments: object) -> int:
    """Run a program in this process with these arguments; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["vsearch", *map(str, arguments)])
    with pytest.raises(SystemExit) as exited:
        program()
    return int(exited.value.code or 0)


@pytest.fixture
def vsearch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Vsearch:
    """Run a command in this process, on a temporary library, with the fake model."""
    monkeypatch.setenv("VSEARCH_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("VSEARCH_MODEL", "fake")
    monkeypatch.setenv("VSEARCH_SPEECH_MODEL", "./nowhere")  # no speech model, whatever is installed

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        code = exit_code(monkeypatch, main, *arguments)
        return Ran(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    make_video(folder / "flags.mp4", [Shot("red", 2), Shot("blue", 2)])
    (folder / "holiday").mkdir()
    make_video(folder / "holiday" / "sea.mkv", [Shot("blue", 3)])
    make_video(folder / "holiday" / "lawn.mp4", [Shot("green", 1)])
    return folder


_LIBRARIES: dict[Path, Path] = {}
"""Folders that were indexed, and a copy of the library that came of it."""


def index_once(vsearch: Vsearch, folder: Path, tmp_path: Path, keep: pytest.TempPathFactory) -> Path:
    """The folder, indexed into the test's library: by the command for the first test, from a copy for the others."""
    library = tmp_path / "library"
    if folder in _LIBRARIES:
        shutil.copytree(_LIBRARIES[folder], library)
        return folder
    assert vsearch("index", folder, "--quiet").code == 0
    _LIBRARIES[folder] = keep.mktemp("indexed") / "library"
    shutil.copytree(library, _LIBRARIES[folder])
    return folder


@pytest.fixture
def indexed(vsearch: Vsearch, footage: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_once(vsearch, footage, tmp_path, tmp_path_factory)


def one_line(text: str) -> str:
    assert text.endswith("\n") and text.count("\n") == 1, text
    return text


def environment(library: Path) -> dict[str, str]:
    return os.environ | {"VSEARCH_LIBRARY": str(library), "VSEARCH_MODEL": "fake"}
