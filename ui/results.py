"""The results on the page: a component of our own, so that hundreds of widgets are not needed for two dozen scenes,
playing starts at once, and the keyboard works. Its parts lie in static/."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

STATIC = Path(__file__).parent / "static"
KEY = "results"


def show_results(
    cards: list[dict[str, Any]],
    *,
    on_like: Callable[[], None],
    on_picture: Callable[[], None],
    on_trouble: Callable[[], None],
) -> None:
    """cards: see cards.py. The callbacks find what they are told in `told(name)`."""
    component = st.components.v2.component(
        "vsearch_results", html=static("results.html"), css=static("results.css"), js=static("results.js")
    )
    component(
        key=KEY,
        data={"hits": cards, "focus": True},
        on_like_change=on_like,
        on_picture_change=on_picture,
        on_trouble_change=on_trouble,
    )


def told(name: str) -> Any:
    """What the component has just said."""
    return st.session_state[KEY].get(name)


@cache
def static(name: str) -> str:
    """A file of static/."""
    return (STATIC / name).read_text(encoding="utf-8")
