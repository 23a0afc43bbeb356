"""Which scenes count: what a person may ask of a file, a scene or its words, as conditions of SQL."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.languages import language_spellings
from vsearch.library import codec
from vsearch.library.rows import label_key
from vsearch.spelling import composed

if TYPE_CHECKING:
    from vsearch.library.reader import Reader

Condition = tuple[str, Sequence[object]]
"""SQL over scenes and videos, with its values."""

_RECORDED = "COALESCE(recorded_at, (SELECT MIN(mtime_ns) FROM files WHERE video_id = videos.id) / 1e9)"


def conditions(
    reader: Reader,
    *,
    path_glob: str | None,
    under: Path | None,
    since: float | None,
    until: float | None,
    min_duration: float | None,
    max_duration: float | None,
    has_speech: bool | None,
    language: str | None,
    labels: Sequence[str] = (),
) -> list[Condition]:
    """One a filter that is given: see SqliteStore.select_scenes."""
    found: list[Condition] = []
    if path_glob is not None or under is not None:
        videos = reader.videos_at(admits(path_glob, under, exactly=True)) if _is_pattern(path_glob) else set()
        videos = videos or reader.videos_at(admits(path_glob, under))
        found.append(("scenes.video_id IN (SELECT value FROM json_each(?))", (json.dumps(sorted(videos)),)))
    for limit, condition in (
        (since, f"{_RECORDED} >= ?"),
        (until, f"{_RECORDED} < ?"),
        (min_duration, "end_seconds - start_seconds >= ?"),
        (max_duration, "end_seconds - start_seconds <= ?"),
    ):
        if limit is not None:
            found.append((condition, (limit,)))
    if has_speech is not None:
        found.append(("scenes.spoken = ?", (int(has_speech),)))
    if language is not None:
        found.append(_spoken_in(language))
    for label in labels:
        found.append(("scenes.id IN (SELECT scene_id FROM labels WHERE label = ?)", (label_key(label),)))
    return found


def _spoken_in(language: str) -> Condition:
    """Subtitle files may say "pt-br" where "pt" is asked for; who asks for "pt-br" means that alone."""
    spellings = language_spellings(language)
    return (
        "EXISTS (SELECT 1 FROM transcripts JOIN json_each(?) AS code WHERE transcripts.video_id = scenes.video_id "
        "AND transcripts.channel = 'speech' AND (LOWER(language) = code.value "
        "OR SUBSTR(LOWER(language), 1, LENGTH(code.value) + 1) = code.value || '-'))",
        (json.dumps(spellings),),
    )


def admits(path_glob: str | None, under: Path | None, *, exactly: bool = False) -> Callable[[str], bool]:
    """Whether a path, as text, fits the pattern, or is named by it character by character, and lies at or below the
    folder. Unicode normal forms mean nothing. exactly: a pattern is a name."""
    matches = None if path_glob is None else _matcher(path_glob, exactly=exactly)
    folder = None if under is None else composed(os.fsdecode(codec.path_to_bytes(under)))
    below = None if folder is None else folder.rstrip(os.sep) + os.sep

    def admitted(path: str) -> bool:
        path = composed(path)
        if below is not None and path != folder and not path.startswith(below):
            return False
        return matches is None or matches(path)

    return admitted


def _is_pattern(pattern: str | None) -> bool:
    return pattern is not None and any(character in pattern for character in "*?[")


def _matcher(pattern: str, *, exactly: bool) -> Callable[[str], bool]:
    """Whether a path, as composed text, is one that a shell pattern names: see `SqliteStore.select_scenes`."""
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
