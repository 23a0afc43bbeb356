"""How a media file is opened, and which of its pictures a player shows. For processes that a hostile file may kill."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_PACKETS = 500
"""Packets of all streams that are read, to tell a film from a still: some seconds."""


def open_video(path: Path) -> InputContainer:
    """Open for reading. Only local files are followed, whatever a hostile play list asks for."""
    import av

    # Never set a level for PyAV's log: its callback then asks for the interpreter lock in FFmpeg's threads, which
    # deadlocks with closing a container. Without a level, FFmpeg's messages are dropped.
    return av.open(str(path), options={"protocol_whitelist": "file"}, metadata_errors="replace")


def pick_stream(container: InputContainer) -> VideoStream | None:
    """The pictures that a player shows: a film before a still, then the default, then the first; never cover art."""
    from av.stream import Disposition

    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None
    ]
    if len(streams) < 2:
        return streams[0] if streams else None
    films = _films(container, [stream.index for stream in streams])
    return min(
        streams,
        key=lambda one: (one.index not in films, not one.disposition & Disposition.default, one.index),
    )


def _films(container: InputContainer, streams: Sequence[int]) -> set[int]:
    """Those of the streams that hold more than one picture, by what the container says, else by its first packets."""
    import av

    said = {index: container.streams[index].frames for index in streams}
    if all(said.values()):
        return {index for index, frames in said.items() if frames > 1}
    counted = dict.fromkeys(streams, 0)
    with (
        suppress(av.error.FFmpegError),
        open_video(Path(container.name)) as again,
    ):  # a second handle: the position of this one stays
        for packet in islice(again.demux(), MOST_PACKETS):
            if packet.size and packet.stream_index in counted:
                counted[packet.stream_index] += 1
                if min(counted.values()) > 1:
                    break
    return {index for index, count in counted.items() if count > 1}


def explain(error: BaseException) -> str:
    """One line of what went wrong, without the file's name, which the caller knows."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
