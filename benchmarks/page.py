"""How long the page takes from a query to the rendered result, against the engine's own time.

python -m benchmarks.page --library demo/library --queries 40

A browser (Chromium, by Playwright) types into the page of a real `vsearch ui`. Measured in the browser, from the Enter
key: until the page shows the cards of the answer, and until it shows their thumbnails. The engine's time is what the
page itself says of it. The same queries go to the engine in a program of its own as well, which says what the machine
can do without a page.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

THINGS = "a cat;a rocket;a street with cars;a man in a car;coins;a horse;a motorcycle;a cup of coffee;stars;a city"
PLACES = ";at night;in the morning;from above;close up"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATIENCE = 120_000
"""Milliseconds."""

# The results lie in a shadow root. A new answer replaces the grid's children; then its pictures arrive.
WATCH = """() => {
    const root = [...document.querySelectorAll('*')].map((e) => e.shadowRoot).find((r) => r?.querySelector('.grid'));
    const grid = root.querySelector('.grid');
    window.seen = { enter: 0, cards: 0, pictures: 0 };
    document.addEventListener('keydown', (event) => {
        if (event.key === 'Enter') window.seen = { enter: performance.now(), cards: 0, pictures: 0 };
    }, true);
    const arrived = () => {
        const pictures = [...grid.querySelectorAll('img')].filter((img) => img.loading === 'eager');
        if (pictures.every((img) => img.complete)) window.seen.pictures = performance.now();
        else requestAnimationFrame(arrived);
    };
    new MutationObserver(() => requestAnimationFrame(() => { window.seen.cards = performance.now(); arrived(); }))
        .observe(grid, { childList: true });
}"""


@dataclass(frozen=True, slots=True)
class Timed:
    """One query, in milliseconds."""

    engine: float
    cards: float
    pictures: float


@contextmanager
def served(library: Path, model: str) -> Iterator[str]:
    """The address of a page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from vsearch.cli import main; main()", "ui", "--port", str(port)]
    process = subprocess.Popen([*command, "--library", str(library), "--model", model], stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < until and process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                break
            time.sleep(0.1)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def chromium() -> str | None:
    """The program; None leaves it to Playwright, which may have brought its own."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def measure_page(address: str, queries: Sequence[str]) -> list[Timed]:
    """Every query typed into one window; the first one, which warms everything up, is left out."""
    from playwright.sync_api import sync_playwright

    timed: list[Timed] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator(".card").first.wait_for()
        page.evaluate(WATCH)
        box = page.get_by_label("Describe a moment")
        for query in queries:
            box.fill(query)
            box.press("Enter")
            page.wait_for_function("window.seen.pictures > 0")
            seen: dict[str, Any] = page.evaluate("window.seen")
            said = re.search(r"([\d.]+) ms", page.locator(".summary").inner_text())
            assert said is not None, "the page shows the engine's time"
            timed.append(Timed(float(said[1]), seen["cards"] - seen["enter"], seen["pictures"] - seen["enter"]))
        browser.close()
    return timed[1:]


def measure_engine(library: Path, model: str, queries: Sequence[str]) -> list[float]:
    """Milliseconds of the page's question to the engine in this program; the first one is left out."""
    from vsearch.settings import read_settings
    from vsearch.ui.ask import Ask
    from vsearch.ui.page_state import PageState

    service = PageState(read_settings(library=library, model=model))
    seconds = [service.search(Ask(q=query)).seconds for query in queries]
    service.close()
    return [one * 1000 for one in seconds[1:]]


def line(name: str, values: Sequence[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"| {name} | {statistics.median(values):.0f} | {p95:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, default=Path("demo/library"))
    parser.add_argument("--model", default="mini")
    parser.add_argument("--queries", type=int, default=40)
    given = parser.parse_args()
    pairs = [f"{thing} {place}".strip() for place in PLACES.split(";") for thing in THINGS.split(";")]
    queries = list(islice(cycle(pairs), given.queries + 1))
    alone = measure_engine(given.library, given.model, queries)
    with served(given.library, given.model) as address:
        timed = measure_page(address, queries)
    print(f"{len(timed)} queries\n\n| milliseconds | p50 | p95 |\n| --- | --- | --- |")
    print(line("the engine in a program of its own", alone))
    print(line("the engine under the page", [one.engine for one in timed]))
    print(line("from Enter to the cards", [one.cards for one in timed]))
    print(line("from Enter to their pictures", [one.pictures for one in timed]))


if __name__ == "__main__":
    main()
