"""The program of the child processes that read and write clips: a handler for each request of messages.py."""

from __future__ import annotations

from collections.abc import Iterator

from vsearch.child_messages import Message
from vsearch.child_program import serve
from vsearch.clips.messages import (
    BrowserChecked,
    CheckBrowser,
    MaterialRead,
    ReadMaterial,
    StillWritten,
    WriteClip,
    WriteStill,
)


def main() -> None:
    """Serve requests until standard input ends."""
    serve({WriteClip: write_clip, WriteStill: write_still, CheckBrowser: check_browser, ReadMaterial: read_material})


def write_clip(request: WriteClip) -> Iterator[Message]:
    from vsearch.clips.write import write_clip

    span = request.start, request.end
    yield write_clip(request.source, request.target, *span, request.how, request.suffix)


def write_still(request: WriteStill) -> Iterator[Message]:
    from vsearch.clips.single import write_still

    yield StillWritten(write_still(request.source, request.target, request.time, request.side))


def check_browser(request: CheckBrowser) -> Iterator[Message]:
    import av

    from vsearch.clips.kinds import plays_in_browser
    from vsearch.video.containers import open_video

    with request.source.open("rb"):  # reports a file that cannot be read
        pass
    try:
        with open_video(request.source) as container:
            plays = plays_in_browser(container, request.source)
    except (av.error.FFmpegError, ValueError):
        plays = False
    yield BrowserChecked(plays)


def read_material(request: ReadMaterial) -> Iterator[Message]:
    import av

    from vsearch.clips.material import read_material
    from vsearch.errors import MediaError
    from vsearch.video.containers import explain

    with request.source.open("rb"):  # reports a file that cannot be read
        pass
    try:
        yield MaterialRead(read_material(request.source))
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"it cannot be opened ({explain(error)})") from error
