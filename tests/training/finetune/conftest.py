"""Coloured clips with captions that a tiny model misunderstands, so that there is something to learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import exit_code
from tests.media import Shot, make_video
from tests.models.tiny import write_tiny
from vsearch.cli import main

Run = Callable[..., tuple[int, str, str]]

CALLED = {"red": "green", "green": "blue", "blue": "red"}
"""Colour -> its word in the captions, which the model knows as another colour."""


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 videos of one colour each, and captions.csv, with three rows that cannot be used."""
    folder = tmp_path_factory.mktemp("clips")
    rows = ["file,caption"]
    for number in range(12):
        colour = list(CALLED)[number % 3]
        make_video(folder / f"{number}.mp4", [Shot(colour, 1 + number / 10)], fps=10, size=(32, 32))
        rows.append(f"{number}.mp4,{CALLED[colour]}")
    (folder / "broken.mp4").write_text("no video")
    rows += ["gone.mp4,red", "1.mp4,", "broken.mp4,red"]
    (folder / "captions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def vsearch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command of vsearch in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("VSEARCH_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("VSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VSEARCH_THREADS", "1")

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        return exit_code(monkeypatch, main, *arguments), *capfd.readouterr()

    return run
