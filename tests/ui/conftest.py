"""A page that is really served, and a browser that looks at it. Screenshots of what it showed lie in tests-output/.

Needs the extra `ui`, Playwright and a Chromium: `make test-ui`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.media import Shot, make_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
SHOWN = ROOT / "tests-output"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"))), None
)
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 120.0
"""Seconds for anything that a page or a server does: machines that run tests are busy."""


@dataclass
class Served:
    """A running `vsearch ui`."""

    address: str
    library: Path
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body."""
        request = urllib.request.Request(f"{self.address}/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


def make_films(folder: Path) -> Path:
    """A folder with a film that browsers play and one that they do not."""
    folder.mkdir()
    make_video(folder / "flags.mp4", [Shot("red", 2.0), Shot("green", 2.0), Shot("blue", 2.0)], audio=True)
    make_video(folder / "old.avi", [Shot("white", 2.0), Shot("yellow", 2.0)], codec="mpeg4")
    return folder


def make_library(path: Path, films: Path) -> Path:
    """A library of these films, made with the model of colours."""
    from vsearch.indexer import IndexPlan, run_index
    from vsearch.library import SqliteStore
    from vsearch.models.registry import load_model

    with SqliteStore.open(path, create=True) as made:
        *_, last = run_index(made, IndexPlan(load_model("fake")), [films])
    assert not last.summary.skipped, last.summary.skipped
    return path


def start_page(library: Path, place: Path) -> Served:
    """Start `vsearch ui`. place: an empty folder for what it writes beside the library."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from vsearch.cli import main; main()", "ui", "--port", str(port)]
    command += ["--library", str(library), "--model", "fake"]
    log = place / f"ui-{port}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VSEARCH_")}
    environment |= {"VSEARCH_CACHE": str(place / "cache"), "HOME": str(place)}
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
    served = Served(f"http://127.0.0.1:{port}", library, process, log)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            if served.get("_stcore/health")[0] == 200:
                return served
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"the page was not served:\n{log.read_text()}")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Films that a test may do anything with."""
    return make_films(tmp_path / "films")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Path], Served]]:
    """Start a page of a test's own."""
    running: list[Served] = []

    def start(library: Path) -> Served:
        running.append(start_page(library, tmp_path))
        return running[-1]

    yield start
    for served in running:
        served.process.kill()
        served.process.wait()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One page for all tests that change nothing."""
    place = tmp_path_factory.mktemp("page")
    started = start_page(make_library(place / "library", make_films(place / "films")), place)
    yield started
    started.process.kill()
    started.process.wait()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make test-ui")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    playwright.expect.set_options(timeout=PATIENCE * 1000)
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window. In the end it is photographed, and it must have asked nobody but this computer, and without errors."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(PATIENCE * 1000)
    window = context.new_page()
    wrong: list[str] = []
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on("request", lambda asked: _stays_here(asked.url, wrong))
    yield window
    photograph(window, request.node.name.removeprefix("test_"))
    context.close()
    assert not wrong, wrong


def _stays_here(address: str, wrong: list[str]) -> None:
    if not address.startswith(("http://127.0.0.1:", "data:", "blob:")):
        wrong.append(f"asked for {address}")


def photograph(page: Page, name: str) -> None:
    SHOWN.mkdir(exist_ok=True)
    page.screenshot(path=SHOWN / f"{name}.png")


def player(page: Page, what: str) -> Any:
    """A JavaScript expression over `video`, the player's element, which lies in the results' shadow root."""
    return page.locator("dialog video").evaluate(f"video => {what}")
