"""Writing what was exported: whole or not at all, and never over a video."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from vsearch.clips.material import USUAL_RATES, usual_rate
from vsearch.errors import InputError, PathError


def check_target(target: Path, sources: Iterable[Path], *, overwrite: bool) -> None:
    """Raises PathError where the target is one of the videos, or there already."""
    if not (target.exists() or target.is_symlink()):
        return
    for source in sources:
        with suppress(OSError):
            if target.samefile(source):
                raise PathError(f"{target} is one of the videos: choose another name.")
    if not overwrite or target.is_dir():
        raise PathError(f"{target} is already there: choose another name, or give --overwrite.")


def write_file(target: Path, data: bytes) -> None:
    """Under another name first, so that nobody ever sees half of it. Raises PathError."""
    part = target.parent / f".vsearch-{secrets.token_hex(8)}.part"
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        raise PathError(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def parse_rate(text: str) -> Fraction:
    """25, 23.976 or 30000/1001 frames a second; what is near a usual rate is that. Raises InputError."""
    try:
        rate = Fraction(text.strip())
        if not 1 <= rate <= 60:
            raise ValueError("out of range")
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"--rate takes frames a second from 1 to 60, such as 25 or 23.976, not {text!r}.") from error
    # Rounded to three places or two: 29.97 and 23.98 are meant as their exact neighbours.
    near = [usual for usual in USUAL_RATES if abs(usual - rate) < Fraction(1, 200)]
    return near[0] if near else usual_rate(rate)
