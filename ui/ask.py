"""The search on the page, as in its address: `?q=a+dog&folder=...&page=2`.

The address is the only state of a search, so bookmarks and the back button work. Anyone can write an address: values
that are not valid are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, time, timedelta
from typing import Any

from vsearch.library.rows import label_key
from vsearch.phrases import LONGEST_PHRASE

CHANNELS = {"all": "All", "visual": "Frames", "speech": "Speech", "ocr": "OCR"}
"""The names of the channels on the page."""
MAX_PAGE = 1000
MAX_LABELS = 20
MAX_SECONDS = 86_400.0

Parse = Callable[[str], Any]
"""The value of a text in the address; None where it is not valid."""


def _part(parse: Parse, *, default: Any = None, describe: Callable[[Any], str] | None = None) -> Any:
    """A part of the address. describe: for a filter, the text of the button that removes it."""
    return field(default=default, metadata={"parse": parse, "describe": describe})


def _whole(least: int, most: int) -> Parse:
    def parse(text: str) -> int | None:
        if not text.isascii() or not text.isdigit() or len(text) > 19:
            return None
        return value if least <= (value := int(text)) <= most else None

    return parse


def _number(most: float) -> Parse:
    def parse(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and 0 <= value <= most else None

    return parse


def _date(text: str) -> date | None:
    try:
        value = date.fromisoformat(text)
    except ValueError:
        return None
    return value if 1970 <= value.year <= 9000 else None


def _flag(text: str) -> bool:
    return text == "1"


def _text(text: str) -> str:
    return text.strip()


def _folder(text: str) -> str:
    return text.strip().replace("\0", "")


def _language(text: str) -> str | None:
    code = text.strip().lower()
    return code if code.isalpha() and len(code) <= 8 else None


def _labels(text: str) -> tuple[str, ...]:
    keys = dict.fromkeys(label_key(line) for line in text.split("\n"))  # no label contains a line break
    return tuple(key for key in keys if 0 < len(key) <= LONGEST_PHRASE)[:MAX_LABELS]


def _channel(text: str) -> str | None:
    return text if text in CHANNELS else None


@dataclass(frozen=True, slots=True)
class Ask:
    """A search on the page. An address contains only what differs from the defaults.

    Filters have the names of the fields of `vsearch.Filters`. Each is also the key of its widget.
    """

    q: str = _part(_text, default="")
    """The text of the query."""
    like: int | None = _part(_whole(1, 2**62))
    """Id of a scene: search for similar scenes."""
    page: int = _part(_whole(1, MAX_PAGE), default=1)
    folder: str = _part(_folder, default="", describe="in {}".format)
    since: date | None = _part(_date, describe="from {}".format)
    until: date | None = _part(_date, describe="to {}".format)
    """The last day, inclusive."""
    min_duration: float | None = _part(_number(MAX_SECONDS), describe="at least {:g} s".format)
    max_duration: float | None = _part(_number(MAX_SECONDS), describe="at most {:g} s".format)
    has_speech: bool = _part(_flag, default=False, describe=lambda _: "with speech")
    language: str = _part(_language, default="", describe="language {}".format)
    label: tuple[str, ...] = _part(_labels, default=(), describe=lambda labels: f"labelled {', '.join(labels)}")
    channel: str = _part(_channel, default="all", describe=lambda name: f"channel {CHANNELS[name]}")
    weight: float | None = _part(_number(100.0), describe="speech weight {:g}".format)
    """Weight of the speech channel; None: that of the settings."""
    moments: bool = _part(_flag, default=False, describe=lambda _: "exact moments")

    @property
    def filters(self) -> dict[str, str]:
        """The filters that are set: name, and description for the user."""
        return {
            part.name: part.metadata["describe"](getattr(self, part.name))
            for part in fields(self)
            if part.metadata["describe"] is not None and getattr(self, part.name) != part.default
        }

    @property
    def since_moment(self) -> datetime | None:
        """The first moment of `since`, in local time."""
        return None if self.since is None else datetime.combine(self.since, time())

    @property
    def until_moment(self) -> datetime | None:
        """The first moment after `until`, in local time."""
        return None if self.until is None else datetime.combine(self.until, time()) + timedelta(days=1)


def read_address(parameters: Mapping[str, str]) -> Ask:
    """The search in an address."""
    given: dict[str, Any] = {}
    for part in fields(Ask):
        value = part.metadata["parse"](parameters.get(part.name, ""))
        if value is not None:
            given[part.name] = value
    if given.get("min_duration") == 0:
        del given["min_duration"]
    for least, most in (("since", "until"), ("min_duration", "max_duration")):
        if least in given and most in given and given[least] > given[most]:
            del given[most]
    return Ask(**given)


def write_address(ask: Ask) -> dict[str, str]:
    """The address of a search: the values that differ from the defaults, as text."""
    return {
        part.name: address_text(getattr(ask, part.name))
        for part in fields(Ask)
        if getattr(ask, part.name) != part.default
    }


def address_text(value: Any) -> str:
    """A value as text in the address."""
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, tuple | list):
        return "\n".join(value)
    if isinstance(value, float):
        return f"{value:g}"
    return value.isoformat() if isinstance(value, date) else str(value)
