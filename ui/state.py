"""What a browser's session holds beside the address: the example that was given, and a trouble to be told once."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from vsearch.ui.ask import Ask, read_address, write_address
from vsearch.ui.example import Example
from vsearch.ui.form import DEFAULT_WEIGHT, asked, widget_values


def current() -> Ask:
    """The question in the address."""
    return read_address(st.query_params)


def go(ask: Ask) -> None:
    """Ask this: the browser's back button leads to what was asked before."""
    settle()
    st.query_params.from_dict(write_address(ask))


def change() -> None:
    """A widget was changed."""
    go(asked({str(key): value for key, value in st.session_state.items()}, current(), default_weight()))


def fill_widgets(ask: Ask) -> None:
    """Before any widget is made: they show what the address says, also after the back button."""
    for key, value in widget_values(ask, default_weight()).items():
        # Widgets in a closed popover are made by the browser when it opens, with what the last run said of them. The
        # search box is always there: saying it again would take away what somebody is typing.
        if key != "q" or st.session_state.get(key) != value:
            st.session_state[key] = value


def default_weight() -> float:
    weight: float = st.session_state.get("default_weight", DEFAULT_WEIGHT)
    return weight


def example() -> Example | None:
    given: Example | None = st.session_state.get("example")
    return given


def set_example(given: Example | None) -> None:
    st.session_state.example = given
    go(replace(current(), like=None, page=1))


def trouble(text: str) -> None:
    """Something to tell until somebody does something else: the page may run more than once for one click."""
    st.session_state.trouble = text


def settle() -> None:
    st.session_state.trouble = None


def told_trouble() -> str | None:
    text: str | None = st.session_state.get("trouble")
    return text
