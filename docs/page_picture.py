"""Write docs/page.png: the page with a search over those clips of the demo corpus whose terms are known to be free.

python docs/page_picture.py             needs the extras demo and ui, Playwright and Chromium: make test-ui brings them
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

PICTURE = Path(__file__).with_name("page.png")
ROOT = Path(__file__).parents[1]
CLIPS = ("breakfast.mp4", "bigbuckbunny.mp4", "museum visit.mp4", "space race.mp4", "cityCC0.mpg")
QUERY = "a close-up of a cat"
COLOURS = 256
"""So that the picture stays small: the reader of the README loads it."""


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import sync_playwright

    from benchmarks.page import ARGUMENTS, PATIENCE, chromium, served
    from vsearch.demo import make_corpus

    with TemporaryDirectory() as folder:
        home = Path(folder)
        # The page shows where the library lies: below the home of nobody.
        os.environ |= {"HOME": str(home), "XDG_DATA_HOME": str(home / ".local" / "share")}
        library = home / ".local" / "share" / "vsearch" / "library"
        made = [one.path for one in make_corpus(home / "Videos")]
        wanted = [str(path) for path in made if path.name in CLIPS]
        command = [sys.executable, "-c", "from vsearch.cli import main; main()", "index", "--no-speech", "--quiet"]
        subprocess.run([*command, "--library", str(library), *wanted], cwd=ROOT, check=True)
        with served(library, "mini") as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1240, "height": 760})
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            box = page.get_by_label("Describe a moment")
            box.fill(QUERY)
            box.press("Enter")
            page.get_by_text("Scenes 1 to").wait_for()
            page.locator(".still.ready").nth(7).wait_for()
            page.wait_for_timeout(1000)  # until nothing fades any more
            page.screenshot(path=PICTURE)
            browser.close()
    _shrink(PICTURE)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size} bytes\n")


def _shrink(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
