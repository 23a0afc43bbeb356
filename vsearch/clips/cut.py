"""Cutting a span out of a file. child.py does the work in a process of its own, as indexer/process.py does."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from vsearch.clips.kinds import FORMATS
from vsearch.clips.material import Material
from vsearch.errors import MediaError, PathError

How = Literal["copy", "exact", "browser"]
"""copy: packets as they are, from the key frame at or before the start; encoded only where that is impossible (the clip
says so). exact: encoded anew, exact to the frame. browser: what every browser plays (H.264 and AAC in MP4, without an
H.264 encoder VP9 and Opus in WebM), copied where the codecs are these and a key frame is near, else encoded with at
most 1280 pixels a side."""

PART = ".vsearch-"
"""How the names of files begin that are not finished yet."""

_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from vsearch.clips.child import main; main()"
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
    request = {
        "do": "cut",
        "source": str(source),
        "target": str(part),
        "start": start,
        "end": end,
        "how": how,
        "suffix": suffix,
        "limit": limit or 60.0 + 20.0 * (end - start),
    }
    try:
        with part.open("xb"):  # what the system refuses is told before anything is done
            pass
    except OSError as error:
        raise PathError(f"No clip can be written to {target.parent}: {error.strerror}.") from error
    try:
        answer = _ask(request, source, target.parent)
        if not suffix:
            target = target.with_name(target.name + _known_suffix(answer["suffix"]))
        _check_target(source, target, overwrite)
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return Clip(target, float(answer["start"]), float(answer["end"]), bool(answer["copied"]))


def material_of(path: Path) -> Material:
    """What an editing program must know of a file. Raises PathError, MediaError."""
    answer = _ask({"do": "describe", "source": str(path.absolute()), "limit": _PROBE_LIMIT}, path, path.parent)
    try:
        return Material.from_json(answer["material"])
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise MediaError(f"{path}: the decoder sent nonsense.") from error


def still(source: Path, time: float, *, side: int = 1280) -> tuple[bytes, float]:
    """The picture that a player shows at a time, as JPEG, and the seconds at which it appears.

    side: pixels of its longer side at most. Raises PathError, MediaError.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "still.jpg"
        source = source.absolute()
        request = {"do": "picture", "source": str(source), "target": str(target), "time": time, "side": side}
        answer = _ask({**request, "limit": _STILL_LIMIT}, source, target.parent)
        try:
            if target.stat().st_size > _MOST_STILL:
                raise MediaError(f"{source}: the decoder sent nonsense.")
            return target.read_bytes(), float(answer["time"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise MediaError(f"{source}: the decoder sent nonsense.") from error


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
        answer = _ask({"do": "plays", "source": str(path), "limit": _PROBE_LIMIT}, path, path.parent)
    except MediaError:
        return False
    return bool(answer["plays"])


def _known_suffix(suffix: str) -> str:
    """The child may have been taken over, and an ending is a part of a path."""
    if suffix not in FORMATS:
        raise MediaError(f"a clip cannot end in {suffix!r}")
    return suffix


def _check_target(source: Path, target: Path, overwrite: bool) -> None:
    with suppress(OSError):
        if target.samefile(source):
            raise PathError(f"{target} is the video itself: choose another place for the clip.")
    if not overwrite and (target.exists() or target.is_symlink()):
        raise PathError(f"{target} is already there: choose another name, or take it away.")


def _ask(request: Mapping[str, Any], source: Path, folder: Path) -> dict[str, Any]:
    path = [entry for entry in sys.path if entry]  # never the current folder: it may hold what someone downloaded
    theirs, ours = os.pipe()  # it ends when we do: then its end of the pipe does
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(path), json.dumps(request)],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=request["limit"],
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MediaError(f"{source}: it took more than {request['limit']:.0f} s and was given up.") from error
    finally:
        os.close(theirs)
        os.close(ours)
    if done.returncode < 0:
        raise MediaError(f"{source}: the decoder crashed (signal {-done.returncode}).")
    try:
        answer = json.loads(done.stdout)
        kind = answer["is"]
    except (ValueError, KeyError, TypeError) as error:
        raise MediaError(f"{source}: the decoder ended early (exit status {done.returncode}).") from error
    if kind == "unreadable":
        raise PathError(_refusal(source, folder, answer))
    if kind == "failed":
        raise MediaError(f"{source}: {answer['cause']}.")
    return dict(answer)


def _refusal(source: Path, folder: Path, answer: Mapping[str, Any]) -> str:
    """Whether it was the source or the target that the system refused."""
    cause = answer["cause"]
    try:
        with source.open("rb"):
            pass
    except OSError as error:
        return f"{source} cannot be read: {error.strerror}."
    return f"No clip can be written to {folder}: {cause}."
