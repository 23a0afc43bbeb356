"""Hits as cards for the script of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsearch.media import Hit, Segment
from vsearch.ui.cards import LONGEST_WORDS, best_scores, cards
from vsearch.ui.text import escaped, from_home, literal


def hit(rank: int = 1, video: str = "/films/a.mp4", **more: object) -> Hit:
    given: dict[str, object] = {"channels": {"visual": 0.4, "speech": 0.5}, "scene_id": 7, **more}
    return Hit(rank, 0.4, Path(video), 2.0, 4.5, best_time=3.0, **given)  # type: ignore[arg-type]


def test_card_has_file_time_and_scores() -> None:
    (card,) = cards([hit()], {"visual": 0.8, "speech": 0.5}, version=3)
    assert (card["name"], card["folder"], card["time"], card["length"]) == (
        "a.mp4",
        "/films",
        "0:02.0 – 0:04.5",
        "2.5 s",
    )
    assert card["bars"] == [
        {"name": "frames", "share": 0.5, "value": "0.400"},
        {"name": "speech", "share": 1.0, "value": "0.500"},
    ]
    assert card["picture"] == "vsearch/thumbnail/7?v=3"
    assert card["play"] == "vsearch/play/7?start=2.000&end=4.500"


def test_bars_are_relative_to_the_best_of_their_channel() -> None:
    hits = [hit(channels={"visual": 0.2}), hit(channels={"visual": 0.1, "smell": -1.0})]
    best = best_scores(hits)
    assert best == {"visual": 0.2, "smell": 0.0}
    shares = [[bar["share"] for bar in card["bars"]] for card in cards(hits, best, 0)]
    assert shares == [[1.0], [0.5, 0.0]]
    assert cards(hits, best, 0)[1]["bars"][1]["name"] == "smell", "a channel that is not known here is shown, too"


def test_words_come_in_pieces_that_say_which_matched() -> None:
    line = Segment(2.0, 4.0, "the red & <b> flag")
    (card,) = cards([hit(segments=(line,), matched=(((4, 7), (14, 18)),))], {}, 0)
    pieces = [["the ", False], ["red", True], [" & <b> ", False], ["flag", True]]
    assert card["words"] == [{"at": "0:02.0", "start": 2.0, "pieces": pieces}]


def test_a_long_speech_is_cut() -> None:
    lines = tuple(Segment(float(at), at + 1.0, "word " * 30) for at in range(5))
    (card,) = cards([hit(segments=lines)], {}, 0)
    text = "".join(text for line in card["words"] for text, _ in line["pieces"])
    assert len(text) <= LONGEST_WORDS and text.endswith("…")


def test_names_that_no_screen_can_show() -> None:
    (card,) = cards([hit(video="/films/\x1b[31m\udcff\n.mp4")], {}, 0)
    assert card["name"].isprintable()


@pytest.mark.parametrize(
    "text", ["**b**", "![x](http://nowhere/y.png)", ":red[x]", "$x$", "<b>", "a_b_c", "# x", "`x`"]
)
def test_literal_leaves_markdown_nothing_to_read(text: str) -> None:
    shown = literal(text)
    assert shown.replace("\\", "") == text
    assert all(shown[at - 1] == "\\" for at, letter in enumerate(shown) if letter in "*![]():$<>_#`")


def test_a_path_below_the_home_is_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert from_home(tmp_path / "a" / "b") == "~/a/b" and from_home(Path("/x")) == "/x"


def test_escaped_is_harmless_html() -> None:
    assert escaped("<b>\n&") == "&lt;b&gt;\\n&amp;"
