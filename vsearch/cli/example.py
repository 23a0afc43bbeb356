"""`--image`, `--clip` and `--like`: what a query may be asked with beside words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vsearch.cli.base import given_paths
from vsearch.errors import PathError, QueryError

if TYPE_CHECKING:
    from vsearch.library import SqliteStore
    from vsearch.models.protocols import Model
    from vsearch.search.example import Example


def given_example(image: str | None, clip: str | None, like: str | None) -> Example | None:
    """What is asked with. For a clip and a scene a stand-in, until library and model are there: `find_example`."""
    from vsearch.search.example import ClipExample, SceneExample

    given = [name for name, text in (("--image", image), ("--clip", clip), ("--like", like)) if text is not None]
    if len(given) > 1:
        raise QueryError(f"{' and '.join(given)} cannot go together: give one of them.")
    if image is not None:
        return _picture(given_paths([image])[0])
    if clip is not None:
        given_paths([clip])
        return ClipExample({})
    if like is not None:
        _parse_like(like)
        return SceneExample(0)
    return None


def find_example(
    given: Example | None, clip: str | None, like: str | None, library: SqliteStore, models: Sequence[Model]
) -> Example | None:
    """What is asked with, ready for the engine."""
    if clip is not None:
        from vsearch.indexer.clip import encode_clip

        return encode_clip(given_paths([clip])[0], models)
    if like is not None:
        from vsearch.search.example import SceneExample

        return SceneExample(_scene_at(library, *_parse_like(like)))
    return given


def _picture(path: Path) -> Example:
    from vsearch.search.example import LARGEST_PICTURE, read_picture

    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_PICTURE + 1)  # a device or pipe may have no end
    except OSError as error:
        raise PathError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    try:
        return read_picture(data)
    except QueryError as error:
        raise QueryError(f"{path}: {error}") from error


def _parse_like(text: str) -> tuple[Path, float]:
    """FILE@SECONDS or FILE@[H:]MM:SS; a file's name may hold an @ itself."""
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


def _scene_at(library: SqliteStore, file: Path, seconds: float) -> int:
    """The id of the scene that is on screen then; its end counts for the last one."""
    from vsearch.indexer.discover import absolute

    path = absolute(file)
    row = library.find_file(path)
    scenes = [] if row is None else library.scenes_of(row.video_id)
    if not scenes:
        raise PathError(f"{path} is not in the library {library.path}: `vsearch index` takes it in.")
    for scene in reversed(scenes):
        if scene.start <= seconds <= scene.end:
            return scene.id
    raise QueryError(f"{path} has no scene at {seconds:g} s: it goes from {scenes[0].start:g} to {scenes[-1].end:g} s.")
