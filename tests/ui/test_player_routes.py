"""The routes of the player: by scene id, for this computer only, and never as a document."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("streamlit", reason="needs the extra ui: make test-ui")

from tests.ui.conftest import Served
from vsearch.library import SqliteStore


@pytest.fixture
def scenes(served: Served) -> dict[tuple[str, float], int]:
    """File name and start -> id."""
    with SqliteStore.open(served.library) as library:
        rows = library.scenes(range(1, 100)).values()
        return {(row.path.name, row.start): row.id for row in rows}


def test_thumbnails_are_small_pictures(served: Served, scenes: dict[tuple[str, float], int]) -> None:
    status, headers, picture = served.get(f"vsearch/thumbnail/{scenes['flags.mp4', 0.0]}")
    assert status == 200 and headers["content-type"] in ("image/jpeg", "image/webp")
    assert headers["x-content-type-options"] == "nosniff" and 100 < len(picture) < 50_000
    assert "sandbox" in headers["content-security-policy"]


def test_original_supports_ranges(served: Served, scenes: dict[tuple[str, float], int]) -> None:
    number = scenes["flags.mp4", 2.0]
    status, headers, answer = served.get(f"vsearch/play/{number}")
    plan = json.loads(answer)
    assert status == 200 and (plan["kind"], plan["start"], plan["offset"]) == ("original", 2.0, 0.0)
    status, headers, part = served.get(plan["url"], Range="bytes=4-7")
    assert (status, part) == (206, b"ftyp") and headers["content-type"] == "video/mp4"
    assert headers["content-range"].startswith("bytes 4-7/")


def test_clip_is_made_of_a_file_that_browsers_cannot_play(served: Served, scenes: dict[tuple[str, float], int]) -> None:
    plan = json.loads(served.get(f"vsearch/play/{scenes['old.avi', 2.0]}?start=2.5&end=3.5")[2])
    assert (plan["kind"], plan["start"], plan["offset"]) == ("clip", 0.0, 2.5)
    status, headers, clip = served.get(plan["url"])
    assert status == 200 and clip[4:8] == b"ftyp" and headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("what", ["thumbnail", "play", "original", "clip"])
@pytest.mark.parametrize("number", ["999999", "9" * 40])
def test_unknown_scene_is_404(served: Served, what: str, number: str) -> None:
    status, _, answer = served.get(f"vsearch/{what}/{number}")
    assert status == 404 and b"Traceback" not in answer


@pytest.mark.parametrize("number", ["-1", "1.5", "x", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", ""])
def test_only_numbers_name_scenes(served: Served, number: str) -> None:
    status, headers, answer = served.get(f"vsearch/original/{number}")
    assert b"root:" not in answer
    # What is no route of ours is Streamlit's page, which holds nothing of anybody.
    assert status in (400, 404) or headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("span", ["start=nan", "start=-1", "start=x&end=y", "start=1e400", "start=3&end=1"])
def test_spans_that_make_no_sense_become_the_scene(
    served: Served, scenes: dict[tuple[str, float], int], span: str
) -> None:
    status, _, answer = served.get(f"vsearch/play/{scenes['flags.mp4', 2.0]}?{span}")
    assert status == 200 and json.loads(answer)["start"] in (2.0, 3.0)


def test_another_name_for_this_computer_is_refused(served: Served) -> None:
    assert served.get("", Host="rebound.example")[0] == 400
    assert served.get("vsearch/thumbnail/1", Host="rebound.example")[0] == 400
