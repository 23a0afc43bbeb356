"""The session of a browser: the search in its address, the uploaded example, and a message to show."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from vsearch.settings import SPEECH_WEIGHT
from vsearch.ui.ask import Ask, read_address, write_address
from vsearch.ui.form import search_from_widgets, widget_values
from vsearch.ui.uploads import Upload


def current() -> Ask:
    """The search in the address."""
    return read_address(st.query_params)


def go(ask: Ask) -> None:
    """Make this the current search. The back button of the browser returns to the one before."""
    clear_message()
    st.query_params.from_dict(write_address(ask))


def change() -> None:
    """Update the address after the user changed a widget."""
    go(search_from_widgets({str(key): value for key, value in st.session_state.items()}, current(), default_weight()))


def fill_widgets(ask: Ask) -> None:
    """Set the widgets to the search in the address. Call this before they are created."""
    for key, value in widget_values(ask, default_weight()).items():
        # Widgets in a closed popover get these values when it opens. The search box is always visible: setting it again
        # would delete text that is being typed.
        if key != "q" or st.session_state.get(key) != value:
            st.session_state[key] = value


def default_weight() -> float:
    weight: float = st.session_state.get("default_weight", SPEECH_WEIGHT)
    return weight


def example() -> Upload | None:
    """The uploaded example."""
    given: Upload | None = st.session_state.get("example")
    return given


def set_example(given: Upload | None) -> None:
    """Search with this example; None: without one."""
    st.session_state.example = given
    go(replace(current(), like=None, page=1))


def show_message(text: str) -> None:
    """Show a message until the next action of the user."""
    st.session_state.message = text


def clear_message() -> None:
    st.session_state.message = None


def message() -> str | None:
    text: str | None = st.session_state.get("message")
    return text
