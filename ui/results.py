"""The results and the player on the page: one Streamlit component, with its HTML, CSS and JavaScript in static/.

Streamlit's own widgets would be too many for a grid of scenes, slow to play, and without keyboard control.
"""

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
    on_problem: Callable[[], None],
) -> None:
    """cards: see cards.py. A callback reads the message of the component with `sent(name)`."""
    component = st.components.v2.component(
        "vsearch_results", html=static("results.html"), css=static("results.css"), js=static("results.js")
    )
    component(
        key=KEY,
        data={"hits": cards, "focus": True},
        on_like_change=on_like,
        on_picture_change=on_picture,
        on_problem_change=on_problem,
    )


def sent(name: str) -> Any:
    """The last message of the component: "like", "picture" or "problem"."""
    return st.session_state[KEY].get(name)


@cache
def static(name: str) -> str:
    """The text of a file in static/."""
    return (STATIC / name).read_text(encoding="utf-8")
