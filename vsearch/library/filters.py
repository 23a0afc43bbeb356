"""Filters: the conditions that scenes must meet, as the user gives them and as SQL over scenes and videos."""

from __future__ import annotations

import fnmatch
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vsearch.errors import QueryError
from vsearch.languages import language_spellings, short_language
from vsearch.library import codec
from vsearch.library.rows import label_key
from vsearch.spelling import composed

LONGEST_LABEL = 10_000
"""Characters of a label in a filter."""

Condition = tuple[str, Sequence[object]]
"""SQL over one table, with its values."""

_RECORDED = "COALESCE(recorded_at, (SELECT MIN(mtime_ns) FROM files WHERE video_id = videos.id) / 1e9)"


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that scenes must meet to become hits. The default admits every scene.

    Every interface spells them like this: options of the command line, parameters of the HTTP API, arguments of MCP
    tools and the address of the page. Raises QueryError where a value is invalid or two of them exclude each other.
    """

    path: str | None = None
    """A shell pattern. Without a slash it is matched against the file's name ("*.mkv"), else against the path or its
    end ("holidays/*"), where * crosses folders. A file with exactly this name ("a [1].mkv") takes precedence over files
    that match the pattern. Unicode normal forms are ignored."""
    folder: Path | None = None
    """An absolute file or folder: only this file, or the files below this folder."""
    since: datetime | None = None
    """Only videos recorded then or later; where the container has no date, the oldest modification time of the
    video's files counts. Without a time zone: local time."""
    until: datetime | None = None
    """Only videos recorded (or else modified) before this time."""
    min_duration: float | None = None
    """Only scenes of at least this many seconds."""
    max_duration: float | None = None
    """Only scenes of at most this many seconds."""
    has_speech: bool | None = None
    """Only scenes with (or without) transcribed speech."""
    language: str | None = None
    """Only videos in which this language is spoken: an ISO 639 code such as "en"."""
    label: tuple[str, ...] = ()
    """Only scenes that have every one of these labels, from any model."""

    def __post_init__(self) -> None:
        for name, limit in (("shortest", self.min_duration), ("longest", self.max_duration)):
            if limit is not None and not (math.isfinite(limit) and limit >= 0):
                raise QueryError(f"The {name} duration must be 0 seconds or more, not {limit}.")
        if self.min_duration is not None and self.max_duration is not None and self.min_duration > self.max_duration:
            raise QueryError(f"No scene lasts at least {self.min_duration} and at most {self.max_duration} seconds.")
        if self.since is not None and self.until is not None and _unix(self.since) >= _unix(self.until):
            raise QueryError(f"No video is recorded between {self.since} and {self.until}: --until must be later.")
        if self.path == "":
            raise QueryError("The path pattern is empty: give one such as '*/holiday/*.mp4'.")
        if self.folder is not None and not self.folder.is_absolute():
            raise QueryError(f"The folder {self.folder} must be an absolute path.")
        if self.language is not None and short_language(self.language) is None:
            raise QueryError(f"There is no language {self.language!r}: give a code such as en, de or zh.")
        if not all(label.strip() and len(label) <= LONGEST_LABEL for label in self.label):
            raise QueryError("A label is empty or too long: give one such as dog (`vsearch label --list` names them).")

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Filters:
        """The filters among the named values of an interface: folders as text, labels as any sequence, or None."""
        given = {name: values[name] for name in cls.__dataclass_fields__ if values.get(name) is not None}
        if "folder" in given:
            given["folder"] = Path(given["folder"])
        return cls(**{**given, "label": tuple(given.get("label", ()))})

    def video_conditions(self, paths: Callable[[], Sequence[tuple[str, int]]]) -> list[Condition]:
        """The filters that are set and concern whole videos, as SQL over `videos`.

        paths: returns every path with the id of its video; called only for the filters `path` and `folder`.
        """
        conditions: list[Condition] = []
        if self.path is not None or self.folder is not None:
            conditions.append(self._has_path(paths()))
        if self.since is not None:
            conditions.append((f"{_RECORDED} >= ?", (_unix(self.since),)))
        if self.until is not None:
            conditions.append((f"{_RECORDED} < ?", (_unix(self.until),)))
        if self.language is not None:
            conditions.append(_spoken_in(self.language))
        return conditions

    def scene_conditions(self) -> list[Condition]:
        """The filters that are set and concern single scenes, as SQL over `scenes`."""
        conditions: list[Condition] = []
        if self.min_duration is not None:
            conditions.append(("end_seconds - start_seconds >= ?", (self.min_duration,)))
        if self.max_duration is not None:
            conditions.append(("end_seconds - start_seconds <= ?", (self.max_duration,)))
        if self.has_speech is not None:
            conditions.append(("spoken = ?", (int(self.has_speech),)))
        for label in self.label:
            conditions.append(("id IN (SELECT scene_id FROM labels WHERE label = ?)", (label_key(label),)))
        return conditions

    def _has_path(self, paths: Sequence[tuple[str, int]]) -> Condition:
        """That one of the paths of a video matches. paths: every path with the id of its video."""
        videos: list[int] = []
        for exactly in (True, False) if _is_pattern(self.path) else (False,):
            matches = self.path_matcher(exactly=exactly)
            videos = videos or [video_id for path, video_id in paths if matches(path)]
        return "id IN (SELECT value FROM json_each(?))", (json.dumps(videos),)

    def path_matcher(self, *, exactly: bool = False) -> Callable[[str], bool]:
        """Whether a path passes the filters `path` and `folder`. exactly: the pattern is a literal name."""
        matches = None if self.path is None else _matcher(self.path, exactly=exactly)
        folder = None if self.folder is None else composed(os.fsdecode(codec.path_to_bytes(self.folder)))
        below = None if folder is None else folder.rstrip(os.sep) + os.sep

        def matcher(path: str) -> bool:
            path = composed(path)
            if below is not None and path != folder and not path.startswith(below):
                return False
            return matches is None or matches(path)

        return matcher


NO_FILTERS = Filters()


def _unix(when: datetime) -> float:
    """Unix seconds."""
    try:
        return when.timestamp()
    except (OverflowError, OSError, ValueError) as error:
        raise QueryError(f"{when} is outside the dates that this computer supports.") from error


def _spoken_in(language: str) -> Condition:
    """The filter "pt" admits transcripts in "pt" and "pt-br", the filter "pt-br" only the latter."""
    spellings = language_spellings(language)
    return (
        "EXISTS (SELECT 1 FROM transcripts JOIN json_each(?) AS code WHERE transcripts.video_id = videos.id "
        "AND transcripts.channel = 'speech' AND (LOWER(language) = code.value "
        "OR SUBSTR(LOWER(language), 1, LENGTH(code.value) + 1) = code.value || '-'))",
        (json.dumps(spellings),),
    )


def _is_pattern(pattern: str | None) -> bool:
    return pattern is not None and any(character in pattern for character in "*?[")


def _matcher(pattern: str, *, exactly: bool) -> Callable[[str], bool]:
    """Whether a path, in composed Unicode, matches a shell pattern: see `Filters.path`."""
    # Windows paths may be written with either slash.
    pattern = composed(os.path.normcase(pattern).replace(os.sep, "/"))
    expression = re.compile(fnmatch.translate(pattern))
    end = re.compile(fnmatch.translate(f"*/{pattern}"))

    def matches(path: str) -> bool:
        text = os.path.normcase(path).replace(os.sep, "/")
        if "/" not in pattern:
            text = text.rpartition("/")[2]
        if text == pattern or ("/" in pattern and text.endswith(f"/{pattern}")):
            return True
        if exactly:
            return False
        return expression.match(text) is not None or ("/" in pattern and end.match(text) is not None)

    return matches
