"""How a media file is opened, and which of its pictures a player shows. For processes that a hostile file may kill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


def open_video(path: Path) -> InputContainer:
    """Open for reading. Only local files are followed, whatever a hostile play list asks for."""
    import av

    # Never set a level for PyAV's log: its callback then asks for the interpreter lock in FFmpeg's threads, which
    # deadlocks with closing a container. Without a level, FFmpeg's messages are dropped.
    return av.open(str(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")


def pick_stream(container: InputContainer) -> VideoStream | None:
    """The pictures that a player shows: the first video stream that is not cover art."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def explain(error: BaseException) -> str:
    """One line of what went wrong, without the file's name, which the caller knows."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
