"""Write docs/page.png, a picture of the page with a search over the freely licensed clips of the demo corpus.

`python docs/page_picture.py` needs the extras demo and ui, Playwright and Chromium; `make test-ui` installs them.
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
"""Size of the palette; keeps the file small, since the README shows it."""


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import sync_playwright

    from benchmarks.page import ARGUMENTS, PATIENCE, chromium, served
    from vsearch.demo import make_corpus

    with TemporaryDirectory() as folder:
        home = Path(folder)
        # The page shows the path of the library, so it is below a neutral home folder.
        os.environ |= {"HOME": str(home), "XDG_DATA_HOME": str(home / ".local" / "share")}
        library = home / ".local" / "share" / "vsearch" / "library"
        corpus = [made.path for made in make_corpus(home / "Videos")]
        clips = [str(path) for path in corpus if path.name in CLIPS]
        command = [sys.executable, "-c", "from vsearch.cli import main; main()", "index", "--no-speech", "--quiet"]
        subprocess.run([*command, "--library", str(library), *clips], cwd=ROOT, check=True)
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
            page.wait_for_timeout(1000)  # until all fades have ended
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
