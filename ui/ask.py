"""What is asked on the page, as it stands in the address: `?q=a+dog&folder=...&page=2`.

The address is the one truth, so that a search can be kept as a bookmark and the back button works. It is written by
anybody: what cannot be read in it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta

from vsearch.library.rows import label_key
from vsearch.phrases import LONGEST_PHRASE

CHANNELS = {"all": "All", "visual": "Frames", "speech": "Speech", "ocr": "OCR"}
"""What may be searched, and what a person calls it."""
MAX_PAGE = 1000
MAX_LABELS = 20


@dataclass(frozen=True, slots=True)
class Ask:
    """All of it has a default; an address holds only what differs."""

    q: str = ""
    like: int | None = None
    """The scene that others are to resemble, by its id in the library."""
    page: int = 1
    folder: str = ""
    since: date | None = None
    until: date | None = None
    """That day is part of it."""
    min_duration: float | None = None
    """Seconds of a scene."""
    max_duration: float | None = None
    has_speech: bool = False
    """Only scenes in which something is said."""
    language: str = ""
    """ISO 639 code of what is said."""
    label: tuple[str, ...] = ()
    """Only scenes that have all of these, spelt as the library does."""
    channel: str = "all"
    weight: float | None = None
    """What spoken words weigh against pictures; None as the settings say."""
    moments: bool = False

    @property
    def filters(self) -> dict[str, str]:
        """Every filter that is set: its name here, and how a person reads it."""
        found: dict[str, str] = {}
        if self.folder:
            found["folder"] = f"in {self.folder}"
        if self.since:
            found["since"] = f"from {self.since.isoformat()}"
        if self.until:
            found["until"] = f"to {self.until.isoformat()}"
        if self.min_duration is not None:
            found["min_duration"] = f"at least {self.min_duration:g} s"
        if self.max_duration is not None:
            found["max_duration"] = f"at most {self.max_duration:g} s"
        if self.has_speech:
            found["has_speech"] = "somebody speaks"
        if self.language:
            found["language"] = f"language {self.language}"
        if self.label:
            found["label"] = f"labelled {', '.join(self.label)}"
        if self.channel != "all":
            found["channel"] = f"channel {CHANNELS[self.channel]}"
        if self.weight is not None:
            found["weight"] = f"words weigh {self.weight:g}"
        if self.moments:
            found["moments"] = "exact moments"
        return found

    @property
    def since_moment(self) -> datetime | None:
        """Local time."""
        return None if self.since is None else datetime.combine(self.since, time())

    @property
    def until_moment(self) -> datetime | None:
        """Local time: the first moment after that day."""
        return None if self.until is None else datetime.combine(self.until, time()) + timedelta(days=1)


def read_address(parameters: Mapping[str, str]) -> Ask:
    """The question that an address holds."""
    seconds, given = (0.0, 86_400.0), parameters.get
    channel = given("channel", "all")
    since, until = _date(given("since")), _date(given("until"))
    if since and until and since > until:
        until = None
    min_duration, max_duration = _number(given("min_duration"), *seconds), _number(given("max_duration"), *seconds)
    if min_duration is not None and max_duration is not None and min_duration > max_duration:
        max_duration = None
    return Ask(
        q=given("q", "").strip(),
        like=_whole(given("like"), 1, 2**62),
        page=_whole(given("page"), 1, MAX_PAGE) or 1,
        folder=given("folder", "").strip().replace("\0", ""),
        since=since,
        until=until,
        min_duration=min_duration or None,
        max_duration=max_duration,
        has_speech=given("has_speech") == "1",
        language=lang if (lang := given("language", "").strip().lower()).isalpha() and len(lang) <= 8 else "",
        label=_labels(given("label", "").split("\n")),
        channel=channel if channel in CHANNELS else "all",
        weight=_number(given("weight"), 0.0, 100.0),
        moments=given("moments") == "1",
    )


def write_address(ask: Ask) -> dict[str, str]:
    """The other way round: what differs from the defaults."""
    found: dict[str, str] = {}
    for field in fields(Ask):
        value = getattr(ask, field.name)
        if value == field.default:
            continue
        if isinstance(value, bool):
            found[field.name] = "1"
        elif isinstance(value, tuple):
            found[field.name] = "\n".join(value)  # the one character that no label holds
        elif isinstance(value, float):
            found[field.name] = f"{value:g}"
        else:
            found[field.name] = value.isoformat() if isinstance(value, date) else str(value)
    return found


def _labels(texts: Sequence[str]) -> tuple[str, ...]:
    keys = dict.fromkeys(label_key(text) for text in texts)
    return tuple(key for key in keys if 0 < len(key) <= LONGEST_PHRASE)[:MAX_LABELS]


def _whole(text: str | None, least: int, most: int) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    return value if least <= (value := int(text)) <= most else None


def _number(text: str | None, least: float, most: float) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) and least <= value <= most else None


def _date(text: str | None) -> date | None:
    try:
        value = date.fromisoformat(text or "")
    except ValueError:
        return None
    return value if 1970 <= value.year <= 9000 else None
