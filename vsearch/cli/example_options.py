"""The options `--image`, `--clip` and `--like`: examples to search with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.cli.base import given_paths
from vsearch.errors import QueryError

if TYPE_CHECKING:
    from vsearch.search.example import Example


def given_example(image: str | None, clip: str | None, like: str | None) -> Example | None:
    """The example that the options name. Raises QueryError, PathError."""
    from vsearch.search.example import ClipFile, SceneAt, read_picture_file

    given = [name for name, text in (("--image", image), ("--clip", clip), ("--like", like)) if text is not None]
    if len(given) > 1:
        raise QueryError(f"{' and '.join(given)} exclude each other: give one of them.")
    if image is not None:
        return read_picture_file(given_paths([image])[0])
    if clip is not None:
        return ClipFile(given_paths([clip])[0])
    if like is not None:
        return SceneAt(*_parse_like(like))
    return None


def _parse_like(text: str) -> tuple[Path, float]:
    """FILE@SECONDS or FILE@[H:]MM:SS to file and seconds; the file name may contain an @."""
    file, _, clock = text.rpartition("@")
    parts = clock.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not file or not 1 <= len(numbers) <= 3 or any(not 0 <= number < 1e7 for number in numbers):
        raise QueryError(
            f"--like takes a file and a time, such as holiday.mp4@12.5 or holiday.mp4@1:02:03, not {text}."
        )
    seconds = 0.0
    for number in numbers:
        seconds = 60 * seconds + number
    return given_paths([file])[0], seconds
