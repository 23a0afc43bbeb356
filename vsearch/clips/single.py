"""One picture of a video as JPEG. Runs in the process of child.py: it trusts no byte of the file."""

from __future__ import annotations

from pathlib import Path

from vsearch.clips.picture import encoder_picture, shape_of
from vsearch.clips.timeline import pictures, video_stream
from vsearch.errors import MediaError
from vsearch.video.containers import explain, open_video

_SPAN = 0.01
"""Seconds that are looked at: the picture that is shown at the time is the first of any span that begins there."""


def write_still(source: Path, target: Path, time: float, side: int) -> float:
    """Write the picture that a player shows at `time`; returns the seconds at which it appears.

    Turned as a player turns it, pixels square, the longer side at most `side`. Raises MediaError; OSError passes.
    """
    import av

    with source.open("rb"):  # a permission problem is the system's to tell
        pass
    try:
        with open_video(source) as container:
            pixel = video_stream(container).sample_aspect_ratio
        picture = next(pictures(source, time, time + _SPAN))
        made = encoder_picture(picture.frame, shape_of(picture.frame, pixel, side))
        made.to_image().save(target, format="JPEG", quality=85)  # type: ignore[no-untyped-call]
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"it gives no picture ({explain(error)})") from error
    return picture.time
