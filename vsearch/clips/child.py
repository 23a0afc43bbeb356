"""The program of the process that cuts: one request as an argument, one JSON object on standard output.

Requests  {"do": "cut", "source", "target", "start", "end", "how", "suffix", "limit"}
          {"do": "plays", "source", "limit"}  {"do": "describe", "source", "limit"}
          {"do": "picture", "source", "target", "time", "side", "limit"}: a JPEG into the target
Answers   {"is": "cut", "suffix", "start", "end", "copied"}  {"is": "plays", "plays"}
          {"is": "described", "material"}  {"is": "pictured", "time"}
          {"is": "failed", "cause"}  {"is": "unreadable", "cause", "errno"}
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main() -> None:
    """Serve the one request."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    # Native libraries print to descriptor 1 as they please.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    threading.Thread(target=_end_with_parent, args=(os.dup(0),), daemon=True).start()
    os.dup2(null, 0)
    request = json.loads(sys.argv[2])
    with open(os.devnull, "w") as silence:  # noqa: PTH123
        # Should nobody be left to kill it: a thread in C counts, also while a decoder holds the interpreter.
        faulthandler.dump_traceback_later(request["limit"] + 5, exit=True, file=silence)
        json.dump(answer(request), answers)
        answers.flush()
    # Decoders keep threads and locks of their own: leave without their exit handlers.
    os._exit(0)


def _end_with_parent(pipe: int) -> None:
    """Nobody writes into the pipe; it ends with whoever holds its other end."""
    os.read(pipe, 1)
    os._exit(1)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the request comes to. Nothing is raised for a bad file."""
    from vsearch.errors import MediaError

    source = Path(request["source"])
    try:
        if request["do"] == "plays":
            return {"is": "plays", "plays": _plays(source)}
        if request["do"] == "describe":
            return {"is": "described", "material": _describe(source)}
        if request["do"] == "picture":
            from vsearch.clips.single import write_still

            time = write_still(source, Path(request["target"]), request["time"], request["side"])
            return {"is": "pictured", "time": time}
        from vsearch.clips.write import write_clip

        span = request["start"], request["end"]
        written = write_clip(source, Path(request["target"]), *span, request["how"], request["suffix"])
        return {"is": "cut", **asdict(written)}
    except MediaError as error:
        return {"is": "failed", "cause": str(error)}
    except OSError as error:
        return {"is": "unreadable", "cause": error.strerror or str(error), "errno": error.errno}
    except Exception as error:  # whatever a library throws at a broken file costs this file only
        return {"is": "failed", "cause": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def _plays(source: Path) -> bool:
    import av

    from vsearch.clips.kinds import plays_in_browser
    from vsearch.containers import open_video

    with source.open("rb"):
        pass
    try:
        with open_video(source) as container:
            return plays_in_browser(container, source)
    except (av.error.FFmpegError, ValueError):
        return False


def _describe(source: Path) -> dict[str, Any]:
    import av

    from vsearch.clips.material import read_material
    from vsearch.containers import explain
    from vsearch.errors import MediaError

    with source.open("rb"):
        pass
    try:
        return read_material(source).as_json()
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"it cannot be opened ({explain(error)})") from error
