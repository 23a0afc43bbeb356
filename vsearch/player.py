"""Open a video at a given time in an installed player."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from vsearch.errors import PathError

PLAYERS: dict[str, Callable[[float], list[str]]] = {
    "mpv": lambda start: [f"--start={start:.3f}"],
    "vlc": lambda start: [f"--start-time={start:.3f}"],
    "ffplay": lambda start: ["-ss", f"{start:.3f}"],
}
"""Players with an option for the start time, preferred ones first."""
OPENERS = {"darwin": "open", "linux": "xdg-open"}
"""Commands that open a file with its default program, at its beginning."""


def player_command(video: Path, start: float, which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """Arguments of the player, passed without a shell. The path is made absolute, so it cannot be read as an option.

    Raises PathError where no player is installed.
    """
    for name, options in PLAYERS.items():
        program = which(name)
        if program is not None:
            return [program, *options(max(start, 0.0)), str(video.absolute())]
    opener = which(OPENERS.get(sys.platform, "xdg-open"))
    if opener is not None:
        return [opener, str(video.absolute())]
    raise PathError(f"No video player was found: install one of {', '.join(PLAYERS)} to open hits at their time.")


def play(video: Path, start: float) -> None:
    """Start the player and return at once. Raises PathError where the file or a player is missing."""
    if not video.is_file():
        raise PathError(f"{video} no longer exists: run `vsearch index` on its new folder.")
    command = player_command(video, start)
    try:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # playback continues when the terminal is closed
        )
    except OSError as error:
        raise PathError(f"{command[0]} did not start: {error.strerror}.") from error
