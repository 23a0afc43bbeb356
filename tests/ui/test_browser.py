"""What a person does on the page, in a real browser."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("streamlit", reason="needs the extra ui: make test-ui")
pytest.importorskip("playwright.sync_api", reason="needs Playwright: make test-ui")

from playwright.sync_api import expect

from tests.media import Shot, make_video
from tests.ui.conftest import ROOT, Served, make_library, photograph, player
from vsearch.library import SqliteStore

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Serve = Callable[[Path], Served]


def visit(page: Page, address: str) -> None:
    """Until the page is whole: what is typed into a form before may be lost with it."""
    page.goto(address)
    page.locator('.stApp[data-test-script-state="notRunning"]').wait_for()
    expect(page.locator(".grid")).to_be_attached()


def first(page: Page) -> Locator:
    return page.locator(".card").first


def wait_for_answer(page: Page) -> None:
    expect(page.get_by_text(re.compile("^Scenes 1 to"))).to_be_visible()


def playing(page: Page) -> None:
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('video')).filter(Boolean)"
        ".some(video => video.readyState >= 2 && !video.seeking)"
    )


def picture_of(colour: tuple[int, int, int], path: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (320, 180), colour).save(path)
    return path


def test_an_empty_library_asks_for_a_folder_and_indexes_it(
    serve: Serve, page: Page, tmp_path: Path, films: Path
) -> None:
    (films / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(2000))
    served = serve(tmp_path / "library")
    visit(page, served.address)
    expect(page.get_by_text("There is no library yet")).to_be_visible()
    expect(page.get_by_text("~/library")).to_be_visible()
    photograph(page, "an_empty_library")

    form = page.get_by_role("textbox", name="Folder of videos on this computer")
    form.fill(str(tmp_path / "nothing here"))
    page.get_by_role("button", name="Index this folder").click()
    expect(page.get_by_text("There is nothing at")).to_be_visible()

    form.fill(str(films))
    page.get_by_role("button", name="Index this folder").click()
    expect(page.get_by_text("2 videos indexed: 5 scenes")).to_be_visible()
    expect(page.locator(".card")).to_have_count(2)
    photograph(page, "a_folder_was_indexed")
    page.get_by_text("1 could not be used", exact=True).click()
    expect(page.get_by_text(str(films / "broken.mp4"))).to_be_visible()
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_text("2 videos indexed")).to_be_hidden()


def test_search_and_play_from_the_right_second(served: Served, page: Page) -> None:
    visit(page, served.address)
    expect(page.get_by_label("Describe a moment")).to_be_focused()
    page.keyboard.type("blue")
    page.keyboard.press("Enter")
    wait_for_answer(page)
    assert "q=blue" in page.url
    expect(first(page).locator(".name")).to_have_text("flags.mp4")
    expect(first(page).locator(".bar .channel")).to_have_text("frames")
    expect(first(page).locator(".still.ready")).to_be_visible()
    first(page).click()
    playing(page)
    assert player(page, "video.dataset.kind") == "original"
    assert 4.0 <= player(page, "video.currentTime") < 6.1
    expect(page.locator(".player-name")).to_have_text("flags.mp4")


def test_the_keyboard_is_enough(served: Served, page: Page) -> None:
    visit(page, f"{served.address}/?q=green")
    wait_for_answer(page)
    page.get_by_label("Describe a moment").focus()
    page.keyboard.press("ArrowDown")
    expect(first(page)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".card").nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    playing(page)
    assert 2.0 <= player(page, "video.currentTime") < 6.1
    expect(page.locator(".player-time")).to_contain_text("0:02.0 – 0:04.0")
    page.keyboard.press("n")
    expect(page.locator(".player-time")).not_to_contain_text("0:02.0 – 0:04.0")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.locator(".card").nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Describe a moment")).to_be_focused()


def test_a_video_that_the_browser_cannot_play(served: Served, page: Page) -> None:
    visit(page, f"{served.address}/?q=yellow")
    expect(first(page).locator(".name")).to_have_text("old.avi")
    first(page).click()
    playing(page)
    assert player(page, "video.dataset.kind") == "clip"
    assert player(page, "video.currentTime") < 2.2, "a clip of the scene, not the whole file"
    expect(page.locator(".player-note")).to_contain_text("Browsers cannot play this file")
    colour = player(
        page,
        "{const c = document.createElement('canvas'); c.width = c.height = 1; const x = c.getContext('2d');"
        " x.drawImage(video, 0, 0, 1, 1); return [...x.getImageData(0, 0, 1, 1).data]}",
    )
    assert colour[0] > 180 and colour[1] > 180 and colour[2] < 110, "yellow"


def test_a_file_that_is_gone_is_told_in_the_player(serve: Serve, page: Page, tmp_path: Path, films: Path) -> None:
    visit(page, f"{serve(make_library(tmp_path / 'library', films)).address}/?q=red")
    wait_for_answer(page)
    (films / "flags.mp4").unlink()
    first(page).click()
    expect(page.locator(".wait")).to_contain_text("does not exist any more")


def test_more_like_this_and_the_back_button(served: Served, page: Page) -> None:
    visit(page, f"{served.address}/?q=red")
    wait_for_answer(page)
    expect(first(page).locator(".time")).to_have_text("0:00.0 – 0:02.0")
    first(page).get_by_role("button", name="More like").click()
    page.wait_for_url(re.compile(r"like=\d+"))
    expect(page.get_by_role("button", name="Like this scene")).to_be_visible()
    wait_for_answer(page)
    expect(page.locator(".card")).to_have_count(4)  # all but the scene itself
    photograph(page, "more_like_this")
    page.go_back()
    page.wait_for_url(re.compile("q=red"))
    expect(page.get_by_label("Describe a moment")).to_have_value("red")
    expect(page.locator(".card")).to_have_count(5)


def test_search_by_a_picture_that_is_uploaded(served: Served, page: Page, tmp_path: Path) -> None:
    visit(page, served.address)
    page.get_by_role("button", name="Picture or clip").click()
    page.locator("input[type=file]").set_input_files(picture_of((0, 180, 0), tmp_path / "lawn <b>.png"))
    wait_for_answer(page)
    expect(first(page).locator(".time")).to_have_text("0:02.0 – 0:04.0")
    chip = page.get_by_role("button", name="lawn <b>.png")
    expect(chip).to_be_visible()
    page.keyboard.press("Escape")
    photograph(page, "search_by_a_picture")
    chip.click()
    expect(page.get_by_text("Which moment are you looking for?")).to_be_visible()


def test_search_by_a_picture_that_is_pasted(served: Served, page: Page, tmp_path: Path) -> None:
    visit(page, served.address)
    expect(first(page)).to_be_visible()
    data = base64.b64encode(picture_of((0, 0, 230), tmp_path / "sea.png").read_bytes()).decode()
    page.evaluate(
        """data => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const clipboard = new DataTransfer();
            clipboard.items.add(new File([bytes], 'sea.png', { type: 'image/png' }));
            document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: clipboard, bubbles: true }));
        }""",
        data,
    )
    wait_for_answer(page)
    expect(first(page).locator(".time")).to_have_text("0:04.0 – 0:06.0")
    expect(page.get_by_role("button", name="sea.png")).to_be_visible()


def test_search_by_a_clip(served: Served, page: Page, tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", [Shot("yellow", 1.0)])
    visit(page, served.address)
    page.get_by_role("button", name="Picture or clip").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "clip.mp4")
    wait_for_answer(page)
    expect(first(page).locator(".name")).to_have_text("old.avi")
    expect(first(page).locator(".time")).to_have_text("0:02.0 – 0:04.0")


def test_a_broken_picture_is_told_in_plain_words(served: Served, page: Page, tmp_path: Path) -> None:
    (tmp_path / "no picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    visit(page, served.address)
    page.get_by_role("button", name="Picture or clip").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "no picture.png")
    expect(page.get_by_text("The picture cannot be read")).to_be_visible()


def test_filters_stand_in_the_address(served: Served, page: Page) -> None:
    visit(page, f"{served.address}/?q=red&max_duration=1")
    expect(page.get_by_text("No scene matches")).to_be_visible()
    page.get_by_role("button", name="at most 1 s").click()
    wait_for_answer(page)
    assert "max_duration" not in page.url
    page.get_by_role("button", name="Filters").click()
    page.get_by_text("Exact moments instead of whole scenes").click()
    page.wait_for_url(re.compile("moments=1"))
    photograph(page, "filters")
    page.reload()
    expect(page.get_by_role("button", name="exact moments")).to_be_visible()


def test_hostile_names_and_words_stay_text(serve: Serve, page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)> **b** ![i](http:&#47;&#47;nowhere) $x$ :red[y].mp4"
    make_video(folder / name, [Shot("red", 2.0)])
    (folder / name).with_suffix(".srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,500\nthe <script>alert(2)</script> red flag & more\n"
    )
    command = [sys.executable, "-c", "from vsearch.cli import main; main()", "index", str(folder), "--model", "fake"]
    done = subprocess.run([*command, "--library", str(tmp_path / "library"), "--json"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0 and json.loads(done.stdout)["segments"] == 1, done.stderr
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    visit(page, f"{serve(tmp_path / 'library').address}/?q=red+flag&folder=%3Cb%3E**x**")
    expect(page.get_by_text("No scene matches")).to_be_visible()
    page.get_by_role("button", name="in <b>**x**").click()
    wait_for_answer(page)
    expect(first(page).locator(".name")).to_have_text(name)
    expect(first(page).locator("mark")).to_have_text(["red", "flag"])
    first(page).click()
    playing(page)
    expect(page.locator(".player-words")).to_contain_text("red flag")
    assert not alerts


def test_readable_on_a_phone_and_in_the_dark(served: Served, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    visit(page, f"{served.address}/?q=green")
    wait_for_answer(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator(".card")).to_have_count(5)
    widths = {round(card.bounding_box()["width"]) for card in page.locator(".card").all()}
    assert len(widths) == 1 and widths.pop() > 300, "one column"
    background = page.locator(".stApp").evaluate("element => getComputedStyle(element).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", background)[:3]) < 60
    photograph(page, "on_a_phone")
    first(page).click()
    playing(page)
    box = page.locator("dialog").bounding_box()
    assert box is not None and box["width"] <= 390


def test_ctrl_c_while_indexing_leaves_a_usable_library(serve: Serve, page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        make_video(folder / f"{number:02d}.mp4", [Shot("texture", 8.0, seed=number)])
    served = serve(tmp_path / "library")
    visit(page, served.address)
    page.get_by_role("textbox", name="Folder of videos on this computer").fill(str(folder))
    page.get_by_role("button", name="Index this folder").click()
    expect(page.get_by_text(re.compile(r"\d+ done"))).to_be_visible()
    photograph(page, "indexing")
    assert served.interrupt() in (0, 130), served.log.read_text()
    assert "Traceback" not in served.log.read_text()
    with SqliteStore.open(tmp_path / "library") as library:
        assert library.verify().clean
        assert 1 <= library.status().videos <= 30
