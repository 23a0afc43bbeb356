"""Clips, stills and properties of files. A child process with a time limit (child.py) does the work."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, get_args

from vsearch.child_messages import Message
from vsearch.child_process import Child, ChildFailed
from vsearch.clips.kinds import FORMATS
from vsearch.clips.material import Material
from vsearch.clips.messages import (
    BrowserChecked,
    CheckBrowser,
    ClipWritten,
    How,
    MaterialRead,
    ReadMaterial,
    StillWritten,
    WriteClip,
    WriteStill,
)
from vsearch.errors import MediaError, PathError

M = TypeVar("M", bound=Message)
ClipRequest = WriteClip | WriteStill | CheckBrowser | ReadMaterial

PART = ".vsearch-"
"""How the names of files begin that are not finished yet."""

_PROBE_LIMIT = 30.0
_STILL_LIMIT = 60.0
_MOST_STILL = 32_000_000
"""Bytes: no JPEG of 1280 pixels has as many."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A file that was cut."""

    path: Path
    start: float
    """Seconds on the player's timeline of the source: where it truly begins."""
    end: float
    """Seconds: where it truly ends."""
    copied: bool
    """False: encoded anew."""


def cut(
    source: Path,
    target: Path,
    start: float,
    end: float,
    how: How = "copy",
    *,
    overwrite: bool = False,
    limit: float | None = None,
) -> Clip:
    """Write [start, end), seconds on the player's timeline, of a video or sound file to `target`.

    The container is the one that the name of `target` ends in (.mp4, .mov, .mkv, .webm, .m4a, .mka); another name gets
    the ending of one that fits. Nothing is left behind where it fails. limit: seconds it may take, by default
    a minute and twenty times the span.

    Raises MediaError where it cannot be cut, PathError where a file is missing, in the way or cannot be written.
    """
    if not 0 <= start < end:
        raise ValueError(f"a clip is a non-empty span: {start = }, {end = }")
    if how not in get_args(How):
        raise ValueError(f"how is one of {', '.join(get_args(How))}: {how = }")
    source, target = source.absolute(), target.absolute()
    suffix = target.suffix.lower() if target.suffix.lower() in FORMATS else ""
    if suffix:
        _check_target(source, target, overwrite)
    part = target.parent / f"{PART}{secrets.token_hex(8)}.part"
    request = WriteClip(source, part, start, end, how, suffix, limit or 60.0 + 20.0 * (end - start))
    try:
        with part.open("xb"):  # what the system refuses is told before anything is done
            pass
    except OSError as error:
        raise PathError(f"No clip can be written to {target.parent}: {error.strerror}.") from error
    try:
        written = _answer(request, ClipWritten, target.parent)
        if not suffix:
            target = target.with_name(target.name + written.suffix)
        _check_target(source, target, overwrite)
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return Clip(target, written.start, written.end, written.copied)


def material_of(path: Path) -> Material:
    """What an editing program must know of a file. Raises PathError, MediaError."""
    return _answer(ReadMaterial(path.absolute(), _PROBE_LIMIT), MaterialRead, path.parent).material


def still(source: Path, time: float, *, side: int = 1280) -> tuple[bytes, float]:
    """The picture that a player shows at a time, as JPEG, and the seconds at which it appears.

    side: pixels of its longer side at most. Raises PathError, MediaError.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "still.jpg"
        source = source.absolute()
        written = _answer(WriteStill(source, target, time, side, _STILL_LIMIT), StillWritten, target.parent)
        try:
            if target.stat().st_size > _MOST_STILL:
                raise MediaError(f"{source}: the decoder wrote too large a picture.")
            return target.read_bytes(), written.time
        except OSError as error:
            raise MediaError(f"{source}: the decoder wrote no picture.") from error


def browser_can_play(path: Path) -> bool:
    """Whether every current browser plays the file as it is: container and codecs are probed, the name says nothing.

    Raises PathError where the file is missing or cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error.strerror}.") from error
    return _plays(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _plays(path: Path, size: int, mtime_ns: int) -> bool:
    try:
        return _answer(CheckBrowser(path, _PROBE_LIMIT), BrowserChecked, path.parent).plays
    except MediaError:
        return False


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    with suppress(OSError):
        if target.samefile(source):
            raise PathError(f"{target} is the video itself: choose another place for the clip.")
    if not overwrite and (target.exists() or target.is_symlink()):
        raise PathError(f"{target} exists already: choose another name, or overwrite it.")


def _answer(request: ClipRequest, kind: type[M], folder: Path) -> M:
    """The reply of a new child process. folder: where the request writes. Raises PathError, MediaError."""
    source = request.source
    with Child("vsearch.clips.child", request.limit, start_seconds=0.0) as child:
        try:
            return child.answer(request, kind)
        except ChildFailed as error:
            if error.kind == "system":
                raise PathError(_refusal(source, folder, error.cause)) from error
            cause = f"it took more than {request.limit:.0f} s and was given up" if error.kind == "hung" else error.cause
            raise MediaError(f"{source}: {cause}.") from error


def _refusal(source: Path, folder: Path, cause: str) -> str:
    """Whether the system refused to read the source or to write the target."""
    try:
        with source.open("rb"):
            pass
    except OSError as error:
        return f"{source} cannot be read: {error.strerror}."
    return f"No clip can be written to {folder}: {cause}."
