"""Writing what was exported: whole or not at all, and never over a video."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from vsearch.errors import InputError, PathError
from vsearch.export.timecode import EDITING_RATES


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
    """25, 23.976 or 30000/1001 frames a second, which editing programs have. Raises InputError."""
    with suppress(ValueError, ZeroDivisionError):
        rate = Fraction(text.strip())
        # Rounded to three places or two: 29.97 and 23.98 are meant as their exact neighbours.
        nearest = min(EDITING_RATES, key=lambda one: abs(one - rate))
        if abs(nearest - rate) < Fraction(1, 200):
            return nearest
    rates = ", ".join(f"{float(rate):.5g}" for rate in EDITING_RATES)
    raise InputError(f"--rate takes frames a second that editing programs have ({rates}), not {text!r}.")
