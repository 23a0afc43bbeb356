"""Write exported files atomically, and never over a video."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vsearch.errors import PathError


def check_target(target: Path, sources: Iterable[Path], *, overwrite: bool) -> None:
    """Raise PathError if the target is one of the videos, or exists and may not be overwritten."""
    if not (target.exists() or target.is_symlink()):
        return
    for source in sources:
        with suppress(OSError):
            if target.samefile(source):
                raise PathError(f"{target} is one of the videos: choose another name.")
    if not overwrite or target.is_dir():
        raise PathError(f"{target} is already there: choose another name, or give --overwrite.")


def write_file(target: Path, data: bytes) -> None:
    """Write under a temporary name, then rename, so that no program reads half a file. Raises PathError."""
    part = target.parent / f".vsearch-{secrets.token_hex(8)}.part"
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        raise PathError(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
