"""Between the address and the widgets of the page: which key holds what, and both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from vsearch.ui.ask import CHANNELS, Ask, read_address, write_address

DEFAULT_WEIGHT = 2.0


def widget_values(ask: Ask, weight: float = DEFAULT_WEIGHT) -> dict[str, Any]:
    """What the widgets show. weight: what words weigh where nothing is said."""
    return {
        "q": ask.q,
        "folder": ask.folder or None,
        "since": ask.since,
        "until": ask.until,
        "min_duration": ask.min_duration,
        "max_duration": ask.max_duration,
        "has_speech": ask.has_speech,
        "language": ask.language,
        "label": list(ask.label),
        "channel": ask.channel,
        "weight": weight if ask.weight is None else ask.weight,
        "moments": ask.moments,
    }


def asked(state: Mapping[str, Any], before: Ask, weight: float = DEFAULT_WEIGHT) -> Ask:
    """The question after somebody changed a widget: on its first page, and no longer about the scene that it was about
    where the words are others. What makes no sense (a date that is after another) is left out as in an address."""
    q = str(state.get("q") or "").strip()
    given = state.get("weight")
    channel = state.get("channel")
    ask = Ask(
        q=q,
        like=before.like if q == before.q else None,
        folder=str(state.get("folder") or "").strip(),
        since=_date(state.get("since")),
        until=_date(state.get("until")),
        min_duration=state.get("min_duration") or None,
        max_duration=state.get("max_duration") or None,
        has_speech=bool(state.get("has_speech")),
        language=str(state.get("language") or ""),
        label=tuple(state.get("label") or ()),
        channel=channel if channel in CHANNELS else "all",
        weight=None if given is None or given == weight else float(given),
        moments=bool(state.get("moments")),
    )
    return read_address(write_address(ask))


def without(ask: Ask, name: str) -> Ask:
    """The question with one filter taken away, on its first page."""
    default = getattr(Ask(), name)
    return replace(ask, **{name: default, "page": 1})


def without_filters(ask: Ask) -> Ask:
    return Ask(q=ask.q, like=ask.like)


def _date(value: Any) -> date | None:
    return value if isinstance(value, date) else None
