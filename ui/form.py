"""The widgets of the page: their values for a search, and the search for their values. Keys are the names of `Ask`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from vsearch.settings import SPEECH_WEIGHT
from vsearch.ui.ask import Ask, address_text, read_address

NOT_WIDGETS = ("like", "page")


def widget_values(ask: Ask, weight: float = SPEECH_WEIGHT) -> dict[str, Any]:
    """The values of the widgets for a search. weight: the speech weight of the settings."""
    values = {part.name: getattr(ask, part.name) for part in fields(Ask) if part.name not in NOT_WIDGETS}
    return values | {
        "folder": ask.folder or None,
        "label": list(ask.label),
        "weight": weight if ask.weight is None else ask.weight,
    }


def search_from_widgets(state: Mapping[str, Any], before: Ask, weight: float = SPEECH_WEIGHT) -> Ask:
    """The search after the user changed a widget, on its first page.

    A new text ends the search for similar scenes. Values that are not valid are ignored as in an address.
    """
    values = {part.name: state.get(part.name) for part in fields(Ask) if part.name not in NOT_WIDGETS}
    if values["weight"] == weight:
        values["weight"] = None
    ask = read_address({name: address_text(value) for name, value in values.items() if value is not None})
    return replace(ask, like=before.like if ask.q == before.q else None)


def without(ask: Ask, name: str) -> Ask:
    """The search without one filter, on its first page."""
    return replace(ask, **{name: getattr(Ask(), name), "page": 1})


def without_filters(ask: Ask) -> Ask:
    """The search without filters, on its first page."""
    return Ask(q=ask.q, like=ask.like)
